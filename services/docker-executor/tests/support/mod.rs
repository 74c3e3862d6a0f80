//! What the tests of this crate share: projects written in Rust, and an identity of one's own.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use indexmap::IndexMap;
use orrery_compose::model::{Condition, Dependency, Network, Port, PortRange, Protocol, Spanned};
use orrery_compose::{Files, Place, Project, Service};
use orrery_contracts::StackId;
use orrery_docker_executor::converge::{self, Apply, Ledger, Site};
use orrery_docker_executor::definition::{Desired, Folders, Identity, compile};
use orrery_docker_executor::engine::Engine;
use orrery_queue::RunError;
use uuid::Uuid;

pub use orrery_tests::images::BUSYBOX as IMAGE;

/// An identity that no other test has.
pub fn identity(project: &str) -> Identity {
    let (installation, stack) = (Uuid::new_v4(), StackId::new(Uuid::new_v4()));
    Identity {
        installation,
        stack,
        owner: "ada".into(),
        project: project.into(),
        version: 1,
        command: 1,
        secrets: std::collections::BTreeMap::new(),
    }
}

/// The same stack in the next command, with the next version.
pub fn next(identity: &Identity) -> Identity {
    Identity { version: identity.version + 1, command: identity.command + 1, ..identity.clone() }
}

pub fn service(name: &str) -> Service {
    Service {
        name: name.into(),
        image: Some(Spanned::new(IMAGE.into(), Place::default())),
        command: Some(vec!["sleep".into(), "1000".into()]),
        stop_grace_period: Some(std::time::Duration::from_millis(10)),
        replicas: 1,
        networks: [("default".to_owned(), orrery_compose::model::Attachment::default())].into(),
        ..Service::default()
    }
}

pub fn with_env(mut service: Service, name: &str, value: &str) -> Service {
    service.environment.insert(name.into(), Spanned::new(Some(value.into()), Place::default()));
    service
}

pub fn with_port(mut service: Service, published: u16, target: u16) -> Service {
    service.ports.push(Port {
        place: Place::default(),
        name: None,
        target,
        published: Some(PortRange::one(published)),
        host_ip: None,
        protocol: Protocol::Tcp,
        app_protocol: None,
        mode: None,
    });
    service
}

pub fn after(mut service: Service, other: &str, condition: Condition) -> Service {
    service.depends_on.insert(other.into(), Dependency { place: Place::default(), condition, restart: false, required: true });
    service
}

pub fn project(name: &str, services: Vec<Service>) -> Project {
    let network = Network { name: Spanned::new(format!("{name}_default"), Place::default()), ..Network::default() };
    Project {
        name: name.into(),
        services: services.into_iter().map(|service| (service.name.clone(), service)).collect::<IndexMap<_, _>>(),
        networks: [("default".to_owned(), network)].into(),
        ..Project::default()
    }
}

pub fn desired(identity: &Identity, services: Vec<Service>) -> Desired {
    let folders = Folders { bundle: "/bundle".into(), stack: "/stack".into(), inline: "/inline".into() };
    compile(&project(&identity.project, services), identity, &Files::new(), &folders).expect("it compiles")
}

/// Applies, as a first or a later run of a command.
pub async fn apply<E: Engine, L: Ledger>(engine: &E, ledger: &L, desired: &Desired, converged: u64) -> Result<String, RunError> {
    let site = Site::new(engine, ledger).await;
    let context = |_: &orrery_docker_executor::definition::BuildOrder| Bytes::new();
    let apply = Apply {
        desired,
        converged,
        should_run: true,
        stopped: Default::default(),
        pulled: Default::default(),
        refresh: true,
        context: &context,
    };
    converge::apply(&site, &apply).await
}
