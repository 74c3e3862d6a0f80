//! The command as a publisher writes it, read strictly: whatever is unknown, missing or doubled is a [`Rejection`]
//! that says where and why. Reading never panics, and never guesses.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::bundle::Bundle;
use crate::ids::{Digest, InvalidName, Name, StackId};
use crate::subjects::API_PUBLISHER;

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

/// Every type of command that there is or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CommandType {
    /// Makes a stack and its version 1.
    #[serde(rename = "stack.create")]
    StackCreate,
    /// Writes the next version.
    #[serde(rename = "stack.version.create")]
    StackVersionCreate,
    /// Converges to a version.
    #[serde(rename = "stack.apply")]
    StackApply,
    /// Converges to an earlier version.
    #[serde(rename = "stack.rollback")]
    StackRollback,
    /// Writes the next version and converges to it.
    #[serde(rename = "stack.deploy")]
    StackDeploy,
    /// Starts the containers of the current version.
    #[serde(rename = "stack.start")]
    StackStart,
    /// Stops the containers.
    #[serde(rename = "stack.stop")]
    StackStop,
    /// Stops and starts the containers.
    #[serde(rename = "stack.restart")]
    StackRestart,
    /// Removes the containers, networks and, when told, the volumes.
    #[serde(rename = "stack.delete")]
    StackDelete,
}

impl CommandType {
    /// Every type of this release, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::StackCreate,
        Self::StackVersionCreate,
        Self::StackApply,
        Self::StackRollback,
        Self::StackDeploy,
        Self::StackStart,
        Self::StackStop,
        Self::StackRestart,
        Self::StackDelete,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StackCreate => "stack.create",
            Self::StackVersionCreate => "stack.version.create",
            Self::StackApply => "stack.apply",
            Self::StackRollback => "stack.rollback",
            Self::StackDeploy => "stack.deploy",
            Self::StackStart => "stack.start",
            Self::StackStop => "stack.stop",
            Self::StackRestart => "stack.restart",
            Self::StackDelete => "stack.delete",
        }
    }
}

/// Where the files of a new version come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleSource {
    /// In the command itself.
    Inline(Bundle),
    /// Uploaded before, by digest.
    Digest(Digest),
}

impl BundleSource {
    /// The digest of the files.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Inline(bundle) => bundle.digest(),
            Self::Digest(digest) => digest.clone(),
        }
    }
}

/// Payload of `stack.create`: exactly one of `bundle` and `digest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StackCreate {
    /// The files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// The digest of uploaded files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What the author says about version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Payload of `stack.version.create` and `stack.deploy`: exactly one of `bundle` and `digest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StackVersionCreate {
    /// The files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// The digest of uploaded files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What the author says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The latest version that the author saw; another one is a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u32>,
}

/// Payload of `stack.apply`: `{version, digest?}`, or `{bundle, comment?}`, which is a `stack.deploy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StackApply {
    /// The version to converge to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The digest that this version must have; another one is a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The files of a new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// What the author says about the new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Payload of `stack.rollback`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StackRollback {
    /// The version to go back to.
    pub version: u32,
    /// The digest that this version must have; another one is a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// Payload of `stack.delete`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StackDelete {
    /// Whether the named volumes and the stack's folder go too.
    #[serde(default)]
    pub volumes: bool,
}

/// Payload of a type that has no fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

/// What is asked for, with its payload checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes a stack named as the target.
    StackCreate {
        /// The files of version 1.
        source: BundleSource,
        /// What the author says.
        comment: String,
    },
    /// Writes the next version.
    StackVersionCreate {
        /// Its files.
        source: BundleSource,
        /// What the author says.
        comment: String,
        /// The latest version that the author saw.
        expected_version: Option<u32>,
    },
    /// Converges to an existing version.
    StackApply {
        /// The version.
        version: u32,
        /// The digest that it must have.
        digest: Option<Digest>,
    },
    /// Writes the next version and converges to it.
    StackDeploy {
        /// Its files.
        source: BundleSource,
        /// What the author says.
        comment: String,
        /// The latest version that the author saw.
        expected_version: Option<u32>,
    },
    /// Converges to an earlier version.
    StackRollback {
        /// The version.
        version: u32,
        /// The digest that it must have.
        digest: Option<Digest>,
    },
    /// Starts what is stopped.
    StackStart,
    /// Stops what runs.
    StackStop,
    /// Stops and starts.
    StackRestart,
    /// Removes the stack.
    StackDelete {
        /// Whether its data goes too.
        volumes: bool,
    },
}

impl Action {
    /// The type of this action on the wire.
    #[must_use]
    pub const fn command_type(&self) -> CommandType {
        match self {
            Self::StackCreate { .. } => CommandType::StackCreate,
            Self::StackVersionCreate { .. } => CommandType::StackVersionCreate,
            Self::StackApply { .. } => CommandType::StackApply,
            Self::StackRollback { .. } => CommandType::StackRollback,
            Self::StackDeploy { .. } => CommandType::StackDeploy,
            Self::StackStart => CommandType::StackStart,
            Self::StackStop => CommandType::StackStop,
            Self::StackRestart => CommandType::StackRestart,
            Self::StackDelete { .. } => CommandType::StackDelete,
        }
    }

    /// Where the files of the version are that it makes; none when it makes none.
    #[must_use]
    pub fn into_source(self) -> Option<BundleSource> {
        match self {
            Self::StackCreate { source, .. } | Self::StackVersionCreate { source, .. } | Self::StackDeploy { source, .. } => Some(source),
            Self::StackApply { .. }
            | Self::StackRollback { .. }
            | Self::StackStart
            | Self::StackStop
            | Self::StackRestart
            | Self::StackDelete { .. } => None,
        }
    }

    fn read(kind: CommandType, payload: Option<&RawValue>) -> Result<Self, Rejection> {
        match kind {
            CommandType::StackCreate => {
                let p: StackCreate = fields(payload)?;
                Ok(Self::StackCreate { source: source(p.bundle, p.digest)?, comment: p.comment.unwrap_or_default() })
            }
            CommandType::StackVersionCreate => {
                let p: StackVersionCreate = fields(payload)?;
                let comment = p.comment.unwrap_or_default();
                Ok(Self::StackVersionCreate { source: source(p.bundle, p.digest)?, comment, expected_version: p.expected_version })
            }
            CommandType::StackApply => apply(fields(payload)?),
            CommandType::StackRollback => {
                let p: StackRollback = fields(payload)?;
                Ok(Self::StackRollback { version: p.version, digest: p.digest })
            }
            CommandType::StackDeploy => {
                let p: StackVersionCreate = fields(payload)?;
                let comment = p.comment.unwrap_or_default();
                Ok(Self::StackDeploy { source: source(p.bundle, p.digest)?, comment, expected_version: p.expected_version })
            }
            CommandType::StackStart => fields::<NoFields>(payload).map(|_| Self::StackStart),
            CommandType::StackStop => fields::<NoFields>(payload).map(|_| Self::StackStop),
            CommandType::StackRestart => fields::<NoFields>(payload).map(|_| Self::StackRestart),
            CommandType::StackDelete => {
                let p: StackDelete = fields(payload)?;
                Ok(Self::StackDelete { volumes: p.volumes })
            }
        }
    }
}

fn fields<P: DeserializeOwned>(payload: Option<&RawValue>) -> Result<P, Rejection> {
    let text = payload.map_or("{}", RawValue::get);
    serde_json::from_str(text).map_err(|error| Rejection(format!("payload: {error}")))
}

fn source(bundle: Option<Bundle>, digest: Option<Digest>) -> Result<BundleSource, Rejection> {
    match (bundle, digest) {
        (Some(bundle), None) => Ok(BundleSource::Inline(bundle)),
        (None, Some(digest)) => Ok(BundleSource::Digest(digest)),
        (Some(_), Some(_)) => Err(Rejection("payload: give either `bundle` or `digest`, not both".into())),
        (None, None) => Err(Rejection("payload: missing field `bundle` (or `digest` of an upload)".into())),
    }
}

fn apply(payload: StackApply) -> Result<Action, Rejection> {
    match payload {
        StackApply { version: Some(version), digest, bundle: None, comment: None } => Ok(Action::StackApply { version, digest }),
        StackApply { version: None, digest: None, bundle: Some(bundle), comment } => {
            let source = BundleSource::Inline(bundle);
            Ok(Action::StackDeploy { source, comment: comment.unwrap_or_default(), expected_version: None })
        }
        StackApply { version: None, bundle: None, .. } => Err(Rejection("payload: missing field `version` (or `bundle`)".into())),
        StackApply { .. } => Err(Rejection("payload: give either `version` with `digest`, or `bundle` with `comment`".into())),
    }
}

/// The stack that a command is about, as its publisher names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By id.
    Id(StackId),
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
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        match text.split_once('/') {
            Some((owner, name)) => Ok(Self::Of(owner.parse()?, name.parse()?)),
            None => Ok(Self::Own(text.parse()?)),
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
        if matches!((kind, &target), (CommandType::StackCreate, Target::Id(_))) {
            return Err(Rejection("target: a new stack is named, its id follows from the command".into()));
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
