//! What the bucket HEADS and the stream VERSIONS hold: the owner's own records of its aggregates.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::BoxFormat;
use crate::engine::Engine;
use crate::ids::{Digest, MachineId, Name, SecretName, StackId};
use crate::rest::VersionFile;
use crate::secret::SecretHead;
use crate::time::Time;

/// The installation, under the key `installation`: written once, when the broker is provisioned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Installation {
    /// Its id; in the labels of everything that it makes on an engine.
    pub id: Uuid,
    /// The engines that it has; a command for any other is rejected.
    pub engines: Vec<Engine>,
    /// When it was made.
    pub created_at: Time,
}

/// Whether a stack should run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    /// Nothing was applied yet.
    Created,
    /// Its current version should run.
    Running,
    /// Its containers should exist and be stopped.
    Stopped,
}

/// A stack's head, under `stack.<id>`: what the docker-executor knows of it without reading the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StackHead {
    /// The stack.
    pub id: StackId,
    /// Its name, unique per owner.
    pub name: Name,
    /// Who owns it.
    pub owner: Name,
    /// The Compose project label of its containers.
    pub project: String,
    /// The host that it lives on.
    pub host: String,
    /// The newest version's number.
    pub latest: u32,
    /// The version that runs, once one was applied.
    pub current: Option<u32>,
    /// Whether it should run.
    pub desired: Desired,
    /// True when it was deleted; the record stays, so that the id is never used again.
    pub deleted: bool,
    /// The sequence of the last command that converged the containers and ended well; 0 before the first.
    #[serde(default)]
    pub converged: u64,
    /// The sequence of the command that wrote this record last; one that names the command in hand means that it was written already.
    pub command: u64,
    /// When the stack was made.
    pub created_at: Time,
    /// Which images each version ran with last, by its number: the digest of an [`ImageLock`] in BUNDLES.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<u32, Digest>,
    /// True from a rollback until another version is applied: the current version keeps the images of its lock, whatever their names
    /// mean by now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Its secrets; their values are sealed, and lie elsewhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SecretName, SecretHead>,
}

/// The images that a version ran with, by their names in the definition; kept in BUNDLES as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageLock {
    /// Each image, by the name by which containers are made of it.
    pub images: BTreeMap<String, LockedImage>,
}

/// What the name of an image meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockedImage {
    /// The engine's id of it (`Id` of `GET /images/{name}/json`).
    pub id: String,
    /// How a registry knows it, `repository@sha256:…`; none of what was built here, or came from nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Which lock belongs to a version, and whether the version keeps to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockOf {
    /// The digest of the [`ImageLock`] in BUNDLES.
    pub digest: Digest,
    /// True after a rollback.
    pub pinned: bool,
}

/// What should be seen of a service when its version runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceExpectation {
    /// The service.
    pub name: String,
    /// How many containers it has.
    pub containers: u32,
    /// True when a container that ended with exit code 0 is as it should be.
    pub may_finish: bool,
}

/// A machine's head, under `machine.<id>`: what the libvirt-executor knows of it without reading the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineHead {
    /// The machine.
    pub id: MachineId,
    /// Its name, unique per owner.
    pub name: Name,
    /// Who owns it.
    pub owner: Name,
    /// The name of its domain, unique on the host.
    pub domain: String,
    /// The host that it lives on.
    pub host: String,
    /// The newest version's number.
    pub latest: u32,
    /// The version that was applied last and ended well.
    pub current: Option<u32>,
    /// Whether it should run.
    pub desired: Desired,
    /// True when it was deleted; the record stays, so that the id is never used again.
    pub deleted: bool,
    /// The sequence of the last command that converged it and ended well; 0 before the first.
    #[serde(default)]
    pub converged: u64,
    /// The sequence of the command that wrote this record last.
    pub command: u64,
    /// When the machine was made.
    pub created_at: Time,
}

/// A box, under `box.<name>`: what the libvirt-executor has imported into its pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoxHead {
    /// Its name, unique on the host.
    pub name: Name,
    /// Who imported it.
    pub owner: Name,
    /// The host whose pool has it.
    pub host: String,
    /// What it is; never [`BoxFormat::Vagrant`].
    pub format: BoxFormat,
    /// Its volume in the pool.
    pub volume: String,
    /// The SHA-256 of what was imported.
    pub sha256: Digest,
    /// Its bytes.
    pub size: u64,
    /// The bytes that a disk made of it has at least.
    pub capacity: u64,
    /// What it is for.
    pub description: String,
    /// Where it came from: an address without what may be secret in it, or `upload`.
    pub origin: String,
    /// When it was imported.
    pub imported_at: Time,
    /// True when it was removed.
    pub deleted: bool,
    /// The sequence of the command that wrote this record last.
    pub command: u64,
}

/// What a version is of; on the wire a field of its own, `stack_id` or `machine_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Versioned {
    /// A stack.
    #[serde(rename = "stack_id")]
    Stack(StackId),
    /// A machine.
    #[serde(rename = "machine_id")]
    Machine(MachineId),
}

impl From<StackId> for Versioned {
    fn from(id: StackId) -> Self {
        Self::Stack(id)
    }
}

impl From<MachineId> for Versioned {
    fn from(id: MachineId) -> Self {
        Self::Machine(id)
    }
}

/// One version, on `orrery.versions.stack.<id>.<number>` or `orrery.versions.machine.<id>.<number>`: written once, immutable
/// by the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionRecord {
    /// The stack or machine.
    #[serde(flatten)]
    pub of: Versioned,
    /// The number, from 1, without gaps.
    pub version: u32,
    /// The number before it.
    pub parent: Option<u32>,
    /// Who wrote it.
    pub author: Name,
    /// What the author says about it.
    pub comment: String,
    /// When it was written.
    pub created_at: Time,
    /// The bundle.
    pub digest: Digest,
    /// What is in the bundle.
    pub files: Vec<VersionFile>,
    /// The sequence of the command that made it.
    pub command: u64,
}

/// Where an executor starts, under `queue.<engine>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueMark {
    /// Every command up to this sequence of COMMANDS has ended.
    pub commands: u64,
    /// Every transition of a later command lies behind this sequence of EVENTS.
    pub events: u64,
}
