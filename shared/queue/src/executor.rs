//! What an executor is to the queue: it judges a command when its turn has come, and carries it out by steps. It does
//! not decide about order, and it publishes no transition itself.

use std::future::Future;

use bytes::Bytes;
use orrery_contracts::{CommandId, CommandMessage, Digest, Failure, Name, ProgressLine, Rejection, Role, StepOutcome, Time};
use serde_json::Value;
use thiserror::Error;

use crate::run::Run;

/// The engine's side of the loop.
pub trait Executor: Send + Sync + 'static {
    /// What judging found out and carrying out needs.
    type Job: Send + 'static;

    /// Reads the body of a command that this executor owns. The default reads what this release knows; an executor
    /// whose types are not part of it says so in its own words.
    ///
    /// # Errors
    /// Why the message is not a command; it ends as `rejected: …` when its turn comes.
    fn read(&self, body: &[u8]) -> Result<CommandMessage, Rejection> {
        CommandMessage::read(body)
    }

    /// Judges whether the command fits the world: heads, rights, digests, bundle, definition. Without any effect.
    /// Called when the command's turn has come: before its RUNNING, and again when a later run takes it up.
    ///
    /// In a later run (`command.resumed`) a rejection ends the attempt as FAILED, because effects may have begun.
    fn judge(&self, command: &Accepted) -> impl Future<Output = Result<Self::Job, JudgeError>> + Send;

    /// Carries the command out. Every effect goes through [`Run::step`]. It may be called again after a crash, in a
    /// later run, and then finds in [`Run::earlier`] what earlier runs began.
    ///
    /// The summary of a success is one line for a person: "nothing to do", "3 containers replaced".
    fn execute(&self, job: Self::Job, run: &Run) -> impl Future<Output = Result<String, RunError>> + Send;

    /// What the engine is waited for, in words; none while it can be reached. Asked for each heartbeat; must be cheap.
    fn waiting_for(&self) -> Option<String> {
        None
    }
}

/// A command whose turn has come: read, with its publisher's rights found in POLICY.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its sequence in COMMANDS.
    pub seq: u64,
    /// Who put it on the queue, proved by the broker.
    pub publisher: String,
    /// Its id, chosen by the publisher.
    pub id: CommandId,
    /// SHA-256 of the body.
    pub sha256: Digest,
    /// What it says.
    pub message: CommandMessage,
    /// On whose behalf.
    pub actor: Name,
    /// What he may do.
    pub role: Role,
    /// When the broker took it; for display.
    pub accepted_at: Time,
    /// The raw body.
    pub body: Bytes,
    /// True when an earlier run of this attempt had begun.
    pub resumed: bool,
}

/// Why a command is not carried out now.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JudgeError {
    /// It does not fit the world: it ends as CANCELLED, `rejected: …`, and holds nobody.
    #[error("{0}")]
    Rejected(#[from] Rejection),
    /// The world cannot be asked now; judged again with back-off, and shown in readiness.
    #[error("{0}")]
    Transient(String),
}

/// Why a run did not end well.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RunError {
    /// The attempt ends as FAILED.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// A cancel was asked for, and seen between two steps: the attempt ends as CANCELLED.
    #[error("cancelled")]
    Cancelled,
    /// Another executor has taken the command up: this process must not have any further effect.
    #[error("another executor has taken the command up")]
    Stale,
    /// The process is asked to end: the rest is left to the next run.
    #[error("shutting down")]
    ShuttingDown,
    /// The deadline passed while the broker could not be reached to write a step ahead.
    #[error("the broker was away until the deadline")]
    BrokerAway,
}

impl RunError {
    /// A failure with a code and what to tell.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failed(Failure { code: code.into(), message: message.into(), step: None })
    }
}

/// What a step is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepSpec {
    /// What is done: `container.create`, `image.pull`, …
    pub action: String,
    /// What it is done to: a container's, image's, network's or volume's name.
    pub subject: String,
    /// The action of the plan that it belongs to.
    pub plan: Option<u32>,
}

impl StepSpec {
    /// A step that belongs to no action of the plan.
    pub fn new(action: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { action: action.into(), subject: subject.into(), plan: None }
    }

    /// The same step, as part of that action of the plan.
    #[must_use]
    pub fn of_plan(mut self, n: u32) -> Self {
        self.plan = Some(n);
        self
    }
}

/// How a step's effect went well.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDone {
    /// Done, found done, or skipped.
    pub outcome: StepOutcome,
    /// One line for a person.
    pub detail: String,
    /// What later steps and a resumed run need to know: an id, a digest.
    pub output: Option<Value>,
    /// The step's log; put into BUNDLES and named by its digest.
    pub log: Option<Vec<u8>>,
}

impl StepDone {
    /// The effect was made.
    pub fn done(detail: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Done, detail: detail.into(), output: None, log: None }
    }

    /// The effect was found made.
    pub fn found_done(detail: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::FoundDone, ..Self::done(detail) }
    }

    /// The effect was not needed.
    pub fn skipped(detail: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Skipped, ..Self::done(detail) }
    }

    /// With what later steps need to know.
    #[must_use]
    pub fn with_output(mut self, output: Value) -> Self {
        self.output = Some(output);
        self
    }

    /// With a log to keep.
    #[must_use]
    pub fn with_log(mut self, log: Vec<u8>) -> Self {
        self.log = Some(log);
        self
    }
}

/// How a step's effect failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFailure {
    /// What went wrong; the queue fills in the step's number.
    pub failure: Failure,
    /// The step's log; put into BUNDLES and named by its digest.
    pub log: Option<Vec<u8>>,
}

impl StepFailure {
    /// A failure with a code and what to tell.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { failure: Failure { code: code.into(), message: message.into(), step: None }, log: None }
    }

    /// With a log to keep.
    #[must_use]
    pub fn with_log(mut self, log: Vec<u8>) -> Self {
        self.log = Some(log);
        self
    }
}

/// What the effect of a step gets in hand.
#[derive(Clone, Debug)]
pub struct StepHandle {
    pub(crate) n: u32,
    pub(crate) progress: crate::run::Progress,
}

impl StepHandle {
    /// The step's number within the attempt.
    #[must_use]
    pub fn n(&self) -> u32 {
        self.n
    }

    /// Reports progress of this step; best effort.
    pub async fn progress(&self, line: ProgressLine) {
        self.progress.report(Some(self.n), line).await;
    }
}

/// A step that an earlier run of this attempt wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRecord {
    /// Its number within the attempt.
    pub n: u32,
    /// The run that started it.
    pub run: u32,
    /// What it was about to do.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// The action of the plan that it belonged to.
    pub plan: Option<u32>,
    /// How far it came.
    pub state: StepState,
}

/// How far a step came.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// Started, and never ended: whether its effect was made must be looked at.
    Open,
    /// Ended.
    Ended {
        /// How.
        outcome: StepOutcome,
        /// What later steps need to know.
        output: Option<Value>,
    },
}
