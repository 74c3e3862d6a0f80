//! What the bucket HEADS and the stream VERSIONS hold: the owner's own records of its aggregates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::Engine;
use crate::ids::{Digest, Name, StackId};
use crate::rest::VersionFile;
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

/// One version, on `orrery.versions.stack.<id>.<number>`: written once, immutable by the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionRecord {
    /// The stack.
    pub stack_id: StackId,
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
