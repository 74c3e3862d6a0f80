//! The engine's own word on what it made. It remembers only its last events, so it is listened to from the start.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream;
use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures::{StreamExt as _, TryStreamExt as _};
use orrery_contracts::{Installation, Time, subjects};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::engine::{Engine, PROJECT};

/// The label that says whose a container is.
const INSTALLATION: &str = "io.orrery.installation";
/// The label that says which command made it.
const COMMAND: &str = "io.orrery.command";

/// What happened to a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EngineEvent {
    /// When, in nanoseconds since 1970.
    pub nanoseconds: i64,
    /// `create`, `start`, `die`, `destroy`.
    pub action: String,
    /// Its project.
    pub project: String,
    /// Its name at that moment.
    pub name: String,
    /// The engine's id.
    pub id: String,
    /// The command that made it.
    pub command: u64,
}

impl EngineEvent {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Time {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.nanoseconds));
        Time::new(at.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    fn read(event: EventMessage) -> Option<Self> {
        let (action, actor) = (event.action?, event.actor?);
        let labels = actor.attributes?;
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        Some(Self {
            nanoseconds: event.time_nano?,
            action,
            project: label(PROJECT),
            name: label("name"),
            id: actor.id?,
            command: label(COMMAND).parse().ok()?,
        })
    }
}

type Seen = Arc<Mutex<BTreeSet<EngineEvent>>>;

/// Listens to the engine until it is dropped; an engine that comes back is listened to again.
#[derive(Debug)]
pub struct Watch {
    docker: Docker,
    installation: Uuid,
    since: i64,
    seen: Seen,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to listen for an installation's containers.
    ///
    /// # Errors
    /// When the broker has no installation.
    pub async fn begin(engine: &Engine, reading: &jetstream::Context) -> anyhow::Result<Self> {
        let heads = reading.get_stream(format!("KV_{}", subjects::HEADS)).await?;
        let record = heads.get_last_raw_message_by_subject(&format!("$KV.{}.{}", subjects::HEADS, subjects::INSTALLATION_KEY)).await;
        let record: Installation = serde_json::from_slice(&record.context("the installation's record")?.payload)?;
        let (docker, installation, seen) = (engine.docker().clone(), record.id, Seen::default());
        let since = OffsetDateTime::now_utc().unix_timestamp();
        let task = tokio::spawn(listen(docker.clone(), installation, since, Arc::clone(&seen)));
        Ok(Self { docker, installation, since, seen, task })
    }

    /// Everything so far, the engine's last words included.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn seen(&self) -> anyhow::Result<Vec<EngineEvent>> {
        let until = OffsetDateTime::now_utc().unix_timestamp() + 1;
        let options = options(self.installation, self.since, Some(until));
        let last: Vec<EventMessage> = self.docker.events(Some(options)).try_collect().await?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(last.into_iter().filter_map(EngineEvent::read));
        Ok(seen.iter().cloned().collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(docker: Docker, installation: Uuid, mut since: i64, seen: Seen) {
    loop {
        let mut events = docker.events(Some(options(installation, since, None)));
        while let Some(Ok(event)) = events.next().await {
            since = event.time.unwrap_or(since);
            if let Some(event) = EngineEvent::read(event) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).insert(event);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn options(installation: Uuid, since: i64, until: Option<i64>) -> EventsOptions {
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("event".to_owned(), ["create", "start", "die", "destroy"].map(str::to_owned).to_vec()),
        ("label".to_owned(), vec![format!("{INSTALLATION}={installation}")]),
    ]);
    EventsOptions { since: Some(since.to_string()), until: until.map(|until| until.to_string()), filters: Some(filters) }
}
