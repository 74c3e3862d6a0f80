//! What a service waits for, by name, with a detail for a person. Ready is who waits for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

/// What a service waits for; clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<BTreeMap<String, String>>>);

/// The answer of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadyAnswer {
    /// Whether nothing is waited for.
    pub ready: bool,
    /// What is.
    pub waiting_for: Vec<Wait>,
}

/// One condition that does not hold yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// Its name: `broker`, `engine`, `lock`, …
    pub what: String,
    /// What is known about it.
    pub detail: String,
}

impl Readiness {
    /// A service that has just started: not ready until [`Readiness::started`].
    #[must_use]
    pub fn starting() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::from([("start".to_owned(), "starting".to_owned())]))))
    }

    /// The service has started; what else it waits for, its parts say themselves.
    pub fn started(&self) {
        self.has("start");
    }

    /// `what` is waited for.
    pub fn waits(&self, what: &str, detail: impl Into<String>) {
        let detail = detail.into();
        self.0.send_if_modified(|waits| waits.insert(what.to_owned(), detail.clone()).is_none_or(|before| before != detail));
    }

    /// `what` is there.
    pub fn has(&self, what: &str) {
        self.0.send_if_modified(|waits| waits.remove(what).is_some());
    }

    /// `what` is waited for, or there where the detail is none: for callbacks.
    pub fn set(&self, what: &str, detail: Option<String>) {
        match detail {
            Some(detail) => self.waits(what, detail),
            None => self.has(what),
        }
    }

    /// What `/readyz` answers now.
    #[must_use]
    pub fn answer(&self) -> ReadyAnswer {
        let waits = self.0.borrow();
        let waiting_for: Vec<Wait> = waits.iter().map(|(what, detail)| Wait { what: what.clone(), detail: detail.clone() }).collect();
        ReadyAnswer { ready: waiting_for.is_empty(), waiting_for }
    }

    /// Resolves when nothing is waited for.
    pub async fn ready(&self) {
        let mut waits = self.0.subscribe();
        if waits.wait_for(BTreeMap::is_empty).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Logs each condition once when it comes and when it goes, until dropped.
    pub async fn log_changes(self) {
        let mut changes = self.0.subscribe();
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let now = changes.borrow_and_update().clone();
            for (what, detail) in now.iter().filter(|(what, _)| !known.contains_key(*what)) {
                tracing::info!(what, "waits for {what}: {detail}");
            }
            for what in known.keys().filter(|what| !now.contains_key(*what)) {
                tracing::info!(what, "has {what}");
            }
            if now.is_empty() && !known.is_empty() {
                tracing::info!("ready");
            }
            known = now;
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_when_it_waits_for_nothing() {
        let readiness = Readiness::starting();
        readiness.waits("broker", "connecting");
        readiness.started();
        let answer = readiness.answer();
        assert!(!answer.ready);
        assert_eq!(answer.waiting_for, [Wait { what: "broker".into(), detail: "connecting".into() }]);
        readiness.set("broker", None);
        assert!(readiness.answer().ready);
    }
}
