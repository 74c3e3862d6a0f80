//! `/healthz` and `/readyz`: whether the process lives, whether it can work, and what it waits for.
//!
//! Both are open to everybody, so they name parts and sequences, and nothing that somebody owns.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use orrery_contracts::{Engine, engine};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use crate::auth::Principal;
use crate::queries;
use crate::state::Api;

/// The answer of `/healthz`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
    /// The release that answers.
    pub version: &'static str,
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Readiness {
    /// Whether reads and writes work.
    pub ready: bool,
    /// What is missing; also what holds the queue while reads and writes work.
    pub waiting_for: Vec<Waiting>,
}

/// One thing that is waited for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Waiting {
    /// `database`, `broker`, `rights`, `projector`, `executor docker`, `queue`.
    pub what: String,
    /// In words.
    pub detail: String,
}

/// The process lives.
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether the service can work.
pub async fn readyz(State(api): State<Api>) -> (StatusCode, Json<Readiness>) {
    let readiness = readiness(&api).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

/// `/metrics`, in the format of Prometheus; for whoever is signed in or has a token.
pub async fn metrics(State(api): State<Api>, _: Principal) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], api.metrics.get().map(|show| show()).unwrap_or_default())
}

/// Keeps the instruments told, until the end of the process.
pub async fn tell(api: Api, instruments: orrery_instruments::Readiness) {
    while !api.ending.is_cancelled() {
        let now = readiness(&api).await;
        for part in ["broker", "database", "rights"] {
            instruments.set(part, now.waiting_for.iter().find(|waiting| waiting.what == part).map(|waiting| waiting.detail.clone()));
        }
        // Not before it is known what is missing: who waits for readiness would go on at once.
        instruments.started();
        let pause = if now.ready { 2000 } else { 200 };
        tokio::select! {
            () = api.ending.cancelled() => return,
            () = api.broker.changed() => {}
            () = tokio::time::sleep(Duration::from_millis(pause)) => {}
        }
    }
}

/// What the service can do and what it waits for.
pub async fn readiness(api: &Api) -> Readiness {
    let mut missing = Vec::new();
    if let Some(reason) = api.broker.why_away() {
        missing.push(waiting("broker", reason));
    }
    let database = tokio::time::timeout(Duration::from_secs(2), queries::queue::engines(api)).await;
    let engines = match database {
        Ok(Ok(engines)) => engines,
        Ok(Err(refusal)) => {
            missing.push(waiting("database", refusal.problem().detail));
            Vec::new()
        }
        Err(_) => {
            missing.push(waiting("database", "it does not answer".to_owned()));
            Vec::new()
        }
    };
    if missing.is_empty() && api.prepared.get().is_none() {
        // Until then an executor would reject a publisher's command for want of rights.
        missing.push(waiting("rights", "the broker is being told who may do what".to_owned()));
    }
    let ready = missing.is_empty();
    if ready {
        missing.extend(engines.into_iter().filter(|engine| api.executors.is_away(*engine)).map(executor_away));
        missing.extend(queue(api).await);
    }
    Readiness { ready, waiting_for: missing }
}

fn executor_away(engine: Engine) -> Waiting {
    waiting(&format!("executor {engine}"), "no sign of life for ten seconds; its commands wait".to_owned())
}

/// What holds the queue, when something does.
async fn queue(api: &Api) -> Option<Waiting> {
    let head = queries::queue::head(api).await.ok().flatten()?;
    let owner = engine_of(head.r#type.as_deref());
    if head.status == orrery_contracts::Status::Failed {
        return Some(waiting("queue", format!("command {} failed and holds the queue until it is retried or cancelled", head.seq)));
    }
    let away = api.executors.is_away(owner);
    away.then(|| waiting("queue", format!("command {} waits for the executor of {owner}, which is away", head.seq)))
}

/// The engine whose executor owns a command of this type.
pub(crate) fn engine_of(r#type: Option<&str>) -> Engine {
    let body = serde_json::json!({ "type": r#type.unwrap_or_default() });
    engine::owner(body.to_string().as_bytes())
}

fn waiting(what: &str, detail: String) -> Waiting {
    Waiting { what: what.to_owned(), detail }
}
