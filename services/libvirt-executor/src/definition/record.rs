//! What Orrery writes beside a domain's definition (`<metadata>`): whose it is, what it was made for, and what libvirt made of it.

use orrery_contracts::MachineId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Identity;

/// The record beside a domain, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The installation.
    pub installation: Uuid,
    /// The machine.
    pub machine: MachineId,
    /// Who owns it.
    pub owner: String,
    /// The version that it was defined for.
    pub version: u32,
    /// The command that defined it.
    pub command: u64,
    /// SHA-256 of the definition that we sent.
    pub definition: String,
    /// The boxes that its domain reads as they are, by volume.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<String>,
    /// SHA-256 of what libvirt said right after it had taken it: another one tells of somebody's hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
}

impl Record {
    pub(super) fn of(identity: &Identity, definition: &str, boxes: &[String]) -> Self {
        let Identity { installation, machine, owner, version, command, .. } = identity.clone();
        Self { installation, machine, owner, version, command, definition: definition.to_owned(), boxes: boxes.to_vec(), taken: None }
    }

    /// Reads what stands beside a domain; none when it is not ours to read.
    #[must_use]
    pub fn read(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// As it is written.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
