//! The executors' signs of life: heard on the broker, kept for ten seconds, lost with the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use orrery_contracts::rpc::Heartbeat;
use orrery_contracts::{Engine, subjects};
use tokio::sync::watch;

use crate::state::Api;

/// An executor that has been silent for longer is away.
pub const SILENCE: Duration = Duration::from_secs(10);

/// What was heard last of each executor, by `engine@host`.
pub struct Executors {
    heard: Mutex<BTreeMap<String, (Instant, Heartbeat)>>,
    news: watch::Sender<u64>,
    since: Instant,
}

impl Default for Executors {
    fn default() -> Self {
        Self { heard: Mutex::default(), news: watch::Sender::new(0), since: Instant::now() }
    }
}

impl Executors {
    /// Takes down a sign of life.
    pub fn hear(&self, beat: Heartbeat) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.insert(beat.executor.clone(), (Instant::now(), beat));
        drop(heard);
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The last sign of life of an executor that is not away.
    pub fn alive(&self, engine: Engine, host: &str) -> Option<Heartbeat> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(&format!("{engine}@{host}")).filter(|(at, _)| at.elapsed() < SILENCE).map(|(_, beat)| beat.clone())
    }

    /// Whether no executor of this engine has given a sign of life for ten seconds. This process must have listened for
    /// as long before it says so.
    pub fn is_away(&self, engine: Engine) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let prefix = format!("{engine}@");
        let silent = !heard.iter().any(|(name, (at, _))| name.starts_with(&prefix) && at.elapsed() < SILENCE);
        silent && self.since.elapsed() >= SILENCE
    }

    /// Every executor that was ever heard of here.
    pub fn known(&self) -> Vec<Heartbeat> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.values().map(|(_, beat)| beat.clone()).collect()
    }

    /// Waits until this executor has given no sign of life for ten seconds, counted from now at the earliest.
    pub async fn fallen_silent(&self, engine: Engine, host: &str) {
        let begun = Instant::now();
        loop {
            let last = {
                let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.get(&format!("{engine}@{host}")).map_or(begun, |(at, _)| (*at).max(begun))
            };
            if last.elapsed() >= SILENCE {
                return;
            }
            tokio::time::sleep_until((last + SILENCE).into()).await;
        }
    }

    /// Waits for the next sign of life of anybody.
    pub async fn next(&self) {
        let mut news = self.news.subscribe();
        let _ = news.changed().await;
    }
}

/// Listens until the end of the process.
pub async fn listen(api: Api) {
    let heard = async {
        let Ok(mut beats) = api.broker.client().subscribe(subjects::ALL_HEARTBEATS).await else { return };
        while let Some(message) = beats.next().await {
            match serde_json::from_slice(&message.payload) {
                Ok(beat) => api.executors.hear(beat),
                Err(error) => tracing::warn!(subject = %message.subject, "a sign of life cannot be read: {error}"),
            }
        }
    };
    tokio::select! {
        () = api.ending.cancelled() => {}
        () = heard => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Executors;
    use orrery_contracts::Engine;
    use orrery_contracts::rpc::Heartbeat;

    #[test]
    fn an_executor_is_alive_on_its_own_host_and_engine_alone() {
        let executors = Executors::default();
        executors.hear(Heartbeat { executor: "docker@local".into(), running: None, engine_ready: true, waiting_for: None });
        assert!(executors.alive(Engine::Docker, "local").is_some());
        assert!(executors.alive(Engine::Libvirt, "local").is_none());
        assert!(executors.alive(Engine::Docker, "other").is_none());
        assert!(!executors.is_away(Engine::Docker));
        assert!(!executors.is_away(Engine::Libvirt), "nobody has listened for ten seconds yet");
    }
}
