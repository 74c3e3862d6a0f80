//! The command as a publisher writes it, read strictly: whatever is unknown, missing or doubled is a [`Rejection`]
//! that says where and why. Reading never panics, and never guesses.

mod action;
mod kind;
mod payload;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use crate::ids::{InvalidName, Name};
use crate::subjects::API_PUBLISHER;

pub use action::{Action, BoxAction, BoxFormat, BoxSource, BundleSource, MachineAction, StackAction, Versioning};
pub use kind::CommandType;
pub use payload::{
    Apply, BoxImport, Create, MachineDelete, MachineShutdown, NoFields, Rollback, SecretPut, SecretRemove, SnapshotCreate, SnapshotName,
    StackDelete, VersionCreate,
};

/// The newest schema of commands that this release reads.
pub const COMMAND_SCHEMA: u32 = 1;

/// Why a message is not a command, in words; ends on the wire as `rejected: …`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Rejection(pub String);

/// What happens to the queue when the command fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It is held until somebody retries or cancels the command.
    #[default]
    Hold,
    /// The command is cancelled at once, with its error kept, and the queue goes on.
    Release,
}

impl OnFailure {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
        }
    }
}

/// The stack, machine or box that a command is about, as its publisher names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By id.
    Id(Uuid),
    /// By a name of the actor's own.
    Own(Name),
    /// By owner and name: for administrators.
    Of(Name, Name),
}

impl Target {
    /// Reads `name`, `owner/name` or an id.
    ///
    /// # Errors
    /// When it is none of the three.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if let Ok(id) = Uuid::parse_str(text) {
            return Ok(Self::Id(id));
        }
        match text.split_once('/') {
            Some((owner, name)) => Ok(Self::Of(owner.parse()?, name.parse()?)),
            None => Ok(Self::Own(text.parse()?)),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Own(name) => name.fmt(f),
            Self::Of(owner, name) => write!(f, "{owner}/{name}"),
        }
    }
}

/// A command, read and checked in itself; whether it fits the world is its owner's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandMessage {
    /// What is asked for.
    pub action: Action,
    /// What it is asked of.
    pub target: Target,
    /// What happens to the queue when it fails.
    pub on_failure: OnFailure,
    /// The user on whose behalf the api asks.
    pub actor: Option<Name>,
    /// How long one run may take, in seconds.
    pub deadline_seconds: Option<u64>,
}

/// The message on the wire. [`CommandMessage`] is what has been checked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    r#type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<u32>,
    target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(default)]
    on_failure: OnFailure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_seconds: Option<u64>,
}

impl CommandMessage {
    /// Reads the body of a message strictly.
    ///
    /// # Errors
    /// A [`Rejection`] that says what is wrong, for the audit and for its publisher.
    pub fn read(body: &[u8]) -> Result<Self, Rejection> {
        let wire: Wire = serde_json::from_slice(body).map_err(|error| Rejection(format!("not a command: {error}")))?;
        match wire.schema {
            None | Some(COMMAND_SCHEMA) => {}
            Some(other) => return Err(Rejection(format!("schema {other} is unknown here; this release reads {COMMAND_SCHEMA}"))),
        }
        let kind = CommandType::ALL.into_iter().find(|kind| kind.as_str() == wire.r#type);
        let kind = kind.ok_or_else(|| Rejection(format!("type {:?} is unknown to this release", wire.r#type)))?;
        let target = Target::parse(&wire.target).map_err(|error| Rejection(format!("target: {error}")))?;
        if kind.creates() && matches!(target, Target::Id(_)) {
            return Err(Rejection("target: what is new is named, its id follows from the command".into()));
        }
        if wire.deadline_seconds == Some(0) {
            return Err(Rejection("deadline_seconds: must be at least 1".into()));
        }
        let action = Action::read(kind, wire.payload.as_deref())?;
        Ok(Self { action, target, on_failure: wire.on_failure, actor: wire.actor, deadline_seconds: wire.deadline_seconds })
    }

    /// On whose behalf the publisher asks: the api names its user, everybody else is himself.
    ///
    /// # Errors
    /// A [`Rejection`] when the api names nobody, or another publisher names somebody else.
    pub fn actor_for(&self, publisher: &str) -> Result<Name, Rejection> {
        match (&self.actor, publisher == API_PUBLISHER) {
            (Some(actor), true) => Ok(actor.clone()),
            (None, true) => Err(Rejection("the api must name the actor".into())),
            (Some(actor), false) if actor.as_str() != publisher => Err(Rejection(format!("publisher {publisher} may not act for {actor}"))),
            (Some(_) | None, false) => publisher.parse().map_err(|error: InvalidName| Rejection(error.to_string())),
        }
    }
}

/// What a command says of itself for display, read leniently: works for whatever is an object with these fields, also
/// for what is then rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Glance {
    /// The `type`, when it is a string.
    #[serde(default)]
    pub r#type: Option<String>,
    /// The `target`, when it is a string.
    #[serde(default)]
    pub target: Option<String>,
    /// The `on_failure`, when it can be read.
    #[serde(default)]
    pub on_failure: Option<String>,
    /// The `actor`, when it is a string.
    #[serde(default)]
    pub actor: Option<String>,
}

impl Glance {
    /// Looks at a body without judging it.
    #[must_use]
    pub fn at(body: &[u8]) -> Self {
        let Ok(serde_json::Value::Object(map)) = serde_json::from_slice(body) else { return Self::default() };
        let text = |key: &str| map.get(key).and_then(|value| value.as_str()).map(|text| text.chars().take(200).collect());
        Self { r#type: text("type"), target: text("target"), on_failure: text("on_failure"), actor: text("actor") }
    }
}

/// Puts a command into the bytes that go on the wire.
#[derive(Clone, Debug, Serialize)]
pub struct NewCommand<P> {
    /// The type.
    pub r#type: CommandType,
    /// The schema; [`COMMAND_SCHEMA`].
    pub schema: u32,
    /// The target: an id, a name, or `owner/name`.
    pub target: String,
    /// The payload.
    pub payload: P,
    /// What happens to the queue when it fails.
    pub on_failure: OnFailure,
    /// The user on whose behalf the api asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Name>,
    /// How long one run may take, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u64>,
}
