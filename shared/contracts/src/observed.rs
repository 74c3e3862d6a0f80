//! What an engine says now. Observations are kept, the last of each; a removal is a tombstone (an empty body with the
//! header [`crate::subjects::TOMBSTONE_HEADER`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::StackId;
use crate::time::Time;

/// What a container's health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It has no health check.
    None,
    /// It has not answered yet.
    Starting,
    /// It answers.
    Healthy,
    /// It does not.
    Unhealthy,
}

/// A port of a container that the host answers on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PublishedPort {
    /// The address on the host; `0.0.0.0` and `::` are all of them.
    pub host_ip: String,
    /// The port on the host.
    pub host_port: u16,
    /// The port in the container.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// A container that the engine has, on `orrery.observed.<host>.container.<id>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerObservation {
    /// The engine's id.
    pub id: String,
    /// Its name, without the leading slash.
    pub name: String,
    /// The host.
    pub host: String,
    /// The installation that its label names; none for what Orrery did not make.
    pub installation: Option<Uuid>,
    /// The stack that its label names.
    pub stack_id: Option<StackId>,
    /// The Compose project, when it has one.
    pub project: Option<String>,
    /// The service.
    pub service: Option<String>,
    /// Its number within the service, from 1.
    pub number: Option<u32>,
    /// The version that its label names.
    pub version: Option<u32>,
    /// The image as it was asked for.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// The engine's word: `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`.
    pub state: String,
    /// What its health check says.
    pub health: Health,
    /// The exit code, once it has ended.
    pub exit_code: Option<i64>,
    /// The ports that the host answers on.
    pub ports: Vec<PublishedPort>,
    /// When it was made.
    pub created_at: Option<Time>,
    /// When it was started last.
    pub started_at: Option<Time>,
    /// When it ended last.
    pub finished_at: Option<Time>,
    /// True for a container that is being swapped in or kept for the way back.
    pub transient: bool,
    /// What differs from the version that it was made for.
    pub drift: Vec<Drift>,
    /// The listing or event stream that this came from; grows with each connection to the engine.
    pub epoch: u64,
}

/// A field that differs from the applied version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// The path within the service.
    pub path: String,
    /// What the version says.
    pub expected: Option<serde_json::Value>,
    /// What the engine says.
    pub actual: Option<serde_json::Value>,
}

/// The end of a listing, on `orrery.observed.<host>.marker.<engine>`: whatever has an older epoch is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineMarker {
    /// The host.
    pub host: String,
    /// The epoch of the listing that just ended.
    pub epoch: u64,
    /// The engine's version: `28.5.2`.
    pub engine_version: String,
    /// The version of its API that was negotiated: `1.51`.
    pub api_version: String,
    /// Processors of the host.
    pub cpus: u32,
    /// Memory of the host, in bytes.
    pub memory: u64,
    /// When.
    pub at: Time,
    /// How virtual machines are run, as a trial has shown: `kvm` or `tcg`; none for an engine without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
}
