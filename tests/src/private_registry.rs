//! An image registry that asks for a password: Debian's `docker-registry` (Docker Distribution), on the loopback address, where an engine
//! asks for no certificate.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bollard::auth::DockerCredentials;
use bollard::models::{ContainerConfig, ContainerCreateBody};
use bollard::query_parameters::{
    CommitContainerOptions, CreateContainerOptions, PushImageOptions, RemoveContainerOptions, RemoveImageOptions,
};
use futures::TryStreamExt as _;
use tempfile::TempDir;

use crate::engine::Engine;
use crate::images;
use crate::wait::eventually;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The registry, as long as it lives.
#[derive(Debug)]
pub struct PrivateRegistry {
    _folder: TempDir,
    process: Child,
    port: u16,
    user: String,
    password: String,
}

impl PrivateRegistry {
    /// Starts one that knows this user.
    ///
    /// # Errors
    /// When the program is missing, or does not answer.
    pub async fn start(user: &str, password: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = orrery_nats::port::any()?;
        let path = |name: &str| folder.path().join(name);
        let hashed = bcrypt::hash_with_result(password, 4)?.format_for_version(bcrypt::Version::TwoY);
        std::fs::write(path("htpasswd"), format!("{user}:{hashed}\n"))?;
        let config = serde_json::json!({
            "version": "0.1", "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": path("store")}},
            "http": {"addr": format!("127.0.0.1:{port}")},
            "auth": {"htpasswd": {"realm": "orrery", "path": path("htpasswd")}},
        });
        std::fs::write(path("config.yml"), config.to_string())?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path("config.yml")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().context("run docker-registry: install the package of this name, or run `cargo xtask test`")?;
        let registry = Self { _folder: folder, process, port, user: user.to_owned(), password: password.to_owned() };
        eventually("the registry to answer", Duration::from_secs(30), || async {
            let answer = registry.ask(reqwest::Method::GET, "").await?;
            Ok((answer.status() == 200).then_some(()))
        })
        .await?;
        Ok(registry)
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The whole name of an image of it.
    #[must_use]
    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.host())
    }

    async fn ask(&self, method: reqwest::Method, path: &str) -> anyhow::Result<reqwest::Response> {
        let request = reqwest::Client::new().request(method, format!("http://{}/v2/{path}", self.host()));
        Ok(request.basic_auth(&self.user, Some(&self.password)).header("Accept", MANIFEST).send().await?)
    }

    /// What a tag means now.
    ///
    /// # Errors
    /// When there is none.
    pub async fn digest(&self, repository: &str, tag: &str) -> anyhow::Result<String> {
        let answer = self.ask(reqwest::Method::HEAD, &format!("{repository}/manifests/{tag}")).await?;
        let digest = answer.headers().get("Docker-Content-Digest").context("the registry names no digest")?;
        Ok(digest.to_str()?.to_owned())
    }

    /// Makes an image with this mark, gives it to the registry under a whole name, and forgets it on the engine.
    ///
    /// # Errors
    /// When the engine or the registry refuses.
    pub async fn give(&self, engine: &Engine, name: &str, mark: &str) -> anyhow::Result<()> {
        let docker = engine.docker();
        let body = ContainerCreateBody { image: Some(images::BUSYBOX.into()), cmd: Some(vec!["true".into()]), ..Default::default() };
        let from = docker.create_container(None::<CreateContainerOptions>, body).await?.id;
        let (repo, tag) = name.rsplit_once(':').context("a name with a tag")?;
        let options =
            CommitContainerOptions { container: Some(from.clone()), repo: Some(repo.into()), tag: Some(tag.into()), ..Default::default() };
        let config = ContainerConfig { labels: Some([("mark".to_owned(), mark.to_owned())].into()), ..ContainerConfig::default() };
        docker.commit_container(options, config).await?;
        docker.remove_container(&from, None::<RemoveContainerOptions>).await?;
        let credentials = DockerCredentials {
            username: Some(self.user.clone()),
            password: Some(self.password.clone()),
            serveraddress: Some(self.host()),
            ..DockerCredentials::default()
        };
        let options = PushImageOptions { tag: Some(tag.into()), ..PushImageOptions::default() };
        let told: Vec<_> = docker.push_image(repo, Some(options), Some(credentials)).try_collect().await?;
        let failed = told.iter().find_map(|line| line.error_detail.clone());
        ensure!(failed.is_none(), "the registry refuses {name}: {failed:?}");
        docker.remove_image(name, None::<RemoveImageOptions>, None).await?;
        Ok(())
    }
}

impl Drop for PrivateRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
