//! What the executors and the api report: transitions, steps, cancel requests, and what became of stacks. Events are
//! kept for ever; readers tolerate fields that they do not know.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::heads::{Desired, LockOf, ServiceExpectation};
use crate::ids::{Digest, Name, SecretName, StackId};
use crate::plan::Plan;
use crate::rest::VersionFile;
use crate::secret::SecretHead;
use crate::status::Status;
use crate::time::Time;

/// One transition of one command, on `orrery.events.command.<seq>`; the broker's compare-and-set on that subject
/// decides between two that race.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransitionMessage {
    /// Made up by the writer, so that it recognises its own message when it reads the subject back.
    pub event_id: Uuid,
    /// The command's sequence in COMMANDS.
    pub seq: u64,
    /// SHA-256 of the command's body: a transition of another message at this number is never taken for one of ours.
    pub command_sha256: Digest,
    /// The attempt that this is about; a retry names the next one.
    pub attempt: u32,
    /// The run that this is about; 0 where no executor runs.
    pub run: u32,
    /// When, by the writer's clock; for display.
    pub at: Time,
    /// Who wrote it: `docker@local`, `libvirt@local`, or the user on whose behalf the api did.
    pub by: String,
    /// What changes.
    #[serde(flatten)]
    pub change: Change,
}

/// The state that a transition leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "to", rename_all = "UPPERCASE")]
pub enum Change {
    /// FAILED to PENDING: a retry.
    Pending {},
    /// PENDING to RUNNING, or RUNNING to RUNNING when an executor takes the command up again.
    Running {
        /// The deadline of this run in seconds, when it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_seconds: Option<u64>,
    },
    /// Ended well.
    Done {
        /// One line for a person: "nothing to do", "3 containers replaced".
        summary: String,
    },
    /// Stopped by an error.
    Failed {
        /// What went wrong.
        failure: Failure,
    },
    /// Ended without going on.
    Cancelled {
        /// Why; starts with `rejected:` when the command could not be accepted.
        reason: String,
    },
}

impl Change {
    /// The status that this change leads to.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Pending {} => Status::Pending,
            Self::Running { .. } => Status::Running,
            Self::Done { .. } => Status::Done,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }
}

/// What went wrong in an attempt, for a person and for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// A stable code: `image_not_found`, `unhealthy`, `engine`, `deadline`, `executor_died`, …
    pub code: String,
    /// What happened, where, and what to do.
    pub message: String,
    /// The step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
}

/// A request to stop a RUNNING command between two steps, on `orrery.events.command.<seq>.cancel`. It is no
/// transition: a DONE that comes first wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelRequest {
    /// Made up by the writer.
    pub event_id: Uuid,
    /// The command's sequence in COMMANDS.
    pub seq: u64,
    /// The attempt to stop; a request for another attempt has no effect.
    pub attempt: u32,
    /// When it was asked.
    pub at: Time,
    /// Who asked.
    pub by: String,
}

/// One entry of a command's write-ahead log, on `orrery.events.command.<seq>.step`, by compare-and-set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepMessage {
    /// Made up by the writer.
    pub event_id: Uuid,
    /// The command's sequence in COMMANDS.
    pub seq: u64,
    /// The attempt that writes.
    pub attempt: u32,
    /// The run that writes.
    pub run: u32,
    /// The step, counted from 1 within the attempt; 0 for entries that are about the whole run.
    pub n: u32,
    /// When, by the writer's clock; for display.
    pub at: Time,
    /// What is recorded.
    #[serde(flatten)]
    pub entry: StepEntry,
}

/// What an entry of the step log says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum StepEntry {
    /// A run begins to write. It comes before the first effect of the run, so that the broker refuses whatever an
    /// older, frozen executor tries next.
    Opened {
        /// The executor.
        by: String,
    },
    /// The plan that this run carries out.
    Planned {
        /// The plan, as shown.
        plan: Plan,
    },
    /// An effect is about to be made.
    Started {
        /// What is done: `container.create`, `image.pull`, …
        action: String,
        /// What it is done to: a container's, image's, network's or volume's name.
        subject: String,
        /// The action of the plan that this step belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<u32>,
    },
    /// The effect was made, or found made, or not needed, or it failed.
    Ended {
        /// How it ended.
        outcome: StepOutcome,
        /// One line for a person.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
        /// What later steps and a resumed run need to know: an id, a digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<serde_json::Value>,
        /// The step's log (build output, the last lines of a container that failed), kept in BUNDLES.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<Digest>,
    },
    /// A run stops in good order and leaves the rest to the next one: it has not died.
    Closed {
        /// Why: `shutdown`.
        why: String,
    },
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// The effect was made.
    Done,
    /// It was found made already, by a run that died before it could say so.
    FoundDone,
    /// It was not needed any more.
    Skipped,
    /// It could not be made.
    Failed,
}

/// A piece of what happens inside a step, on `orrery.progress.<seq>`; it ages, and nothing depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressMessage {
    /// The command's sequence in COMMANDS.
    pub seq: u64,
    /// The attempt that reports.
    pub attempt: u32,
    /// The run that reports.
    pub run: u32,
    /// The step that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// When, by the writer's clock; for display.
    pub at: Time,
    /// What is reported.
    #[serde(flatten)]
    pub line: ProgressLine,
}

/// One line of progress; a later line with the same `source` may take its place on a screen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressLine {
    /// What happens: `Downloading`, a line of a build's output.
    pub text: String,
    /// What it happens to: an image's layer, a stage of a build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// How far it has to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl ProgressLine {
    /// A line of text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// What became of a stack, on `orrery.events.stack.<id>`; published before the DONE of its command. `event_id` is
/// derived from command and change ([`StackEvent::derive_id`]), so that a repeat changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StackEvent {
    /// Derived; see [`StackEvent::derive_id`].
    pub event_id: Uuid,
    /// The stack.
    pub stack_id: StackId,
    /// The command that caused it.
    pub seq: u64,
    /// When, by the executor's clock.
    pub at: Time,
    /// What changed.
    #[serde(flatten)]
    pub change: StackChange,
}

impl StackEvent {
    /// The id of the event that the command at `seq` causes by this change: the same for every repeat of it.
    #[must_use]
    pub fn derive_id(stack_id: StackId, seq: u64, attempt: u32, change: &StackChange) -> Uuid {
        let what = match change {
            StackChange::Created { .. } => "created".to_owned(),
            StackChange::VersionCreated { version, .. } => format!("version:{version}"),
            StackChange::HeadMoved { current, .. } => format!("head:{current:?}:{attempt}"),
            StackChange::DesiredChanged { desired } => format!("desired:{desired:?}:{attempt}"),
            StackChange::SecretsChanged { .. } => "secrets".to_owned(),
            StackChange::Deleted { .. } => "deleted".to_owned(),
        };
        Uuid::new_v5(&stack_id.uuid(), format!("{seq}:{what}").as_bytes())
    }
}

/// A change of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum StackChange {
    /// The stack exists.
    Created {
        /// Its name, unique per owner.
        name: Name,
        /// Who owns it.
        owner: Name,
        /// The Compose project label of its containers.
        project: String,
        /// The host that it lives on.
        host: String,
    },
    /// A version was written.
    VersionCreated {
        /// Its number, from 1, without gaps.
        version: u32,
        /// The number before it.
        parent: Option<u32>,
        /// Who wrote it.
        author: Name,
        /// What the author says about it.
        comment: String,
        /// The bundle.
        digest: Digest,
        /// What is in the bundle.
        files: Vec<VersionFile>,
    },
    /// The version that runs has changed.
    HeadMoved {
        /// The version that runs now.
        current: Option<u32>,
        /// What should be seen when all of it runs.
        services: Vec<ServiceExpectation>,
        /// Which images it runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lock: Option<LockOf>,
    },
    /// Whether the stack should run has changed.
    DesiredChanged {
        /// What is wanted now.
        desired: Desired,
    },
    /// A secret was set or removed.
    SecretsChanged {
        /// All that there ever were, by name; the values lie elsewhere, sealed.
        secrets: BTreeMap<SecretName, SecretHead>,
    },
    /// The stack is gone; its versions stay in the log.
    Deleted {
        /// Whether its named volumes went too.
        volumes: bool,
    },
}
