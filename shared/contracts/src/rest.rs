//! The shapes of the REST API that other programs rely on: fields are added, never renamed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bundle::Bundle;
use crate::command::BoxFormat;
use crate::heads::Versioned;
use crate::ids::{Digest, MachineId, StackId};
use crate::machine::{DomainState, MachineStatus, MachineSummary, Snapshot};
use crate::observed::{Drift, Health, PublishedPort};
use crate::plan::Plan;
use crate::policy::Role;
use crate::problem::Located;
use crate::stack::StackStatus;
use crate::status::Status;
use crate::time::Time;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins (`?after=`); null at the end.
    pub next: Option<String>,
}

/// A stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stack {
    /// Its id.
    pub id: StackId,
    /// Its name, unique per owner.
    pub name: String,
    /// Who owns it.
    pub owner: String,
    /// The version that runs, once one was applied.
    pub current_version: Option<u32>,
    /// The newest version; 0 while its creation waits.
    pub latest_version: u32,
    /// How it is, derived.
    pub status: StackStatus,
    /// Its services, counted.
    pub services: ServiceCounts,
    /// When it was made.
    pub created_at: Time,
    /// The host that it lives on.
    pub host: String,
    /// The Compose project label of its containers.
    pub project: String,
    /// What its author said about the latest version.
    pub comment: String,
    /// The command that changes it now, waits to, or failed.
    pub command: Option<u64>,
    /// How many of its containers differ from their version.
    pub drifted: u32,
}

/// Services, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceCounts {
    /// Of the current version.
    pub total: u32,
    /// Whose containers all run, or have finished as they may.
    pub running: u32,
    /// Of those, the ones that are healthy or have no health check.
    pub healthy: u32,
}

/// A version of a stack or machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// The stack or machine.
    #[serde(flatten)]
    pub of: Versioned,
    /// The number, from 1.
    pub version: u32,
    /// The number before it.
    pub parent_version: Option<u32>,
    /// Who wrote it.
    pub author: String,
    /// What the author says.
    pub comment: String,
    /// When it was written.
    pub created_at: Time,
    /// The bundle.
    pub digest: Digest,
    /// What is in the bundle.
    pub files: Vec<VersionFile>,
}

/// One file of a version; its content is at `GET /bundles/{digest}?path=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionFile {
    /// The path within the bundle.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its content.
    pub digest: Digest,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// The id that its publisher chose; as written, when it is not a UUID.
    pub id: String,
    /// Its place in the one order.
    pub seq: u64,
    /// `stack.apply`, …; null when the message cannot be read.
    pub r#type: Option<String>,
    /// As its publisher wrote it.
    pub target: Option<String>,
    /// The stack that it is about, once known.
    pub stack_id: Option<StackId>,
    /// The name of that stack.
    pub stack_name: Option<String>,
    /// The machine that it is about, once known.
    #[serde(default)]
    pub machine_id: Option<MachineId>,
    /// The name of that machine.
    #[serde(default)]
    pub machine_name: Option<String>,
    /// The version that it is about.
    pub version: Option<u32>,
    /// Where it stands.
    pub status: Status,
    /// Why it was cancelled, or what its end says: "nothing to do".
    pub reason: Option<String>,
    /// What went wrong.
    pub error: Option<CommandError>,
    /// Who put it on the queue.
    pub publisher: String,
    /// On whose behalf.
    pub actor: Option<String>,
    /// `hold` or `release`.
    pub on_failure: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The executor's runs within the attempt.
    pub run: u32,
    /// True when somebody asked to cancel it while it runs.
    pub cancel_requested: bool,
    /// When it was accepted.
    pub created_at: Time,
    /// When its present attempt began.
    pub started_at: Option<Time>,
    /// When it ended (DONE or CANCELLED only).
    pub ended_at: Option<Time>,
    /// The plan that it carries out.
    pub plan: Option<Plan>,
    /// What it did and does, in the present attempt.
    pub steps: Vec<Step>,
}

/// What went wrong with a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandError {
    /// A stable code.
    pub code: String,
    /// What happened, where, and what to do.
    pub message: String,
    /// The step that failed.
    pub step: Option<u32>,
}

/// One step of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its number within the attempt, from 1.
    pub n: u32,
    /// What is done: `container.create`, …
    pub action: String,
    /// What it is done to.
    pub subject: String,
    /// The action of the plan that it belongs to.
    pub plan: Option<u32>,
    /// `running`, `done`, `found_done`, `skipped`, `failed`.
    pub status: String,
    /// One line for a person.
    pub detail: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The step's kept log, at `GET /bundles/{digest}`.
    pub log: Option<Digest>,
}

/// A container of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The service.
    pub service: String,
    /// Its number within the service.
    pub number: u32,
    /// The image as it was asked for.
    pub image: String,
    /// The engine's word for its state.
    pub state: String,
    /// What its health check says.
    pub health: Health,
    /// The exit code, once it has ended.
    pub exit_code: Option<i64>,
    /// The ports that the host answers on.
    pub ports: Vec<PublishedPort>,
    /// When it was started last.
    pub started_at: Option<Time>,
    /// The version that it was made for.
    pub version: Option<u32>,
    /// What differs from that version.
    pub drift: Vec<Drift>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Its id; the UUID of its domain too.
    pub id: MachineId,
    /// Its name, unique per owner.
    pub name: String,
    /// Who owns it.
    pub owner: String,
    /// The version that was applied last and ended well.
    pub current_version: Option<u32>,
    /// The newest version; 0 while its creation waits.
    pub latest_version: u32,
    /// How it is, derived.
    pub status: MachineStatus,
    /// What its current version is, in short.
    pub summary: Option<MachineSummary>,
    /// What its domain does; null when there is none.
    pub state: Option<DomainState>,
    /// Why, in libvirt's words.
    pub state_reason: Option<String>,
    /// Its addresses, as far as leases, agent or ARP tell them.
    pub addresses: Vec<String>,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// What differs from its version.
    pub drift: Vec<Drift>,
    /// When it was made.
    pub created_at: Time,
    /// The host that it lives on.
    pub host: String,
    /// The name of its domain.
    pub domain: String,
    /// What its author said about the latest version.
    pub comment: String,
    /// The command that changes it now, waits to, or failed.
    pub command: Option<u64>,
}

/// A box: what machines begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineBox {
    /// Its name.
    pub name: String,
    /// The host whose pool has it.
    pub host: String,
    /// What it is.
    pub format: BoxFormat,
    /// The SHA-256 of what was imported.
    pub sha256: Digest,
    /// The bytes that it takes in the pool.
    pub size: u64,
    /// The bytes that a disk made of it has at least.
    pub capacity: u64,
    /// What it is for.
    pub description: String,
    /// Where it came from.
    pub origin: String,
    /// When it was imported.
    pub imported_at: Time,
    /// The machines whose disks lie on it.
    pub used_by: Vec<MachineId>,
}

/// Body of `POST /stacks` and `POST /machines`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStack {
    /// The name.
    pub name: String,
    /// The files of version 1; or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// the digest of files that were uploaded to `/bundles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What the author says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Body of `POST /stacks/{id}/versions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVersion {
    /// The files; or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// the digest of files that were uploaded to `/bundles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What the author says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Body of `POST /compose/check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// The files.
    pub bundle: Bundle,
    /// The project's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The folder that relative paths are shown against in `normalized`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_dir: Option<String>,
    /// Variables beside those of the bundle's `.env`.
    #[serde(default)]
    pub environment: std::collections::BTreeMap<String, String>,
}

/// Answer of `POST /compose/check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckReport {
    /// Whether it is valid Compose.
    pub valid: bool,
    /// What is not.
    pub errors: Vec<Located>,
    /// What is valid and refused by Orrery: blocks plan and apply.
    pub refusals: Vec<Located>,
    /// What has no effect, and warnings.
    pub notes: Vec<Located>,
    /// The canonical form, as Compose's `config` gives it; null when invalid.
    pub normalized: Option<serde_json::Value>,
}

/// Answer of `POST /bundles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleInfo {
    /// The bundle's digest.
    pub digest: Digest,
    /// What is in it.
    pub files: Vec<VersionFile>,
}

/// Answer of `GET /stacks/{id}/diff/{a}/{b}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionDiff {
    /// The version on the left.
    pub from: u32,
    /// The version on the right.
    pub to: u32,
    /// File by file.
    pub files: Vec<FileDiff>,
}

/// How one file differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDiff {
    /// The path.
    pub path: String,
    /// `added`, `removed`, `changed`.
    pub status: String,
    /// Unified diff; null for files that are not text.
    pub diff: Option<String>,
}

/// Answer of `GET /stacks/{id}/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StackDetail {
    /// The stack.
    #[serde(flatten)]
    pub stack: Stack,
    /// Its containers.
    pub containers: Vec<Container>,
}

/// Body of `POST /auth/login`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// Body of `POST /auth/password`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present password.
    pub current: String,
    /// The new one, of at least 12 characters.
    pub new: String,
}

/// Who is signed in: answer of `POST /auth/login` and `GET /auth/me`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// The user's name.
    pub username: String,
    /// The role.
    pub role: Role,
    /// When the session ends unless it is used; null for a token.
    pub expires_at: Option<Time>,
}

/// Answer of `GET /queue`: what the page shows on top of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueState {
    /// The first command that has not ended.
    pub head: Option<Command>,
    /// True when that one is FAILED.
    pub held: bool,
    /// The engine whose executor the head waits for, when it is away.
    pub executor_away: Option<String>,
    /// How many commands wait behind the head.
    pub waiting: u64,
    /// The last sequence of COMMANDS that the read model has.
    pub last_seq: u64,
}

/// A host, in `GET /hosts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// The engine: `docker`, `libvirt`.
    pub engine: String,
    /// The engine's version, once known.
    pub engine_version: Option<String>,
    /// The API version that was negotiated.
    pub api_version: Option<String>,
    /// Processors.
    pub cpus: Option<u32>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// How virtual machines are run there, as a trial has shown: `kvm`, or `tcg`, which is software; null for an engine without.
    #[serde(default)]
    pub accelerator: Option<String>,
    /// Whether its executor gave a sign of life within the last 10 s.
    pub executor_alive: bool,
    /// Whether the executor reaches the engine.
    pub engine_ready: bool,
    /// What the executor waits for.
    pub waiting_for: Option<String>,
}

/// A user, in `GET /users`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// The id.
    pub id: Uuid,
    /// The name.
    pub username: String,
    /// The role.
    pub role: Role,
    /// When the user was made.
    pub created_at: Time,
}

/// Body of a request without fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// Body of `POST /stacks/{id}/plan/{version}` and `POST /machines/{id}/plan/{version}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// True for the plan of a rollback, which has the very images that the version ran with; else it is that of an apply.
    #[serde(default)]
    pub rollback: bool,
}

/// Body of `POST /stacks/{id}/delete`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteStack {
    /// Whether the named volumes and the stack's folder go too.
    #[serde(default)]
    pub volumes: bool,
}
