//! What an apply waits for.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// When a machine counts as ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// What must be seen.
    #[serde(flatten)]
    pub until: Condition,
    /// How long it may take.
    #[serde(serialize_with = "super::duration")]
    pub timeout: Duration,
}

impl Default for Ready {
    fn default() -> Self {
        Self { until: Condition::Running, timeout: Duration::from_secs(300) }
    }
}

/// What must be seen of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Running,
    /// It has taken an address.
    Address,
    /// The agent in the guest answers.
    Agent,
    /// This TCP port of the guest takes connections.
    Tcp(u16),
    /// This text stands on its serial console.
    Console(String),
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Running => to.collect_map([("running", true)]),
            Self::Address => to.collect_map([("address", true)]),
            Self::Agent => to.collect_map([("agent", true)]),
            Self::Tcp(port) => to.collect_map([("tcp", port)]),
            Self::Console(text) => to.collect_map([("console", text)]),
        }
    }
}
