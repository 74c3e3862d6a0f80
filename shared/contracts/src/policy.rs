//! Rights, policies and quotas, as the bucket POLICY holds them: written by the api, obeyed by the executors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a user or publisher may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, of everybody.
    Admin,
    /// Makes and changes what is his own.
    User,
    /// Looks at what is his own.
    Viewer,
}

/// What may wait at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// Commands that have not ended.
    pub waiting_commands: u64,
    /// Bytes of their bodies.
    pub waiting_bytes: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { waiting_commands: 1000, waiting_bytes: 64 * 1024 * 1024 }
    }
}

/// An entry of POLICY, under `user.<name>` or `publisher.<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyEntry {
    /// The role.
    pub role: Role,
    /// The quota.
    #[serde(default)]
    pub quota: Quota,
}
