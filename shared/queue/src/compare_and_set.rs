//! Publishing by compare-and-set, and finding out what became of it. The broker answers one error for "taken" and for
//! "disk full", and an answer may be lost with the connection: so every refusal and every silence is read back.

use std::time::Duration;

use bytes::Bytes;
use orrery_contracts::subjects;
use serde::Deserialize;
use uuid::Uuid;

use crate::report::Report;
use crate::streams::{Item, Streams, expecting};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const STORING: &str = "events";

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is stored, at this sequence.
    Stored(u64),
    /// It is not, because another message is the last one of the subject: this one, or none.
    Refused(Option<Item>),
    /// The caller gave up while the broker did not answer: it may be stored or not.
    GaveUp,
}

/// A message for EVENTS.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) subject: String,
    pub(crate) event_id: Uuid,
    pub(crate) body: Bytes,
}

/// Writes to EVENTS by compare-and-set.
#[derive(Clone, Debug)]
pub(crate) struct EventsWriter {
    streams: Streams,
    report: Report,
}

/// What a person does about a broker that stores nothing. One whose disk was full opens its streams only when it starts again.
const MAKE_ROOM: &str = "Where its disk is full, make room, then `cargo xtask restart nats`";

impl EventsWriter {
    pub(crate) fn new(streams: &Streams, report: &Report) -> Self {
        Self { streams: streams.clone(), report: report.clone() }
    }

    /// Publishes where `expected` is the last sequence of the subject. Waits while the broker is away or cannot store,
    /// until `give_up` resolves.
    pub(crate) async fn publish(&self, draft: &Draft, expected: u64, give_up: impl Future<Output = ()>) -> Outcome {
        tokio::select! {
            biased;
            outcome = self.insist(draft, expected) => outcome,
            () = give_up => Outcome::GaveUp,
        }
    }

    async fn insist(&self, draft: &Draft, expected: u64) -> Outcome {
        let mut pause = FIRST_PAUSE;
        let mut refusals = 0_u32;
        let outcome = loop {
            self.streams.connected().await;
            let reason = match self.try_once(draft, expected).await {
                Ok(outcome) => break outcome,
                Err(reason) => reason,
            };
            tracing::debug!(subject = draft.subject, "published again: {reason}");
            // Once may be a connection that has just broken; from then on it is a broker that does not want to.
            refusals = refusals.saturating_add(u32::from(self.streams.is_connected()));
            if refusals > 1 {
                self.report.waits(STORING, format!("the broker does not store events: {reason}. {MAKE_ROOM}"));
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        };
        if refusals > 1 {
            self.report.has(STORING);
        }
        outcome
    }

    /// One publish and, unless it was acknowledged, one look at what lies there. An error is neither yes nor no.
    async fn try_once(&self, draft: &Draft, expected: u64) -> Result<Outcome, String> {
        let stored = self.streams.store(&draft.subject, expecting(expected), draft.body.clone());
        let refusal = match stored.await {
            Ok(sequence) => return Ok(Outcome::Stored(sequence)),
            Err(refusal) => refusal,
        };
        self.streams.connected().await;
        let last = self.last(&draft.subject).await?;
        match &last {
            Some(last) if event_id(&last.body) == Some(draft.event_id) => Ok(Outcome::Stored(last.seq)),
            found if found.as_ref().map_or(0, |last| last.seq) == expected => Err(refusal),
            Some(_) | None => Ok(Outcome::Refused(last)),
        }
    }

    /// The last message on a subject of EVENTS.
    pub(crate) async fn last(&self, subject: &str) -> Result<Option<Item>, String> {
        self.streams.last(subjects::EVENTS, subject).await
    }

    /// Every message on a subject of EVENTS, in order.
    pub(crate) async fn all(&self, subject: &str) -> Result<Vec<Item>, String> {
        self.streams.all(subjects::EVENTS, subject).await
    }
}

fn event_id(body: &[u8]) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct WithEventId {
        event_id: Uuid,
    }
    serde_json::from_slice::<WithEventId>(body).ok().map(|found| found.event_id)
}
