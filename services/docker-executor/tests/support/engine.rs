//! The real engine for tests, and one tiny image made on it.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bollard::query_parameters::{ListContainersOptions, RemoveContainerOptions};
use orrery_docker_executor::engine::{Connection, DockerEngine};

/// The engine, with the test image; a test without an engine fails and says how to start one.
pub async fn engine() -> DockerEngine {
    let connection = Connection::from_env();
    if let Err(error) = connection.docker().await {
        panic!(
            "{error}. These tests need a Docker Engine: start one (`dockerd &` as root, or `systemctl start docker`), or set DOCKER_HOST"
        );
    }
    let engine = DockerEngine::new(connection);
    make_image(&engine).await;
    engine
}

/// Makes the test image where the engine has none.
pub async fn make_image(engine: &DockerEngine) {
    let docker = engine.connection().docker().await.unwrap();
    orrery_tests::images::busybox(&docker).await.unwrap();
}

/// Removes everything of a project when the test ends, however it ends.
pub struct Project(pub String);

impl Drop for Project {
    fn drop(&mut self) {
        let name = self.0.clone();
        std::thread::scope(|scope| {
            scope.spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(remove(&name)));
        });
    }
}

async fn remove(project: &str) {
    let Ok(docker) = Connection::from_env().docker().await else { return };
    let label = format!("com.docker.compose.project={project}");
    let filters = || Some(std::collections::HashMap::from([("label".to_owned(), vec![label.clone()])]));
    let options = ListContainersOptions { all: true, filters: filters(), ..ListContainersOptions::default() };
    for container in docker.list_containers(Some(options)).await.unwrap_or_default() {
        let options = RemoveContainerOptions { force: true, v: true, link: false };
        let _ = docker.remove_container(&container.id.unwrap_or_default(), Some(options)).await;
    }
    for network in
        docker.list_networks(Some(bollard::query_parameters::ListNetworksOptions { filters: filters() })).await.unwrap_or_default()
    {
        let _ = docker.remove_network(&network.id.unwrap_or_default()).await;
    }
    let volumes = docker.list_volumes(Some(bollard::query_parameters::ListVolumesOptions { filters: filters() })).await;
    for volume in volumes.ok().and_then(|answer| answer.volumes).unwrap_or_default() {
        let _ = docker.remove_volume(&volume.name, None::<bollard::query_parameters::RemoveVolumeOptions>).await;
    }
}

/// A name that no other test and no other run has.
pub fn unique(name: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("t{}-{name}", &id[..8])
}
