//! The typed, normalised project: what a definition means once every short form is expanded,
//! every reference resolved and every unit parsed.
//!
//! These types hold no policy and do no I/O. Values about which the executor may have to complain
//! carry their [`Place`]; places never take part in comparisons.

mod build;
mod mount;
mod network;
mod port;
mod resources;
mod service;

use std::collections::BTreeMap;
use std::ops::Deref;

use indexmap::IndexMap;
use serde::Serialize;

pub use build::Build;
pub use mount::{Bind, BindSource, FileMount, Mount, MountKind, Tmpfs, VolumeMount};
pub use network::{Attachment, IpamPool, Network, NetworkMode, Volume};
pub use port::{Expose, Port, PortRange, Protocol};
pub use resources::{BlkioConfig, BlkioRate, BlkioWeight, Deploy, Device, DeviceRequest, RestartPolicy, Ulimit, UpdateConfig, UpdateOrder};
pub use service::{Condition, Dependency, Healthcheck, Hook, Logging, PullPolicy, Restart, Service, VolumesFrom, VolumesSource};

use crate::problem::Place;

/// A value and where it is written.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
}

impl<T> Spanned<T> {
    /// A value with its place.
    pub fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Labels, driver options and other maps of strings.
pub type Strings = BTreeMap<String, String>;

/// A project: everything that one definition asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Project {
    /// The project's name, given by the caller and never by the file.
    pub name: String,
    /// Services that the chosen profiles enable, in the order of the file.
    pub services: IndexMap<String, Service>,
    /// Services that no chosen profile enables.
    pub disabled: IndexMap<String, Service>,
    /// Networks, the implied `default` among them when a service uses it.
    pub networks: IndexMap<String, Network>,
    /// Named volumes.
    pub volumes: IndexMap<String, Volume>,
    /// Configs.
    pub configs: IndexMap<String, FileObject>,
    /// Secrets.
    pub secrets: IndexMap<String, FileObject>,
}

/// A config or a secret of the project.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FileObject {
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
    /// Its name on the engine: `<project>_<key>` unless the file says otherwise.
    pub name: String,
    /// Where its content comes from.
    pub source: FileSource,
    /// Labels.
    pub labels: Strings,
}

/// What stands before a secret's name where it is the value of a variable: a reference of Orrery's own.
pub const SECRET_REFERENCE: &str = "secret://";

/// Where the content of a config or secret comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSource {
    /// A file of the bundle, by its path there.
    Bundle(String),
    /// A file or folder of the stack that is not in the bundle.
    StackFolder(String),
    /// An absolute path of the host: policy decides.
    Host(String),
    /// Written in the definition.
    Inline(String),
    /// The value of a variable of the bundle's `.env` or of what the caller gave.
    Environment {
        /// The variable.
        variable: String,
        /// Its value.
        content: String,
    },
    /// Made elsewhere: a secret that Orrery keeps for the stack. Configs that are made elsewhere only Swarm has.
    #[default]
    External,
}
