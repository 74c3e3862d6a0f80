//! What a version asks of the engine: from a Compose project to the requests that would be sent. Pure: it reads no
//! clock, no disk and no engine, and it never decides what to do; [`crate::plan`] compares this with what is observed.

mod compile;
mod container;
pub mod facts;
mod host;
pub mod identity;
mod image;
mod mounts;
mod network;
pub mod policy;
mod security;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard::models::{ContainerCreateBody, EndpointSettings, NetworkCreateRequest, VolumeCreateRequest};
use indexmap::IndexMap;
use orrery_compose::Place;
use orrery_compose::model::Condition;
use orrery_contracts::heads::ServiceExpectation;
use orrery_contracts::{ImageLock, LockedImage, PlanNote, PublishedPort, SecretName};

use crate::engine::SeenImage;
use crate::secrets::{self, Registries, Values};

pub use compile::{Folders, compile};
pub use facts::Facts;
pub use host::SERVICE_PLACEHOLDER;
pub use identity::Identity;
pub use image::{BuildOrder, ImageNeed, ImageSource};
pub use mounts::{InlineFile, secret_files};

/// Everything that a version wants to be there.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Whose it is.
    pub identity: Identity,
    /// Networks by their names on the engine.
    pub networks: BTreeMap<String, NetworkSpec>,
    /// Named volumes by their names on the engine.
    pub volumes: BTreeMap<String, VolumeSpec>,
    /// Services, each after those that it depends on.
    pub services: IndexMap<String, ServiceSpec>,
    /// Files whose content or owner the definition itself says, by their names in the folder for them.
    pub inline: BTreeMap<String, InlineFile>,
    /// Folders of the stack that must exist before anything is mounted.
    pub folders: BTreeSet<String>,
    /// The secrets that it uses.
    pub secrets: BTreeSet<SecretName>,
    /// How registries know the stack; filled in where images are got.
    pub registries: Registries,
    /// What a person should know about it.
    pub notes: Vec<PlanNote>,
}

/// A service.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// Its name.
    pub name: String,
    /// Its image, and how to get it.
    pub image: ImageNeed,
    /// Its containers, by number.
    pub containers: Vec<ContainerSpec>,
    /// What must hold before it starts.
    pub needs: Vec<Need>,
    /// Services whose name spaces its containers live in.
    pub joins: BTreeSet<String>,
    /// The new container starts before the old one stops.
    pub start_first: bool,
    /// A container that ended with exit code 0 is as it should be.
    pub may_finish: bool,
    /// How many containers are swapped at once; 0 is all.
    pub parallelism: u64,
    /// The pause between two swaps.
    pub delay: Duration,
    /// How long a container without a health check must stay up to be right.
    pub stable: Duration,
    /// The health check, as far as the definition says.
    pub probe: Probe,
}

/// What a definition says about a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It has one.
    Defined,
    /// It takes the image's, if that has one.
    Image,
    /// It wants none.
    Disabled,
}

/// One line of `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The service that comes first.
    pub service: String,
    /// What must hold of it.
    pub condition: Condition,
    /// This service starts again when that one was replaced.
    pub restart: bool,
    /// Whether a failure of that one is a failure of this one.
    pub required: bool,
}

/// One container.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Its name, once it is in place.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Its number within the service, from 1.
    pub number: u32,
    /// The create request, without networks and without the labels that say whose it is.
    pub body: ContainerCreateBody,
    /// Its networks by name, in the order in which they are connected.
    pub networks: Vec<(String, EndpointSettings)>,
    /// Everything about it that can be compared; the image's id is not in it yet.
    pub facts: Facts,
    /// The platform of its image.
    pub platform: String,
    /// How long the engine waits after the stop signal.
    pub grace: Duration,
}

/// A network.
#[derive(Clone, Debug)]
pub struct NetworkSpec {
    /// Made elsewhere.
    pub external: bool,
    /// The create request, without the labels that say whose it is.
    pub body: NetworkCreateRequest,
    /// Where it is declared.
    pub place: Place,
    /// Its key in the project.
    pub key: String,
    /// Everything about it that can be compared.
    pub facts: Facts,
}

/// A named volume.
#[derive(Clone, Debug)]
pub struct VolumeSpec {
    /// Made elsewhere.
    pub external: bool,
    /// The create request, without the labels that say whose it is.
    pub body: VolumeCreateRequest,
    /// Where it is declared.
    pub place: Place,
    /// Its key in the project.
    pub key: String,
    /// Everything about it that can be compared.
    pub facts: Facts,
}

impl Desired {
    /// Every container, dependencies first.
    pub fn containers(&self) -> impl Iterator<Item = (&ServiceSpec, &ContainerSpec)> {
        self.services.values().flat_map(|service| service.containers.iter().map(move |container| (service, container)))
    }

    /// What should be seen when all of it runs.
    #[must_use]
    pub fn expectations(&self) -> Vec<ServiceExpectation> {
        let expectation = |service: &ServiceSpec| ServiceExpectation {
            name: service.name.clone(),
            containers: u32::try_from(service.containers.len()).unwrap_or(u32::MAX),
            may_finish: service.may_finish,
        };
        self.services.values().map(expectation).collect()
    }

    /// Puts the values of secrets where their names stand: into variables and files. Nothing that is compared, told or written into a
    /// label changes by it.
    pub fn reveal(&mut self, values: &Values) {
        for file in self.inline.values_mut() {
            if let Some(value) = file.secret.as_ref().and_then(|name| values.get(name)) {
                file.bytes = value.to_vec();
            }
        }
        let bodies = self.services.values_mut().flat_map(|service| &mut service.containers).map(|spec| &mut spec.body);
        for line in bodies.flat_map(|body| body.env.iter_mut().flatten()) {
            let Some((variable, name)) = secrets::in_line(line) else { continue };
            if let Some(value) = values.get(&name) {
                *line = format!("{variable}={}", String::from_utf8_lossy(value));
            }
        }
    }

    /// Has every image be the one that this lock names.
    pub fn keep_to(&mut self, lock: &ImageLock) {
        for service in self.services.values_mut() {
            service.image.locked = lock.images.get(&service.image.reference).cloned();
        }
    }

    /// Which images these are now.
    #[must_use]
    pub fn lock(&self, images: &BTreeMap<String, SeenImage>) -> ImageLock {
        let locked = |service: &ServiceSpec| {
            let image = service.image.among(images)?;
            let digest = service.image.locked.as_ref().and_then(|locked| locked.digest.clone()).or_else(|| image.digest.clone());
            Some((service.image.reference.clone(), LockedImage { id: image.id.clone(), digest }))
        };
        ImageLock { images: self.services.values().filter_map(locked).collect() }
    }

    /// Where a service comes in the order of dependency; what is not of this version comes last.
    #[must_use]
    pub fn rank(&self, service: &str) -> usize {
        self.services.get_index_of(service).unwrap_or(usize::MAX)
    }
}

impl ContainerSpec {
    /// The ports of the host that it publishes.
    #[must_use]
    pub fn published(&self) -> Vec<PublishedPort> {
        let map = self.body.host_config.as_ref().and_then(|host| host.port_bindings.as_ref());
        map.map(crate::engine::wanted_ports).unwrap_or_default()
    }

    /// What it mounts from the engine's host.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let mounts = self.body.host_config.iter().flat_map(|host| host.mounts.iter().flatten());
        mounts.filter_map(|mount| mount.source.as_deref())
    }

    /// The facts, with the image's id among them.
    #[must_use]
    pub fn facts_with(&self, image_id: &str) -> Facts {
        let mut facts = self.facts.clone();
        facts.set(facts::IMAGE_ID, image_id);
        facts
    }
}
