//! What the engine says, published as observations: a full listing under a new epoch at every connection to the engine or
//! the broker, then event by event. A removal is a tombstone; a listing ends with a marker, so that no ghost stays.

mod container;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use orrery_contracts::{ContainerObservation, EngineMarker, subjects};
use orrery_queue::Broker;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::commands::now;
use crate::engine::{ContainerEvent, DockerEngine, EngineError};
use crate::files::DataDir;

pub use container::observation;

/// How long events of one container are gathered before it is looked at.
const GATHER: Duration = Duration::from_millis(80);
/// How often containers are looked at again that differ from their version: what is expected of them is written down when a
/// convergence has ended, and no event tells of it.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// How many questions are asked at once.
const AT_ONCE: usize = 8;

/// Publishes what an engine says.
pub struct Observer {
    /// The engine.
    pub engine: Arc<DockerEngine>,
    /// The broker.
    pub broker: Broker,
    /// What containers should be like.
    pub data: DataDir,
    /// The host's name.
    pub host: String,
}

/// Why a round of observing ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the engine: {0}")]
    Engine(#[from] EngineError),
    #[error("the broker: {0}")]
    Broker(String),
    #[error("events were missed")]
    Missed,
}

impl Observer {
    /// Observes until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                self.broker.connected().await;
                if let Err(broken) = self.round().await {
                    tracing::debug!("observes from the beginning: {broken}");
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// One listing, and the events behind it, until a connection changes.
    async fn round(&self) -> Result<(), Broken> {
        let mut events = self.engine.events().listen();
        let mut link = self.broker.link();
        let connection = link.borrow_and_update().clone();
        let epoch = epoch();
        let mut known = self.list(epoch).await?;
        let mut waiting: BTreeSet<String> = BTreeSet::new();
        loop {
            let drifted = || known.values().filter(|seen| !seen.drift.is_empty()).map(|seen| seen.id.clone());
            let pause = match (waiting.is_empty(), drifted().next().is_none()) {
                (false, _) => GATHER,
                (true, false) => AGAIN,
                (true, true) => Duration::from_secs(3600),
            };
            tokio::select! {
                event = events.recv() => match event {
                    Ok(ContainerEvent::Happened { id, .. }) => drop(waiting.insert(id)),
                    // The hub says so once when it begins; a listing after it misses nothing.
                    Ok(ContainerEvent::Connected) | Err(RecvError::Lagged(_)) => return Err(Broken::Missed),
                    Ok(ContainerEvent::Lost) | Err(RecvError::Closed) => return Err(Broken::Missed),
                },
                () = async { drop(link.wait_for(|now| *now != connection).await) } => return Err(Broken::Broker("another connection".into())),
                () = tokio::time::sleep(pause) => {
                    let ids: BTreeSet<String> = std::mem::take(&mut waiting).into_iter().chain(drifted()).collect();
                    let ids: Vec<String> = ids.into_iter().collect();
                    self.tell(&ids, epoch, &mut known).await?;
                }
            }
        }
    }

    async fn list(&self, epoch: u64) -> Result<BTreeMap<String, ContainerObservation>, Broken> {
        let connection = self.engine.connection();
        let docker = connection.docker().await?;
        let options = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        let all = docker.list_containers(Some(options)).await.map_err(|error| connection.failed(error))?;
        let ids: Vec<String> = all.into_iter().filter_map(|summary| summary.id).collect();
        let mut known = BTreeMap::new();
        for id in self.remembered().await? {
            if !ids.contains(&id) {
                self.tombstone(&id).await?;
            }
        }
        self.tell(&ids, epoch, &mut known).await?;
        self.mark(epoch).await?;
        Ok(known)
    }

    /// Looks at these containers and publishes what is new of them.
    async fn tell(&self, ids: &[String], epoch: u64, known: &mut BTreeMap<String, ContainerObservation>) -> Result<(), Broken> {
        let looks = stream::iter(ids.to_vec()).map(|id| async move {
            let seen = self.look(&id, epoch).await?;
            Ok::<_, Broken>((id, seen))
        });
        let looks: Vec<_> = looks.buffered(AT_ONCE).try_collect().await?;
        for (id, seen) in looks {
            match seen {
                Some(seen) if known.get(&id) == Some(&seen) => {}
                Some(seen) => {
                    let body = serde_json::to_vec(&seen).unwrap_or_default();
                    self.publish(&subjects::observed(&self.host, "container", &id), HeaderMap::new(), body).await?;
                    known.insert(id, seen);
                }
                None => {
                    known.remove(&id);
                    self.tombstone(&id).await?;
                }
            }
        }
        Ok(())
    }

    async fn look(&self, id: &str, epoch: u64) -> Result<Option<ContainerObservation>, Broken> {
        let connection = self.engine.connection();
        let docker = connection.docker().await?;
        let answer = docker.inspect_container(id, None::<InspectContainerOptions>).await;
        match answer {
            Ok(inspect) => Ok(observation(inspect, &self.host, epoch, &self.data)),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(connection.failed(error).into()),
        }
    }

    async fn mark(&self, epoch: u64) -> Result<(), Broken> {
        let connection = self.engine.connection();
        let docker = connection.docker().await?;
        let info = docker.info().await.map_err(|error| connection.failed(error))?;
        let marker = EngineMarker {
            host: self.host.clone(),
            epoch,
            engine_version: info.server_version.unwrap_or_default(),
            api_version: docker.client_version().to_string(),
            cpus: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            at: now(),
            accelerator: None,
        };
        let body = serde_json::to_vec(&marker).unwrap_or_default();
        self.publish(&subjects::observed(&self.host, "marker", "docker"), HeaderMap::new(), body).await
    }

    /// Containers of which OBSERVED knows, perhaps from an earlier life.
    async fn remembered(&self) -> Result<Vec<String>, Broken> {
        let broken = |error: String| Broken::Broker(error);
        let stream = self.broker.jetstream().get_stream(subjects::OBSERVED).await.map_err(|error| broken(error.to_string()))?;
        let filter = subjects::observed(&self.host, "container", "*");
        let prefix = subjects::observed(&self.host, "container", "");
        let all = stream.info_with_subjects(filter).await.map_err(|error| broken(error.to_string()))?;
        let names: Vec<(String, usize)> = all.try_collect().await.map_err(|error| broken(error.to_string()))?;
        Ok(names.into_iter().filter_map(|(subject, _)| subject.strip_prefix(&prefix).map(str::to_owned)).collect())
    }

    async fn tombstone(&self, id: &str) -> Result<(), Broken> {
        let mut headers = HeaderMap::new();
        headers.insert(subjects::TOMBSTONE_HEADER, "1");
        self.publish(&subjects::observed(&self.host, "container", id), headers, Vec::new()).await
    }

    async fn publish(&self, subject: &str, headers: HeaderMap, body: Vec<u8>) -> Result<(), Broken> {
        let jetstream: &jetstream::Context = self.broker.jetstream();
        let sent = jetstream.publish_with_headers(subject.to_owned(), headers, body.into()).await;
        let acknowledged = sent.map_err(|error| Broken::Broker(error.to_string()))?.await;
        acknowledged.map(drop).map_err(|error| Broken::Broker(error.to_string()))
    }
}

/// Grows with every connection, also over the executor's lives.
fn epoch() -> u64 {
    let micros = now().inner().unix_timestamp_nanos() / 1000;
    u64::try_from(micros).unwrap_or_default()
}
