//! The broker topology and the in-order executor loop: the one place that knows how commands are followed, gated,
//! taken up, carried out by write-ahead steps, and ended.
//!
//! An executor implements [`executor::Executor`] and calls [`serve::serve`]. Everything that must be right about order,
//! exactly-once effects, crashes and races is here, once, for every engine; what an engine is and does is not known here.
//!
//! **Invariants:** the decision what comes next is pure ([`gate`]); every transition and every step is a compare-and-set
//! on the broker, whose answer is read back when in doubt; nothing runs before the marks outside the broker agree with it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod broker;
mod compare_and_set;
pub mod definitions;
pub mod executor;
pub mod follow;
pub mod frames;
pub mod gate;
pub mod history;
pub mod lock;
pub mod marks;
mod nats;
pub mod ports;
pub mod questions;
pub mod report;
pub mod run;
pub mod serve;
mod steps;
pub mod streams;
pub mod topology;
mod transitions;

pub use broker::{Broker, BrokerConfig, BrokerError};
pub use definitions::Definitions;
pub use executor::{Accepted, Executor, JudgeError, RunError, StepDone, StepFailure, StepHandle, StepRecord, StepSpec, StepState};
pub use report::Report;
pub use run::Run;
pub use serve::{ExecutorConfig, ServeError, serve};
pub use streams::{Link, Streams};
