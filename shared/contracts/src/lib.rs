//! What crosses a wire: commands, events, ids, statuses, plans, observations and errors, with their JSON Schema.
//!
//! Everything in this crate is plain data and pure functions. It does no I/O, knows no broker, no database and no
//! engine, and compiles to WebAssembly, so that the services, the page and the tests share one meaning of each word.
//!
//! **Invariant:** the state machine of a command lives in [`status`] and nowhere else; who owns a command is decided
//! by [`engine::owner`] and nowhere else; subjects are spelled in [`subjects`] and nowhere else.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod bundle;
pub mod command;
pub mod engine;
pub mod event;
pub mod figures;
pub mod heads;
pub mod ids;
pub mod machine;
pub mod observed;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod rest;
pub mod rpc;
pub mod schema;
pub mod secret;
pub mod stack;
pub mod status;
pub mod subjects;
mod time;
pub mod upload;

pub use bundle::{Bundle, BundleLimits, FileContent};
pub use command::{Action, CommandMessage, CommandType, OnFailure, Rejection};
pub use engine::Engine;
pub use event::{
    CancelRequest, Change, Failure, ProgressLine, ProgressMessage, StackChange, StackEvent, StepEntry, StepMessage, StepOutcome,
    TransitionMessage,
};
pub use heads::{
    BoxHead, Desired, ImageLock, Installation, LockOf, LockedImage, MachineHead, QueueMark, StackHead, VersionRecord, Versioned,
};
pub use ids::{CommandId, Digest, InvalidName, MachineId, Name, SecretName, StackId};
pub use machine::{
    BoxObservation, DomainState, MachineChange, MachineEvent, MachineFacts, MachineKind, MachineObservation, MachineStatus, MachineSummary,
};
pub use observed::{ContainerObservation, Drift, EngineMarker, Health, PublishedPort};
pub use plan::{FieldChange, Plan, PlanAction, PlanKept, PlanNote, Verb};
pub use policy::{PolicyEntry, Quota, Role};
pub use problem::{Code, Located, Problem, Severity};
pub use secret::{LONGEST_SECRET, NewSecret, REGISTRY_SECRET, Sealed, SealingKey, Secret, SecretHead};
pub use stack::{StackFacts, StackStatus};
pub use status::{CommandState, IllegalTransition, Status};
pub use time::Time;
pub use upload::{NewUpload, Upload, UploadOf};
