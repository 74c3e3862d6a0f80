//! The real engine for tests, and one tiny image made on it.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::query_parameters::{CreateImageOptions, ListContainersOptions, RemoveContainerOptions};
use futures::StreamExt;
use orrery_docker_executor::engine::{Connection, DockerEngine};
use rustix::fs::{FlockOperation, flock};

use super::support::IMAGE;

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

/// Makes the test image where the engine has none; once, though many tests ask at once.
pub async fn make_image(engine: &DockerEngine) {
    let _lock = tokio::task::spawn_blocking(lock).await.unwrap();
    let docker = engine.connection().docker().await.unwrap();
    if docker.inspect_image(IMAGE).await.is_ok() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let busybox = busybox(folder.path());
    let (name, tag) = IMAGE.split_once(':').unwrap();
    let options = CreateImageOptions {
        from_src: Some("-".into()),
        repo: Some(name.into()),
        tag: Some(tag.into()),
        changes: vec!["ENV PATH=/bin".into()],
        ..CreateImageOptions::default()
    };
    let mut progress = std::pin::pin!(docker.create_image(Some(options), Some(bollard::body_full(root(&busybox).into())), None));
    while let Some(info) = progress.next().await {
        info.unwrap();
    }
}

fn lock() -> File {
    let lock = File::create(std::env::temp_dir().join("orrery-test-images.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    lock
}

/// The static busybox of Debian's package: the one that is installed, else one that is fetched beside.
fn busybox(folder: &Path) -> PathBuf {
    let installed = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    if let Some(found) = installed.into_iter().find(|path| path.exists()) {
        return found;
    }
    let script = "apt-get download -q busybox-static && dpkg -x busybox-static_*.deb .";
    let fetched = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
    let found = ["bin/busybox", "usr/bin/busybox"].map(|path| folder.join(path)).into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no static busybox: install busybox-static. {}", String::from_utf8_lossy(&fetched.stderr)))
}

fn root(busybox: &Path) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let bytes = std::fs::read(busybox).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o755);
    tar.append_data(&mut header, "bin/busybox", bytes.as_slice()).unwrap();
    for applet in ["sh", "sleep", "httpd", "wget", "echo", "cat", "true", "false", "test", "mkdir", "nslookup", "touch"] {
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, format!("bin/{applet}"), "busybox").unwrap();
    }
    for folder in ["tmp", "www", "etc"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o777);
        header.set_size(0);
        tar.append_data(&mut header, format!("{folder}/"), std::io::empty()).unwrap();
    }
    tar.into_inner().unwrap()
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
