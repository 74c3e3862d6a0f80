//! Questions over the broker that change nothing: plans, logs, and a publisher's question about his commands. Nothing
//! here is stored, but for the pieces of an upload, which their host keeps until a command makes a box of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bundle::Bundle;
use crate::ids::{Digest, MachineId, StackId};
use crate::plan::Plan;
use crate::problem::Problem;
use crate::rest::Command;
use crate::time::Time;
use crate::upload::Upload;

/// The answer to a question: what was asked for, or why not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Answer<T> {
    /// What was asked for.
    Ok(T),
    /// Why not.
    Err(Problem),
}

/// On `orrery.rpc.docker.<host>.plan`: what an apply would do; answered with `Answer<Plan>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanQuestion {
    /// The stack; none for one that does not exist yet.
    pub stack_id: Option<StackId>,
    /// The Compose project, for a stack that does not exist yet.
    pub project: String,
    /// Who asks: policies and names of holders depend on it.
    pub actor: String,
    /// What to plan for.
    pub target: PlanTarget,
}

/// On `orrery.rpc.libvirt.<host>.plan`: what an apply would do to a machine; answered with `Answer<Plan>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachinePlanQuestion {
    /// The machine; none for one that does not exist yet.
    pub machine_id: Option<MachineId>,
    /// The name of its domain, for a machine that does not exist yet.
    pub domain: String,
    /// Who asks.
    pub actor: String,
    /// What to plan for.
    pub target: PlanTarget,
}

/// What a plan is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanTarget {
    /// A version.
    Version(u32),
    /// A version with the very images that it ran with.
    Rollback(u32),
    /// Files that are no version yet, small enough for one message.
    Bundle(Bundle),
    /// Files that are no version yet, uploaded.
    Upload(Digest),
}

/// The answer's plan, by name for the schema.
pub type PlanAnswer = Answer<Plan>;

/// On `orrery.rpc.docker.<host>.logs`: the lines of containers; answered with a stream of [`StreamFrame`]s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogsQuestion {
    /// The containers' ids.
    pub containers: Vec<String>,
    /// With a stack, its containers instead, also those that come later while following.
    #[serde(default)]
    pub stack_id: Option<StackId>,
    /// Go on with what comes.
    #[serde(default)]
    pub follow: bool,
    /// Only the last so many lines of each container.
    #[serde(default)]
    pub tail: Option<u32>,
    /// Only lines from this time on.
    #[serde(default)]
    pub since: Option<Time>,
}

/// On `orrery.rpc.libvirt.<host>.console`, `.screen` and `.screenshot`: a machine's serial console or its screen (VNC, RFC 6143), both
/// ways, or a picture of the screen as PNG; answered with a stream of [`StreamFrame`]s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineQuestion {
    /// The machine.
    pub machine_id: MachineId,
}

/// How many bytes of a file travel in one [`UploadPiece`]: as base64 in JSON it still is far from what a message may have.
pub const UPLOAD_PIECE: usize = 512 * 1024;

/// On `orrery.rpc.libvirt.<host>.uploads`: the uploads that lie there, or one of them; answered with `Answer<Vec<Upload>>`.
/// `.upload.begin` takes an [`UploadOf`](crate::upload::UploadOf), and `.upload.remove` this with an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadsQuestion {
    /// Only this one.
    #[serde(default)]
    pub id: Option<Uuid>,
}

/// On `orrery.rpc.libvirt.<host>.upload.put`: the next bytes of an upload; answered with `Answer<Upload>` once they are on the disk. Bytes
/// that lie there already may come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadPiece {
    /// The upload.
    pub id: Uuid,
    /// Where they begin in the file.
    pub at: u64,
    /// The bytes, [`UPLOAD_PIECE`] at most.
    pub bytes: Raw,
}

/// The answer to the beginning of an upload and to each of its pieces, by name for the schema.
pub type UploadAnswer = Answer<Upload>;

/// Bytes as they are; in base64 where they travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Raw(pub Vec<u8>);

impl From<Raw> for String {
    fn from(raw: Raw) -> Self {
        STANDARD.encode(raw.0)
    }
}

impl TryFrom<String> for Raw {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(Self)
    }
}

/// A piece of a streaming answer, on the reply subject of its question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamFrame {
    /// First: where the asker sends [`StreamControl`]. It starts with a credit of [`INITIAL_CREDIT`] frames.
    Open {
        /// The subject.
        control: String,
    },
    /// Lines of logs.
    Lines(Vec<LogLine>),
    /// Bytes of a console, a screen or a picture. None at all is a sign of life.
    Bytes(Raw),
    /// Last: the end, with the reason when it is not the natural one.
    End {
        /// Why it ended early.
        problem: Option<Problem>,
    },
}

/// How many frames may be under way before the asker has given more credit.
pub const INITIAL_CREDIT: u32 = 64;

/// What the asker of a stream tells its sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamControl {
    /// So many frames more may be sent; also a sign of life, due every 10 s (0 is one).
    Credit(u32),
    /// Bytes for the guest, where the stream goes both ways.
    Bytes(Raw),
    /// Nobody reads any more.
    Close,
}

/// One line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When, by the engine's clock.
    pub time: Time,
    /// The service, or the container's name when it has none.
    pub service: String,
    /// The container's number within the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The line, without its end.
    pub line: String,
}

/// A publisher's question about one of his commands, on `orrery.status` in his account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusQuestion {
    /// The command's id; or
    #[serde(default)]
    pub id: Option<String>,
    /// its sequence.
    #[serde(default)]
    pub seq: Option<u64>,
    /// How long to wait for its end: `30s`, `500ms`; at most `60s`.
    #[serde(default)]
    pub wait: Option<String>,
}

/// The answer to a [`StatusQuestion`]: the command, or a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StatusAnswer {
    /// The command with its steps.
    Command(Box<Command>),
    /// Why not.
    Problem(Problem),
}

/// A sign of life of an executor, on `orrery.metrics.heartbeat.<engine>.<host>`, every 3 s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// `docker@local`.
    pub executor: String,
    /// The command that it works on.
    pub running: Option<u64>,
    /// Whether it reaches its engine.
    pub engine_ready: bool,
    /// What it waits for, when it cannot work.
    pub waiting_for: Option<String>,
}
