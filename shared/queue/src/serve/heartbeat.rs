//! Signs of life: every three seconds a message that is not kept, and the state of the connection told to readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use orrery_contracts::rpc::Heartbeat;
use orrery_contracts::{Engine, subjects};

use crate::executor::Executor;
use crate::report::Report;
use crate::streams::{Link, Streams};

const BEAT: Duration = Duration::from_secs(3);

/// Beats until it is dropped. `running` is the command in hand, 0 for none.
pub(super) async fn beat<E: Executor>(streams: Streams, engine: Engine, host: String, executor: Arc<E>, running: Arc<AtomicU64>) {
    let subject = subjects::heartbeat(engine, &host);
    let mut ticks = tokio::time::interval(BEAT);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let waiting_for = executor.waiting_for();
        let running = Some(running.load(Ordering::Relaxed)).filter(|seq| *seq > 0);
        let beat = Heartbeat { executor: format!("{engine}@{host}"), running, engine_ready: waiting_for.is_none(), waiting_for };
        let body = serde_json::to_vec(&beat).unwrap_or_default();
        streams.tell(subject.clone(), body).await;
    }
}

/// Tells readiness about the broker until it is dropped.
pub(super) async fn watch_link(streams: Streams, report: Report) {
    let mut link = streams.link();
    loop {
        match &*link.borrow_and_update() {
            Link::Away(reason) => report.waits("broker", reason.clone()),
            Link::Connected(_) => report.has("broker"),
        }
        if link.changed().await.is_err() {
            return;
        }
    }
}
