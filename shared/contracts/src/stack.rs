//! The status of a stack: derived from facts each time it is asked for, never kept as a truth of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::heads::Desired;

/// The word for how a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StackStatus {
    /// It has versions, and none was applied.
    Created,
    /// A command that changes its containers waits or runs.
    Deploying,
    /// Everything of the current version runs.
    Running,
    /// Something of the current version does not run, or is unhealthy.
    Degraded,
    /// It was stopped.
    Stopped,
    /// It runs, and differs from its version.
    Drifted,
    /// Its last command failed and has not been dealt with.
    Failed,
    /// It is on its way out.
    Deleting,
}

/// What a stack's status follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackFacts {
    /// Whether it should run.
    pub desired: Desired,
    /// A `stack.delete` has not ended.
    pub deleting: bool,
    /// A command that changes its containers is RUNNING, or PENDING.
    pub changing: bool,
    /// A command of this stack is FAILED.
    pub failed: bool,
    /// Services of the current version.
    pub services_total: u32,
    /// Services whose containers all run, or have finished as they may.
    pub services_running: u32,
    /// A container is unhealthy.
    pub unhealthy: bool,
    /// A container differs from its version.
    pub drifted: bool,
}

impl StackStatus {
    /// The word for these facts; the more urgent one wins.
    #[must_use]
    pub const fn derive(facts: &StackFacts) -> Self {
        if facts.failed {
            return Self::Failed;
        }
        if facts.deleting {
            return Self::Deleting;
        }
        if facts.changing {
            return Self::Deploying;
        }
        match facts.desired {
            Desired::Created => Self::Created,
            Desired::Stopped => Self::Stopped,
            Desired::Running if facts.services_running < facts.services_total || facts.unhealthy => Self::Degraded,
            Desired::Running if facts.drifted => Self::Drifted,
            Desired::Running => Self::Running,
        }
    }
}
