//! The Docker Engine as a person would look at it, past Orrery: what really exists, and the broom for afterwards.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use bollard::Docker;
use bollard::exec::{CreateExecOptions, StartExecOptions};
use bollard::query_parameters::{
    ListContainersOptions, ListImagesOptions, ListNetworksOptions, ListVolumesOptions, LogsOptions, RemoveContainerOptions,
    RemoveImageOptions, RemoveVolumeOptions,
};
use futures::TryStreamExt as _;

/// The label that every tool knows a project by.
pub const PROJECT: &str = "com.docker.compose.project";

/// The engine that the executor uses too.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
}

/// A container as the engine shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its service, by the label.
    pub service: String,
    /// The engine's word.
    pub state: String,
    /// What its health check says; empty without one.
    pub health: String,
    /// When it was started last, as the engine writes it.
    pub started_at: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// The engine at `DOCKER_HOST`, else at the usual socket.
    ///
    /// # Errors
    /// When none answers.
    pub async fn connect() -> anyhow::Result<Self> {
        let docker = Docker::connect_with_defaults()?.negotiate_version().await.context("these tests need a Docker Engine that answers")?;
        Ok(Self { docker })
    }

    /// The engine at this address.
    ///
    /// # Errors
    /// When none answers.
    pub async fn at(host: &str) -> anyhow::Result<Self> {
        let docker = Docker::connect_with_host(host)?.negotiate_version().await.with_context(|| format!("no engine answers at {host}"))?;
        Ok(Self { docker })
    }

    /// The client underneath.
    #[must_use]
    pub const fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The containers of a project, whatever their state, by name.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn of_project(&self, project: &str) -> anyhow::Result<Vec<Seen>> {
        let options = ListContainersOptions { all: true, filters: by_project(project), ..ListContainersOptions::default() };
        let mut all = Vec::new();
        for summary in self.docker.list_containers(Some(options)).await? {
            if let Some(seen) = self.inspect(&summary.id.unwrap_or_default()).await? {
                all.push(seen);
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// One container by name or id; none when it is gone.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn inspect(&self, name: &str) -> anyhow::Result<Option<Seen>> {
        let found = match self.docker.inspect_container(name, None).await {
            Ok(found) => found,
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let state = found.state.unwrap_or_default();
        let labels: BTreeMap<String, String> = found.config.and_then(|config| config.labels).unwrap_or_default().into_iter().collect();
        Ok(Some(Seen {
            id: found.id.unwrap_or_default(),
            name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            service: labels.get("com.docker.compose.service").cloned().unwrap_or_default(),
            state: state.status.map(|status| status.to_string()).unwrap_or_default(),
            health: state.health.and_then(|health| health.status).map(|status| status.to_string()).unwrap_or_default(),
            started_at: state.started_at.unwrap_or_default(),
            labels,
        }))
    }

    /// The names of a project's networks.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn networks_of(&self, project: &str) -> anyhow::Result<Vec<String>> {
        let options = ListNetworksOptions { filters: by_project(project) };
        Ok(self.docker.list_networks(Some(options)).await?.into_iter().filter_map(|network| network.name).collect())
    }

    /// The names of a project's volumes.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn volumes_of(&self, project: &str) -> anyhow::Result<Vec<String>> {
        let options = ListVolumesOptions { filters: by_project(project) };
        let volumes = self.docker.list_volumes(Some(options)).await?.volumes.unwrap_or_default();
        Ok(volumes.into_iter().map(|volume| volume.name).collect())
    }

    /// What a container wrote so far.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn logs(&self, container: &str) -> anyhow::Result<String> {
        let options = LogsOptions { stdout: true, stderr: true, tail: "all".into(), ..LogsOptions::default() };
        let lines: Vec<_> = self.docker.logs(container, Some(options)).try_collect().await?;
        Ok(lines.iter().map(ToString::to_string).collect())
    }

    /// Runs a program in a container, and does not wait for its end.
    ///
    /// # Errors
    /// When the container does not run.
    pub async fn run_in(&self, container: &str, program: &[&str]) -> anyhow::Result<()> {
        let asked = CreateExecOptions { cmd: Some(program.to_vec()), ..CreateExecOptions::default() };
        let exec = self.docker.create_exec(container, asked).await?;
        self.docker.start_exec(&exec.id, Some(StartExecOptions { detach: true, ..StartExecOptions::default() })).await?;
        Ok(())
    }

    /// Removes everything of a project, its volumes and images included. For the end of a test: whatever is gone already
    /// is fine.
    pub async fn sweep(&self, project: &str) {
        for container in self.of_project(project).await.unwrap_or_default() {
            let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
            let _ = self.docker.remove_container(&container.id, Some(options)).await;
        }
        for network in self.networks_of(project).await.unwrap_or_default() {
            let _ = self.docker.remove_network(&network).await;
        }
        for volume in self.volumes_of(project).await.unwrap_or_default() {
            let _ = self.docker.remove_volume(&volume, None::<RemoveVolumeOptions>).await;
        }
        for image in self.images_named(project).await.unwrap_or_default() {
            // The layers stay: they are what makes the next build quick.
            let options = RemoveImageOptions { noprune: true, force: true, ..RemoveImageOptions::default() };
            let _ = self.docker.remove_image(&image, Some(options), None).await;
        }
    }

    async fn images_named(&self, project: &str) -> anyhow::Result<Vec<String>> {
        let images = self.docker.list_images(None::<ListImagesOptions>).await?;
        let tags = images.into_iter().flat_map(|image| image.repo_tags);
        Ok(tags.filter(|tag| tag.contains(project)).collect())
    }
}

fn by_project(project: &str) -> Option<HashMap<String, Vec<String>>> {
    Some(HashMap::from([("label".to_owned(), vec![format!("{PROJECT}={project}")])]))
}
