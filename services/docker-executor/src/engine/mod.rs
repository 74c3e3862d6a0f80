//! The engine behind a narrow door: observe a stack, carry out one action, wait for a container. Two implementations,
//! the real one over bollard and one in memory, pass one conformance suite. It decides nothing.

pub mod connection;
pub mod docker;
pub mod error;
mod events;
pub mod gate;
pub(crate) mod hooks;
mod images;
pub(crate) mod inspect;
mod known;
mod listing;
pub mod memory;
pub mod observed;
mod power;
mod programs;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerUpdateBody, EndpointSettings, NetworkCreateRequest, VolumeCreateRequest};
use bytes::Bytes;
use orrery_contracts::ProgressLine;

pub use connection::Connection;
pub use docker::DockerEngine;
pub use error::{Class, EngineError};
pub use events::{ContainerEvent, EventHub};
pub use gate::{Outcome, Until};
pub(crate) use inspect::wanted_ports;
pub use observed::{Observed, Other, Scope, Seen, SeenImage, SeenNetwork, SeenVolume, State};
pub use orrery_queue::ports::Program;

use crate::definition::BuildOrder;
use crate::secrets::{Credentials, Registries};

/// Where an action says how far it is.
pub type Say<'a> = &'a (dyn Fn(ProgressLine) + Send + Sync);

/// What an executor needs of an engine.
pub trait Engine: Send + Sync + 'static {
    /// Everything that matters for a stack, as it is now.
    fn observe(&self, scope: &Scope) -> impl Future<Output = Result<Observed, EngineError>> + Send;

    /// Carries out one action. Repeated after a crash or a lost answer it finds its own effect and says so.
    fn act(&self, act: &Act, say: Say<'_>) -> impl Future<Output = Result<Effect, EngineError>> + Send;

    /// Waits until a container is as it should be, or never will be.
    fn wait(&self, id: &str, until: &Until) -> impl Future<Output = Result<Outcome, EngineError>> + Send;

    /// The last lines that a container wrote.
    fn tail(&self, id: &str, lines: u32) -> impl Future<Output = Vec<u8>> + Send;

    /// What the last probes of a container's health said, the latest last; each cut to a few lines.
    fn probes(&self, id: &str) -> impl Future<Output = Vec<Probed>> + Send;

    /// Every path of the host that a container mounts, whoever made it and whether it runs or not.
    fn mounted(&self) -> impl Future<Output = Result<BTreeSet<PathBuf>, EngineError>> + Send;

    /// What is waited for, in words, while the engine does not answer.
    fn away(&self) -> Option<String>;

    /// How many processors the engine has; how much is done side by side follows from it.
    fn processors(&self) -> impl Future<Output = usize> + Send;
}

/// What one probe of a container's health said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Its exit code; -1 where it was broken off.
    pub exit_code: i64,
    /// What it wrote.
    pub output: String,
}

/// One action on the engine.
#[derive(Clone, Debug)]
pub enum Act {
    /// Makes a network.
    CreateNetwork(Box<NetworkCreateRequest>),
    /// Removes a network.
    RemoveNetwork {
        /// Its name.
        name: String,
    },
    /// Makes a volume.
    CreateVolume(Box<VolumeCreateRequest>),
    /// Removes a volume with all that is in it.
    RemoveVolume {
        /// Its name.
        name: String,
    },
    /// Pulls an image.
    Pull {
        /// Its name.
        reference: String,
        /// For which platform; empty is the engine's own.
        platform: String,
        /// What its registry wants to know.
        credentials: Option<Credentials>,
    },
    /// Builds an image.
    Build {
        /// How.
        order: Box<BuildOrder>,
        /// The context, as a tar archive.
        context: Bytes,
        /// What the registries of its base images want to know.
        registries: Registries,
    },
    /// Gives an image a further name.
    Tag {
        /// The image.
        reference: String,
        /// The further name.
        alias: String,
    },
    /// Makes a container and attaches it to its networks.
    Create(Box<NewContainer>),
    /// Starts a container; one that is paused goes on.
    Start {
        /// Its id.
        id: String,
    },
    /// Stops a container.
    Stop {
        /// Its id.
        id: String,
        /// How long it may take before it is killed; the container's own when none.
        grace: Option<Duration>,
    },
    /// Gives a container another name.
    Rename {
        /// Its id.
        id: String,
        /// The name.
        to: String,
    },
    /// Changes limits and restart policy in place.
    Update {
        /// The container's id.
        id: String,
        /// The new values.
        body: Box<ContainerUpdateBody>,
    },
    /// Removes a container.
    Remove {
        /// Its id.
        id: String,
        /// Its anonymous volumes too.
        volumes: bool,
    },
}

/// A container to be made.
#[derive(Clone, Debug)]
pub struct NewContainer {
    /// Its name.
    pub name: String,
    /// The platform of its image; empty is the engine's own.
    pub platform: String,
    /// The request, with all labels.
    pub body: ContainerCreateBody,
    /// Its networks, in the order in which they are connected.
    pub networks: Vec<(String, EndpointSettings)>,
}

/// What an action came to.
#[derive(Clone, Debug, Default)]
pub struct Effect {
    /// It was found done.
    pub already: bool,
    /// The id of what was made.
    pub id: Option<String>,
    /// What the engine remarked.
    pub warnings: Vec<String>,
    /// What was written on the way (a build's output).
    pub log: Option<Vec<u8>>,
}

impl Effect {
    /// Something was made.
    #[must_use]
    pub fn made(id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..Self::default() }
    }

    /// It was found done.
    #[must_use]
    pub fn found() -> Self {
        Self { already: true, ..Self::default() }
    }
}

impl Act {
    /// The container that it is done to.
    #[must_use]
    pub fn container(&self) -> Option<&str> {
        match self {
            Self::Start { id } | Self::Stop { id, .. } | Self::Rename { id, .. } | Self::Update { id, .. } | Self::Remove { id, .. } => {
                Some(id)
            }
            Self::CreateNetwork(_)
            | Self::RemoveNetwork { .. }
            | Self::CreateVolume(_)
            | Self::RemoveVolume { .. }
            | Self::Pull { .. }
            | Self::Build { .. }
            | Self::Tag { .. }
            | Self::Create(_) => None,
        }
    }

    /// What it is called in steps.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::CreateNetwork(_) => "network.create",
            Self::RemoveNetwork { .. } => "network.remove",
            Self::CreateVolume(_) => "volume.create",
            Self::RemoveVolume { .. } => "volume.remove",
            Self::Pull { .. } => "image.pull",
            Self::Build { .. } => "image.build",
            Self::Tag { .. } => "image.tag",
            Self::Create(_) => "container.create",
            Self::Start { .. } => "container.start",
            Self::Stop { .. } => "container.stop",
            Self::Rename { .. } => "container.rename",
            Self::Update { .. } => "container.update",
            Self::Remove { .. } => "container.remove",
        }
    }
}
