//! A broker in memory: streams of numbered messages, one order each, with the checks that NATS makes. It never fails by
//! itself; what goes wrong on the way to it is [`crate::wire`]'s.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use bytes::Bytes;
use orrery_contracts::{Time, subjects};
use orrery_queue::streams::{Bounds, Item};

use crate::told::Told;

/// The stream that takes a subject.
fn stream_of(subject: &str) -> Option<String> {
    if let Some(key) = subject.strip_prefix("$KV.") {
        return key.split('.').next().map(|bucket| format!("KV_{bucket}"));
    }
    let mut words = subject.strip_prefix("orrery.")?.split('.');
    Some(match words.next()? {
        "commands" => subjects::COMMANDS.to_owned(),
        "events" => subjects::EVENTS.to_owned(),
        "versions" => subjects::VERSIONS.to_owned(),
        "bundles" => subjects::BUNDLES.to_owned(),
        _ => return None,
    })
}

/// Whether a stream takes each subject once, for ever.
fn once(stream: &str) -> bool {
    [subjects::COMMANDS, subjects::VERSIONS, subjects::BUNDLES].contains(&stream)
}

#[derive(Debug)]
struct Stream {
    items: Vec<Item>,
    on: HashMap<String, Vec<usize>>,
    end: Arc<Told<u64>>,
}

impl Default for Stream {
    fn default() -> Self {
        Self { items: Vec::new(), on: HashMap::new(), end: Arc::new(Told::new(0)) }
    }
}

/// Why a message was not stored.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// No stream takes the subject.
    NoStream,
    /// The subject has been written, and is written once.
    Taken,
    /// The last message of the subject is another one than was expected: this one, or none.
    WrongLast(Option<Box<Item>>),
}

/// The streams.
#[derive(Debug, Default)]
pub(crate) struct Streams(BTreeMap<String, Stream>);

impl Streams {
    pub(crate) fn store(&mut self, subject: &str, headers: HeaderMap, body: Bytes) -> Result<Item, Refused> {
        let name = stream_of(subject).ok_or(Refused::NoStream)?;
        let stream = self.0.entry(name.clone()).or_default();
        let last = stream.on.get(subject).and_then(|places| places.last()).and_then(|place| stream.items.get(*place));
        let expected = headers.get(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE).and_then(|text| text.as_str().parse::<u64>().ok());
        if expected.is_some_and(|expected| expected != last.map_or(0, |last| last.seq)) {
            return Err(Refused::WrongLast(last.cloned().map(Box::new)));
        }
        if last.is_some() && once(&name) {
            return Err(Refused::Taken);
        }
        let place = stream.items.len();
        let seq = u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1);
        let item = Item { seq, subject: subject.to_owned(), headers, body, at: Time::new(time::OffsetDateTime::UNIX_EPOCH) };
        stream.items.push(item.clone());
        stream.on.entry(subject.to_owned()).or_default().push(place);
        stream.end.set(seq);
        Ok(item)
    }

    pub(crate) fn bounds(&self, stream: &str) -> Bounds {
        let last = self.0.get(stream).map_or(0, |stream| stream.items.len());
        Bounds { first: 1, last: u64::try_from(last).unwrap_or(u64::MAX) }
    }

    pub(crate) fn message(&self, stream: &str, seq: u64) -> Option<Item> {
        let place = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.0.get(stream)?.items.get(place).cloned()
    }

    pub(crate) fn last(&self, stream: &str, subject: &str) -> Option<Item> {
        let stream = self.0.get(stream)?;
        stream.items.get(*stream.on.get(subject)?.last()?).cloned()
    }

    pub(crate) fn next(&self, stream: &str, subject: &str, from: u64) -> Option<Item> {
        let stream = self.0.get(stream)?;
        if let Some(prefix) = subject.strip_suffix('>') {
            let behind = stream.items.partition_point(|item| item.seq < from);
            return stream.items.get(behind..)?.iter().find(|item| item.subject.starts_with(prefix)).cloned();
        }
        let places = stream.on.get(subject)?;
        let behind = places.partition_point(|place| stream.items.get(*place).is_some_and(|item| item.seq < from));
        stream.items.get(*places.get(behind)?).cloned()
    }

    /// Where the end of a stream is told.
    pub(crate) fn end(&mut self, stream: &str) -> Arc<Told<u64>> {
        Arc::clone(&self.0.entry(stream.to_owned()).or_default().end)
    }
}
