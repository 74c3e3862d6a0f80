//! The engine's events, followed once and told to everybody who waits for a container. It reconnects for ever, and says
//! when it did, because events in between are lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures::StreamExt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::Connection;
use super::known::Known;

/// The pause between two tries to connect.
const PAUSE: Duration = Duration::from_millis(500);

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerEvent {
    /// The engine was reached (again); events may have been missed.
    Connected,
    /// The engine went away.
    Lost,
    /// This happened to the container with this id.
    Happened {
        /// The container.
        id: String,
        /// `start`, `die`, `health_status: healthy`, …
        action: String,
    },
}

/// Tells events to whoever listens; ends when dropped.
#[derive(Clone, Debug)]
pub struct EventHub {
    tell: broadcast::Sender<ContainerEvent>,
    _ends: Arc<DropGuard>,
}

impl EventHub {
    /// Begins to follow the events of the engine.
    #[must_use]
    pub(super) fn follow(connection: Connection, known: Known) -> Self {
        let (tell, _) = broadcast::channel(4096);
        let end = CancellationToken::new();
        let told = tell.clone();
        let ended = end.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = follow(&connection, &known, &told) => {}
            }
        });
        Self { tell, _ends: Arc::new(end.drop_guard()) }
    }

    /// Events from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<ContainerEvent> {
        self.tell.subscribe()
    }
}

async fn follow(connection: &Connection, known: &Known, tell: &broadcast::Sender<ContainerEvent>) {
    loop {
        if let Ok(docker) = connection.docker().await {
            // From the engine's own present on: what happens before its answer begins is told as well.
            if let Ok(info) = docker.info().await {
                let _ = tell.send(ContainerEvent::Connected);
                known.told(true);
                hear(&docker, info.system_time.as_deref().and_then(engine_seconds), known, tell).await;
            }
            known.told(false);
            connection.drop_it();
            let _ = tell.send(ContainerEvent::Lost);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The engine's clock as its events take it: seconds of the epoch with nanoseconds behind the point (`GET /events?since=`).
fn engine_seconds(rfc3339: &str) -> Option<String> {
    let at = OffsetDateTime::parse(rfc3339, &Rfc3339).ok()?;
    Some(format!("{}.{:09}", at.unix_timestamp(), at.nanosecond()))
}

async fn hear(docker: &Docker, since: Option<String>, known: &Known, tell: &broadcast::Sender<ContainerEvent>) {
    let filters = HashMap::from([("type".to_owned(), vec!["container".to_owned()])]);
    let options = EventsOptions { since, until: None, filters: Some(filters) };
    let mut events = std::pin::pin!(docker.events(Some(options)));
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if let Some((id, action)) = read(event) {
                    known.touch(&id);
                    let _ = tell.send(ContainerEvent::Happened { id, action });
                }
            }
            Err(error) => {
                tracing::warn!("the engine's events end: {error}");
                return;
            }
        }
    }
}

/// The container, and what happened to it.
fn read(event: EventMessage) -> Option<(String, String)> {
    let action = event.action.filter(|action| !action.starts_with("exec_") && action != "top")?;
    Some((event.actor?.id?, action))
}

#[cfg(test)]
mod tests {
    use super::engine_seconds;

    #[test]
    fn the_engines_clock_becomes_what_its_events_take() {
        assert_eq!(engine_seconds("2026-11-21T11:18:50.250000001Z").as_deref(), Some("1795259930.250000001"));
        assert_eq!(engine_seconds("yesterday"), None);
    }
}
