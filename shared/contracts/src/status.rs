//! The state machine of a command: one enum, one transition function. The executors, the api, the projector, the page
//! and the tests all call [`CommandState::apply`]; nobody else decides what may follow what.
//!
//! ```text
//! PENDING ──► RUNNING ──► DONE
//!    │           ├──────► FAILED ──retry──► PENDING
//!    │           └──────► CANCELLED
//!    └─────────────────► CANCELLED        FAILED ──cancel──► CANCELLED
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::{Change, Failure, TransitionMessage};

/// The word for where a command stands, as written on every wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Waits for its turn.
    Pending,
    /// An executor works on it.
    Running,
    /// Ended well.
    Done,
    /// Stopped by an error; holds the queue until somebody retries or cancels it.
    Failed,
    /// Ended without its effect, or with what was done up to the cancel.
    Cancelled,
}

impl Status {
    /// Whether nothing can follow: the queue goes on behind it.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Done | Self::Cancelled => true,
            Self::Pending | Self::Running | Self::Failed => false,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// Where a command stands, with what that state knows. Without any transition a command is [`CommandState::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandState {
    /// Waits for its turn in this attempt (the first is 1; each retry raises it).
    Pending {
        /// The attempt that waits.
        attempt: u32,
    },
    /// Worked on by the executor that published this run (the first of an attempt is 1; each take-over raises it).
    Running {
        /// The attempt that runs.
        attempt: u32,
        /// The run within the attempt.
        run: u32,
    },
    /// Ended well.
    Done {
        /// The attempt that succeeded.
        attempt: u32,
        /// Its last run.
        run: u32,
    },
    /// Stopped by an error.
    Failed {
        /// The attempt that failed.
        attempt: u32,
        /// Its last run.
        run: u32,
        /// What went wrong.
        failure: Failure,
    },
    /// Ended without going on.
    Cancelled {
        /// The attempt that was cancelled.
        attempt: u32,
        /// Why; starts with `rejected:` when the command could not be accepted.
        reason: String,
        /// The error of the attempt, when it had failed before it was cancelled.
        failure: Option<Failure>,
    },
}

/// A transition that the state machine does not have, or that belongs to another attempt or run.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{from} of attempt {attempt} run {run} does not go to {to} of attempt {to_attempt} run {to_run}", from = .from.as_str(), to = .to.as_str())]
pub struct IllegalTransition {
    /// The state that the command is in.
    pub from: Status,
    /// Its attempt.
    pub attempt: u32,
    /// Its run; 0 where the state has none.
    pub run: u32,
    /// The state that was asked for.
    pub to: Status,
    /// The attempt that the message named.
    pub to_attempt: u32,
    /// The run that the message named.
    pub to_run: u32,
}

impl CommandState {
    /// A command that was accepted and has no transition yet.
    #[must_use]
    pub const fn new() -> Self {
        Self::Pending { attempt: 1 }
    }

    /// The word for this state.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Pending { .. } => Status::Pending,
            Self::Running { .. } => Status::Running,
            Self::Done { .. } => Status::Done,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// The present attempt; 1 is the first.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        match self {
            Self::Pending { attempt }
            | Self::Running { attempt, .. }
            | Self::Done { attempt, .. }
            | Self::Failed { attempt, .. }
            | Self::Cancelled { attempt, .. } => *attempt,
        }
    }

    /// The last run of the present attempt; 0 before the first.
    #[must_use]
    pub const fn run(&self) -> u32 {
        match self {
            Self::Running { run, .. } | Self::Done { run, .. } | Self::Failed { run, .. } => *run,
            Self::Pending { .. } | Self::Cancelled { .. } => 0,
        }
    }

    /// The state after a transition message.
    ///
    /// A message names the attempt and run that it is about: RUNNING the next run (1 after PENDING), a retry the next
    /// attempt, everything else the present ones.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the machine has no such step from here, or the message is about another attempt or run.
    pub fn apply(self, message: &TransitionMessage) -> Result<Self, IllegalTransition> {
        let illegal = self.illegal(message);
        let same_attempt = message.attempt == self.attempt();
        let same_run = same_attempt && message.run == self.run();
        match (self, &message.change) {
            (Self::Pending { attempt }, Change::Running { .. }) if same_attempt && message.run == 1 => {
                Ok(Self::Running { attempt, run: 1 })
            }
            (Self::Running { attempt, run }, Change::Running { .. }) if same_attempt && message.run > run => {
                Ok(Self::Running { attempt, run: message.run })
            }
            (Self::Running { attempt, run }, Change::Done { .. }) if same_run => Ok(Self::Done { attempt, run }),
            (Self::Running { attempt, run }, Change::Failed { failure }) if same_run => {
                Ok(Self::Failed { attempt, run, failure: failure.clone() })
            }
            (Self::Running { attempt, .. }, Change::Cancelled { reason }) if same_run => {
                Ok(Self::Cancelled { attempt, reason: reason.clone(), failure: None })
            }
            (Self::Pending { attempt }, Change::Cancelled { reason }) if same_attempt => {
                Ok(Self::Cancelled { attempt, reason: reason.clone(), failure: None })
            }
            (Self::Failed { attempt, failure, .. }, Change::Cancelled { reason }) if same_attempt => {
                Ok(Self::Cancelled { attempt, reason: reason.clone(), failure: Some(failure) })
            }
            (Self::Failed { attempt, .. }, Change::Pending {}) if message.attempt == attempt.saturating_add(1) => {
                Ok(Self::Pending { attempt: message.attempt })
            }
            (
                Self::Pending { .. },
                Change::Pending {} | Change::Running { .. } | Change::Done { .. } | Change::Failed { .. } | Change::Cancelled { .. },
            )
            | (
                Self::Running { .. },
                Change::Pending {} | Change::Running { .. } | Change::Done { .. } | Change::Failed { .. } | Change::Cancelled { .. },
            )
            | (
                Self::Failed { .. },
                Change::Pending {} | Change::Running { .. } | Change::Done { .. } | Change::Failed { .. } | Change::Cancelled { .. },
            )
            | (
                Self::Done { .. },
                Change::Pending {} | Change::Running { .. } | Change::Done { .. } | Change::Failed { .. } | Change::Cancelled { .. },
            )
            | (
                Self::Cancelled { .. },
                Change::Pending {} | Change::Running { .. } | Change::Done { .. } | Change::Failed { .. } | Change::Cancelled { .. },
            ) => Err(illegal),
        }
    }

    fn illegal(&self, message: &TransitionMessage) -> IllegalTransition {
        IllegalTransition {
            from: self.status(),
            attempt: self.attempt(),
            run: self.run(),
            to: message.change.status(),
            to_attempt: message.attempt,
            to_run: message.run,
        }
    }
}

impl Default for CommandState {
    fn default() -> Self {
        Self::new()
    }
}
