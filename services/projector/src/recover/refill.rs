//! Putting messages back at their numbers, filling what nobody has, and giving new numbers to what was accepted since.

use std::collections::VecDeque;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{GetStreamErrorKind, PublishAckFuture};
use bytes::Bytes;
use orrery_contracts::CommandId;
use orrery_contracts::subjects::{self, OPS_PUBLISHER};
use uuid::Uuid;

use super::journal::{Journal, Kept};
use super::{RecoverError, Recovery, away};
use crate::ingest::COPIES;
use crate::message::Stream;
use crate::queries::raw;

/// How many publishes wait for their acknowledgement at once.
const AT_ONCE: usize = 256;

/// A subject of EVENTS that says nothing about anything.
const LOST_EVENT: &str = "orrery.events.lost";

impl Recovery<'_> {
    /// Makes every stream hold what was copied, and no number be given twice.
    pub(super) async fn refill(&mut self, journal: &mut Journal) -> Result<(), RecoverError> {
        for stream in Stream::KEPT {
            if journal.takes_away(stream) {
                self.take_away(stream).await?;
            }
        }
        self.make_missing(journal).await?;
        for stream in Stream::KEPT {
            self.put_back(stream).await?;
            self.fill(stream, journal.floor(stream)).await?;
        }
        self.append_commands(journal).await
    }

    async fn take_away(&self, stream: Stream) -> Result<(), RecoverError> {
        match self.broker.jetstream().get_stream(stream.name()).await {
            Ok(_) => self.broker.jetstream().delete_stream(stream.name()).await.map(drop).map_err(away),
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => Ok(()),
            Err(error) => Err(away(error)),
        }
    }

    /// Publishes the copies that the stream does not hold, in their order.
    async fn put_back(&mut self, stream: Stream) -> Result<(), RecoverError> {
        let Some((first, last)) = raw::last_run(&mut self.db, stream).await? else { return Ok(()) };
        let held = self.source.ends(stream).await?;
        if held.first > last {
            return Ok(());
        }
        let mut behind = held.given().max(first.saturating_sub(1));
        let mut pipe = Pipe::new(self.broker, stream);
        while behind < last {
            for copy in raw::after(&mut self.db, stream, behind, COPIES).await? {
                behind = copy.seq;
                pipe.send(copy.seq, copy.subject, headers_of(copy.headers.as_deref()), copy.body).await?;
            }
        }
        self.done.put_back = self.done.put_back.saturating_add(pipe.finish().await?);
        Ok(())
    }

    /// Fills the numbers whose message nobody has, so that none of them is given again.
    async fn fill(&mut self, stream: Stream, floor: u64) -> Result<(), RecoverError> {
        let held = self.source.ends(stream).await?;
        let mut pipe = Pipe::new(self.broker, stream);
        for number in held.given().saturating_add(1)..=floor {
            let (subject, body) = match stream {
                Stream::Commands => (subjects::command(OPS_PUBLISHER, CommandId::new(Uuid::now_v7())), lost_command(number)),
                Stream::Events | Stream::Versions | Stream::Observed => (LOST_EVENT.to_owned(), lost_event(number)),
            };
            pipe.send(number, subject, HeaderMap::new(), body).await?;
        }
        self.done.filled = self.done.filled.saturating_add(pipe.finish().await?);
        Ok(())
    }

    /// What was accepted under a number that was given before: behind everything else, unless it is a repeat.
    async fn append_commands(&mut self, journal: &Journal) -> Result<(), RecoverError> {
        for Kept { subject, headers, body, .. } in journal.kept_of(Stream::Commands) {
            if self.is_there(subject).await? {
                continue;
            }
            let publish =
                self.broker.jetstream().publish_with_headers(subject.clone(), headers_of(headers.as_deref()), body.clone().into());
            publish.await.map_err(away)?.await.map_err(away)?;
            self.done.moved = self.done.moved.saturating_add(1);
        }
        Ok(())
    }

    async fn is_there(&self, subject: &str) -> Result<bool, RecoverError> {
        let stream = self.broker.jetstream().get_stream(subjects::COMMANDS).await.map_err(away)?;
        use async_nats::jetstream::stream::LastRawMessageErrorKind as Kind;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), Kind::NoMessageFound) => Ok(false),
            Err(error) => Err(away(error)),
        }
    }
}

fn lost_command(number: u64) -> Bytes {
    serde_json::json!({ "type": "lost", "target": "lost", "payload": { "number": number } }).to_string().into()
}

fn lost_event(number: u64) -> Bytes {
    serde_json::json!({ "lost": number }).to_string().into()
}

/// The headers of a copy, without those that tell the broker when to refuse: the order has been decided.
fn headers_of(lines: Option<&[u8]>) -> HeaderMap {
    let text = String::from_utf8_lossy(lines.unwrap_or_default()).into_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in text.split("\r\n").filter_map(|line| line.split_once(": ")) {
        if !name.starts_with("Nats-") {
            headers.append(name, value);
        }
    }
    headers
}

/// Publishes in order, many at once, and checks that each message gets its own number.
struct Pipe<'a> {
    broker: &'a orrery_queue::Broker,
    stream: Stream,
    waiting: VecDeque<(u64, PublishAckFuture)>,
    stored: u64,
}

impl<'a> Pipe<'a> {
    fn new(broker: &'a orrery_queue::Broker, stream: Stream) -> Self {
        Self { broker, stream, waiting: VecDeque::new(), stored: 0 }
    }

    async fn send(&mut self, number: u64, subject: String, headers: HeaderMap, body: Bytes) -> Result<(), RecoverError> {
        let sent = self.broker.jetstream().publish_with_headers(subject, headers, body).await.map_err(away)?;
        self.waiting.push_back((number, sent));
        if self.waiting.len() >= AT_ONCE { self.hear().await } else { Ok(()) }
    }

    async fn hear(&mut self) -> Result<(), RecoverError> {
        let Some((wanted, sent)) = self.waiting.pop_front() else { return Ok(()) };
        let stored = sent.await.map_err(|error| away(format!("{} at {wanted}: {error}", self.stream.name())))?;
        if stored.sequence != wanted {
            return Err(RecoverError::Misplaced { stream: self.stream.name(), got: stored.sequence, wanted });
        }
        self.stored = self.stored.saturating_add(1);
        Ok(())
    }

    async fn finish(mut self) -> Result<u64, RecoverError> {
        while !self.waiting.is_empty() {
            self.hear().await?;
        }
        Ok(self.stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_its_headers_but_those_that_guarded_it() {
        let headers = headers_of(Some(b"Nats-Expected-Last-Subject-Sequence: 7\r\nOrrery-Chunks: 2\r\nX: a: b\r\n"));
        assert_eq!(headers.len(), 2);
        assert_eq!(headers.get("Orrery-Chunks").unwrap().as_str(), "2");
        assert_eq!(headers.get("X").unwrap().as_str(), "a: b");
    }

    #[test]
    fn what_fills_a_number_is_no_command_and_no_event() {
        assert!(orrery_contracts::command::CommandMessage::read(&lost_command(7)).is_err());
        assert_eq!(subjects::parse_event(LOST_EVENT), None);
    }
}
