//! The floor: the calls of the engine's API that make the same containers, and nothing else. As many side by side as Orrery makes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, EndpointSettings, HealthConfig, HealthStatusEnum, NetworkCreateRequest, NetworkingConfig};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, RemoveContainerOptions, StartContainerOptions, StopContainerOptions,
};
use futures::future::try_join_all;
use tokio::sync::{Semaphore, watch};

use crate::shapes::{Service, Shape};

/// Between two looks at a container that is not healthy yet.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Bare {
    docker: Docker,
    project: String,
    shape: Shape,
    at_once: Semaphore,
}

impl Bare {
    pub(crate) async fn new(docker: &Docker, project: &str, shape: Shape) -> anyhow::Result<Self> {
        let processors = docker.info().await?.ncpu.and_then(|count| usize::try_from(count).ok()).unwrap_or(1);
        let at_once = Semaphore::new(processors.saturating_mul(2).clamp(2, 32));
        Ok(Self { docker: docker.clone(), project: project.to_owned(), shape, at_once })
    }

    fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.project)
    }

    /// A network, all containers, and their starts, each after the one that it waits for.
    pub(crate) async fn first(&self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.docker.create_network(NetworkCreateRequest { name: self.project.clone(), ..NetworkCreateRequest::default() }).await?;
        let services = self.shape.all();
        try_join_all(services.iter().map(|service| async { self.create(&service.name, &self.container(&service.name)).await })).await?;
        let healthy: HashMap<&str, watch::Sender<bool>> =
            services.iter().map(|service| (service.name.as_str(), watch::Sender::new(false))).collect();
        try_join_all(services.iter().map(|service| self.bring_up(service, &healthy))).await?;
        Ok(start.elapsed())
    }

    /// One container in place of another.
    pub(crate) async fn change(&self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let (old, new) = (self.container("s00"), format!("{}-new", self.container("s00")));
        self.create("s00", &new).await?;
        self.docker.stop_container(&old, None::<StopContainerOptions>).await?;
        self.docker.start_container(&new, None::<StartContainerOptions>).await?;
        self.remove(&old).await?;
        let took = start.elapsed();
        self.remove(&new).await?;
        Ok(took)
    }

    pub(crate) async fn away(&self) -> anyhow::Result<()> {
        let services = self.shape.all();
        let rest = services.iter().filter(|service| service.name != "s00");
        try_join_all(rest.map(|service| async { self.remove(&self.container(&service.name)).await })).await?;
        self.docker.remove_network(&self.project).await?;
        Ok(())
    }

    async fn bring_up(&self, service: &Service, healthy: &HashMap<&str, watch::Sender<bool>>) -> anyhow::Result<()> {
        if let Some(before) = service.after.as_deref().and_then(|after| healthy.get(after)) {
            before.subscribe().wait_for(|healthy| *healthy).await?;
        }
        let name = self.container(&service.name);
        {
            let _turn = self.at_once.acquire().await?;
            self.docker.start_container(&name, None::<StartContainerOptions>).await?;
        }
        let waited_for = healthy.values().len() > 0 && self.shape.all().iter().any(|other| other.after.as_deref() == Some(&service.name));
        while waited_for && !self.is_healthy(&name).await? {
            tokio::time::sleep(PAUSE).await;
        }
        healthy.get(service.name.as_str()).context("a service of another stack")?.send_replace(true);
        Ok(())
    }

    async fn is_healthy(&self, name: &str) -> anyhow::Result<bool> {
        let seen = self.docker.inspect_container(name, None::<InspectContainerOptions>).await?;
        let health = seen.state.and_then(|state| state.health).and_then(|health| health.status);
        Ok(health == Some(HealthStatusEnum::HEALTHY))
    }

    async fn create(&self, service: &str, name: &str) -> anyhow::Result<()> {
        let _turn = self.at_once.acquire().await?;
        let endpoint = EndpointSettings { aliases: Some(vec![service.to_owned()]), ..EndpointSettings::default() };
        let probe = || HealthConfig {
            test: Some(vec!["CMD".to_owned(), "true".to_owned()]),
            interval: Some(500_000_000),
            ..HealthConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some("orrery/busybox:test".to_owned()),
            cmd: Some(vec!["sleep".to_owned(), "100000".to_owned()]),
            stop_signal: Some("SIGKILL".to_owned()),
            healthcheck: self.shape.chained.then(probe),
            networking_config: Some(NetworkingConfig { endpoints_config: Some([(self.project.clone(), endpoint)].into()) }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..CreateContainerOptions::default() };
        self.docker.create_container(Some(options), body).await?;
        Ok(())
    }

    async fn remove(&self, name: &str) -> anyhow::Result<()> {
        let _turn = self.at_once.acquire().await?;
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        Ok(self.docker.remove_container(name, Some(options)).await?)
    }
}
