//! Publishing by compare-and-set, and finding out what became of it. The broker answers one error for "taken" and for
//! "disk full", and an answer may be lost with the connection: so every refusal and every silence is read back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use orrery_contracts::subjects;
use serde::Deserialize;
use uuid::Uuid;

use crate::marks::{Distrust, Marks};
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
    /// It is not to be relied on: the streams are not those that were seen, for this reason.
    Regressed(String),
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

/// Writes to EVENTS by compare-and-set, and on no connection before the streams were compared with the marks: a broker that came back
/// without its tail takes a number a second time, and whatever follows from that would be an effect.
#[derive(Clone, Debug)]
pub(crate) struct EventsWriter {
    streams: Streams,
    report: Report,
    marks: Arc<Marks>,
    /// The connection on which the streams were compared last.
    compared: Arc<AtomicU64>,
}

/// What a person does about a broker that stores nothing. One whose disk was full opens its streams only when it starts again.
const MAKE_ROOM: &str = "Where its disk is full, make room, then `cargo xtask restart nats`";

impl EventsWriter {
    pub(crate) fn new(streams: &Streams, report: &Report, marks: &Arc<Marks>) -> Self {
        Self { streams: streams.clone(), report: report.clone(), marks: Arc::clone(marks), compared: Arc::default() }
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
        let seen = self.marks.seen().events.map_or(0, |seen| seen.seq);
        let outcome = loop {
            let connection = self.streams.connected().await;
            let reason = match self.compare(connection).await {
                Ok(()) => match self.try_once(draft, expected).await {
                    // Of a broker that came back in this very moment.
                    Ok(Outcome::Stored(sequence)) if sequence <= seen => {
                        break Outcome::Regressed(format!(
                            "EVENTS gives the number {sequence} again, and {seen} was seen here: it lost its tail"
                        ));
                    }
                    Ok(outcome) => break outcome,
                    Err(reason) => reason,
                },
                Err(Distrust::Regressed(why)) => break Outcome::Regressed(why),
                Err(Distrust::Away(reason)) => reason,
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
            found if found.as_ref().map_or(0, |last| last.seq) < expected => {
                Ok(Outcome::Regressed(format!("EVENTS has lost message {expected}, which was read from it: it lost its tail")))
            }
            Some(_) | None => Ok(Outcome::Refused(last)),
        }
    }

    /// Compares the streams with the marks, once on each connection.
    async fn compare(&self, connection: u64) -> Result<(), Distrust> {
        if self.compared.load(Ordering::Acquire) == connection {
            return Ok(());
        }
        self.marks.verify(&self.streams).await?;
        self.compared.store(connection, Ordering::Release);
        Ok(())
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
