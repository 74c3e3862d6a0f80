//! The real engine, over bollard: each action is one or a few calls, made so that repeating it is harmless.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, NetworkConnectRequest, NetworkCreateRequest, NetworkingConfig, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, InspectNetworkOptions, LogsOptions, RemoveContainerOptions, RemoveVolumeOptions,
    RenameContainerOptions,
};
use futures::StreamExt;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::error::{Class, EngineError};
use super::events::{ContainerEvent, EventHub};
use super::gate::{Glimpse, Outcome, Until, Verdict, judge};
use super::hooks::Fault;
use super::known::Known;
use super::listing::found;
use super::observed::{Observed, Scope};
use super::{Act, Connection, Effect, Engine, NewContainer, Probed, Say, images, inspect, listing, power, programs};
use crate::definition::identity as labels;

/// How long a pull or a build may be silent before its first answer.
const IMAGE: Duration = Duration::from_secs(900);
/// A look at a container that is waited for, in case an event was lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// An engine that speaks Docker's API.
#[derive(Clone, Debug)]
pub struct DockerEngine {
    connection: Connection,
    events: EventHub,
    known: Known,
    /// How many processors it has; 0 until it was asked.
    processors: Arc<AtomicUsize>,
}

impl DockerEngine {
    /// The engine at the end of this connection; begins to follow its events.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        let known = Known::default();
        let events = EventHub::follow(connection.clone(), known.clone());
        Self { connection, events, known, processors: Arc::default() }
    }

    /// The connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &EventHub {
        &self.events
    }

    async fn call(&self, docker: &Docker, act: &Act, say: Say<'_>) -> Result<Effect, EngineError> {
        if let Act::Build { order, context, registries } = act {
            let answer = images::build(&docker.clone().with_timeout(IMAGE), order, context.clone(), registries, say).await;
            return answer.map_err(|(error, log)| build_failed(self.connection.failed(error), log));
        }
        self.carry_out(docker, act, say).await.map_err(|fault| fault.into_error(|error| self.connection.failed(error)))
    }

    async fn carry_out(&self, docker: &Docker, act: &Act, say: Say<'_>) -> Result<Effect, Fault> {
        let effect = match act {
            Act::CreateNetwork(body) => create_network(docker, body).await?,
            Act::RemoveNetwork { name } => gone(docker.remove_network(name).await)?,
            Act::CreateVolume(body) => create_volume(docker, body).await?,
            Act::RemoveVolume { name } => gone(docker.remove_volume(name, None::<RemoveVolumeOptions>).await)?,
            Act::Pull { reference, platform, credentials } => {
                images::pull(&docker.clone().with_timeout(IMAGE), reference, platform, credentials.as_ref(), say).await?
            }
            Act::Build { .. } => Effect::default(),
            Act::Tag { reference, alias } => images::tag(docker, reference, alias).await?,
            Act::Create(new) => create(docker, new).await?,
            Act::Start { id } => power::start(docker, id, say).await?,
            Act::Stop { id, grace } => power::stop(docker, id, *grace, say).await?,
            Act::Rename { id, to } => rename(docker, id, to).await?,
            Act::Update { id, body } => docker.update_container(id, body.as_ref().clone()).await.map(|()| Effect::default())?,
            Act::Remove { id, volumes } => {
                let options = RemoveContainerOptions { v: *volumes, force: true, link: false };
                gone(docker.remove_container(id, Some(options)).await)?
            }
        };
        Ok(effect)
    }

    async fn glimpse(&self, id: &str, began: &mut Option<(Instant, String, i64)>) -> Result<Glimpse, EngineError> {
        let docker = self.connection.docker().await?;
        let answer = docker.inspect_container(id, None::<InspectContainerOptions>).await.map_err(|error| self.connection.failed(error))?;
        let state = answer.state.unwrap_or_default();
        let count = answer.restart_count.unwrap_or_default();
        let started = state.started_at.clone().unwrap_or_default();
        let now = Instant::now();
        let first = began.as_ref().map_or(count, |(_, _, first)| *first);
        let since = match began {
            Some((since, of, _)) if *of == started => *since,
            Some(_) | None => now,
        };
        *began = Some((since, started, first));
        let (doing, health) = (inspect::doing(&state), inspect::health(&state));
        let exit_code = state.exit_code.unwrap_or_default();
        Ok(Glimpse { state: doing, health, exit_code, restarts: count.saturating_sub(first), up: now.duration_since(since) })
    }
}

impl Engine for DockerEngine {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        let docker = self.connection.docker().await?;
        let (host, ports) = (self.connection.host().to_owned(), scope.ports.clone());
        let programs = tokio::task::spawn_blocking(move || programs::on(&host, &ports));
        let mut observed = listing::look(&docker, scope, &self.known).await.map_err(|error| self.connection.failed(error))?;
        observed.programs = programs.await.unwrap_or_default();
        Ok(observed)
    }

    async fn act(&self, act: &Act, say: Say<'_>) -> Result<Effect, EngineError> {
        let docker = self.connection.docker().await?;
        let answer = self.call(&docker, act, say).await;
        // Its event may come later than the answer.
        if let Some(id) = act.container() {
            self.known.touch(id);
        }
        match answer {
            Err(error) if error.class != Class::Wait && !self.connection.takes_calls().await => Err(self.connection.ending(error)),
            answer => answer,
        }
    }

    async fn wait(&self, id: &str, until: &Until) -> Result<Outcome, EngineError> {
        let mut events = self.events.listen();
        let mut began = None;
        loop {
            let pause = match judge(until, &self.glimpse(id, &mut began).await?) {
                Verdict::Over(_) if !self.connection.takes_calls().await => {
                    return Err(self.connection.ending("it takes its containers with it"));
                }
                Verdict::Over(outcome) => return Ok(outcome),
                Verdict::Later(pause) => pause.unwrap_or(LOOK_AGAIN),
            };
            let _ = tokio::time::timeout(pause, heard(&mut events, id)).await;
        }
    }

    async fn tail(&self, id: &str, lines: u32) -> Vec<u8> {
        let Ok(docker) = self.connection.docker().await else { return Vec::new() };
        let options = LogsOptions { stdout: true, stderr: true, tail: lines.to_string(), ..LogsOptions::default() };
        let logs = docker.logs(id, Some(options)).take_while(|line| std::future::ready(line.is_ok()));
        logs.fold(Vec::new(), |mut all, line| async move {
            all.extend(line.map(bollard::container::LogOutput::into_bytes).unwrap_or_default());
            all
        })
        .await
    }

    async fn probes(&self, id: &str) -> Vec<Probed> {
        let Ok(docker) = self.connection.docker().await else { return Vec::new() };
        let answer = docker.inspect_container(id, None::<InspectContainerOptions>).await;
        let health = answer.ok().and_then(|answer| answer.state).and_then(|state| state.health);
        health.map(inspect::probes).unwrap_or_default()
    }

    async fn mounted(&self) -> Result<BTreeSet<PathBuf>, EngineError> {
        let docker = self.connection.docker().await?;
        listing::mounted(&docker).await.map_err(|error| self.connection.failed(error))
    }

    fn away(&self) -> Option<String> {
        (!self.connection.is_up()).then(|| format!("the engine at {}", self.connection.host()))
    }

    async fn processors(&self) -> usize {
        let known = self.processors.load(Ordering::Relaxed);
        if known > 0 {
            return known;
        }
        let Ok(docker) = self.connection.docker().await else { return 1 };
        let count = docker.info().await.ok().and_then(|info| info.ncpu);
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(1).max(1);
        self.processors.store(count, Ordering::Relaxed);
        count
    }
}

/// The output of a failed build travels in the error's source.
fn build_failed(error: EngineError, log: Vec<u8>) -> EngineError {
    let code = if error.class == Class::Retry && error.code == "engine" { "build_failed" } else { error.code };
    let class = if code == "build_failed" { Class::Refuse } else { error.class };
    EngineError { class, code, message: error.message, source: Some(Box::new(super::error::BuildLog(log))) }
}

/// Resolves when something happened to this container, or events may have been missed.
async fn heard(events: &mut tokio::sync::broadcast::Receiver<ContainerEvent>, id: &str) {
    loop {
        match events.recv().await {
            Ok(ContainerEvent::Happened { id: whose, .. }) if whose != id => {}
            Ok(ContainerEvent::Lost) => {}
            Ok(ContainerEvent::Connected | ContainerEvent::Happened { .. }) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending::<()>().await,
        }
    }
}

/// What is gone already needs no removal.
pub(super) fn gone(answer: Result<(), Error>) -> Result<Effect, Error> {
    Ok(if found(answer)?.is_some() { Effect::default() } else { Effect::found() })
}

/// Engines before API 1.44 make two networks of one name; so it is looked for first.
async fn create_network(docker: &Docker, body: &NetworkCreateRequest) -> Result<Effect, Error> {
    if let Some(network) = found(docker.inspect_network(&body.name, None::<InspectNetworkOptions>).await)?
        && network.labels.as_ref().and_then(|label| label.get(labels::HASH))
            == body.labels.as_ref().and_then(|label| label.get(labels::HASH))
    {
        return Ok(Effect { id: network.id, ..Effect::found() });
    }
    docker.create_network(body.clone()).await.map(|answer| Effect::made(answer.id))
}

async fn create_volume(docker: &Docker, body: &VolumeCreateRequest) -> Result<Effect, Error> {
    docker.create_volume(body.clone()).await.map(|volume| Effect::made(volume.name))
}

/// With the first network in the request, and the others connected before the start: engines before API 1.44 take one.
async fn create(docker: &Docker, new: &NewContainer) -> Result<Effect, Error> {
    let (first, rest) = match new.networks.split_first() {
        Some((first, rest)) => (Some(first), rest),
        None => (None, [].as_slice()),
    };
    let networking = first.map(|(name, endpoint)| NetworkingConfig { endpoints_config: Some([(name.clone(), endpoint.clone())].into()) });
    let body = ContainerCreateBody { networking_config: networking, ..new.body.clone() };
    let options = CreateContainerOptions { name: Some(new.name.clone()), platform: new.platform.clone() };
    let (id, warnings, already) = match docker.create_container(Some(options), body).await {
        Ok(answer) => (answer.id, answer.warnings, false),
        Err(Error::DockerResponseServerError { status_code: 409, message }) => match same(docker, new).await? {
            Some(id) => (id, Vec::new(), true),
            None => return Err(Error::DockerResponseServerError { status_code: 409, message }),
        },
        Err(error) => return Err(error),
    };
    for (network, endpoint) in rest {
        let request = NetworkConnectRequest { container: id.clone(), endpoint_config: Some(endpoint.clone()) };
        match docker.connect_network(network, request).await {
            Err(Error::DockerResponseServerError { status_code: 403 | 409, message }) if message.contains("already exists") => {}
            answer => answer?,
        }
    }
    Ok(Effect { already, id: Some(id), warnings, log: None })
}

/// The container that has the name already, when it is the one that this command made from this definition.
async fn same(docker: &Docker, new: &NewContainer) -> Result<Option<String>, Error> {
    let Some(there) = found(docker.inspect_container(&new.name, None::<InspectContainerOptions>).await)? else { return Ok(None) };
    let theirs = there.config.and_then(|config| config.labels).unwrap_or_default();
    let ours = new.body.labels.clone().unwrap_or_default();
    let agrees = |key: &str| theirs.get(key) == ours.get(key);
    let same = [labels::INSTALLATION, labels::STACK, labels::COMMAND, labels::HASH].into_iter().all(agrees);
    Ok(there.id.filter(|_| same))
}

async fn rename(docker: &Docker, id: &str, to: &str) -> Result<Effect, Error> {
    let there = docker.inspect_container(id, None::<InspectContainerOptions>).await?;
    if there.name.as_deref().map(|name| name.trim_start_matches('/')) == Some(to) {
        return Ok(Effect::found());
    }
    docker.rename_container(id, RenameContainerOptions { name: to.to_owned() }).await.map(|()| Effect::default())
}
