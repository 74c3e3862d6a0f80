//! A message as a stream holds it, whichever source it comes from: the broker or the raw copies. What it hashes to is
//! decided here, and never depends on what it means.

use async_nats::HeaderMap;
use bytes::Bytes;
use orrery_contracts::subjects::TOMBSTONE_HEADER;
use orrery_contracts::{Digest, Time};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

/// A stream that the projector follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Write requests.
    Commands,
    /// Transitions, steps, cancel requests, what became of stacks.
    Events,
    /// Immutable versions.
    Versions,
    /// What engines say now.
    Observed,
}

impl Stream {
    /// The streams of which every message is kept: COMMANDS first, because the others speak about commands.
    pub const KEPT: [Self; 3] = [Self::Commands, Self::Versions, Self::Events];

    /// The name on the broker and in every table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        use orrery_contracts::subjects;
        match self {
            Self::Commands => subjects::COMMANDS,
            Self::Events => subjects::EVENTS,
            Self::Versions => subjects::VERSIONS,
            Self::Observed => subjects::OBSERVED,
        }
    }
}

/// A link of a hash chain.
pub type Chain = [u8; 32];

/// What the first message of a stream is chained to.
pub const CHAIN_START: Chain = [0; 32];

/// One message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The stream.
    pub stream: Stream,
    /// Its number there.
    pub seq: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers as `Name: value` lines, sorted, ended by CRLF; none without any.
    pub headers: Option<Vec<u8>>,
    /// Its body.
    pub body: Bytes,
    /// When the broker took it, in nanoseconds since the epoch.
    pub at_ns: i64,
}

impl Message {
    /// When the broker took it.
    #[must_use]
    pub fn at(&self) -> Time {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.at_ns));
        Time::new(at.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// What the broker is compared by. The time is not in it: a message that was put back keeps its number, subject and
    /// body, and gets a new time.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        let mut bytes = Vec::with_capacity(self.subject.len().saturating_add(self.body.len()).saturating_add(1));
        bytes.extend_from_slice(self.subject.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&self.body);
        Digest::of(&bytes)
    }

    /// The chain with this message added: over the link before and every field, each with its length.
    #[must_use]
    pub fn chained(&self, before: &Chain) -> Chain {
        let headers = self.headers.as_deref();
        let mut hash = Sha256::new();
        hash.update(before);
        for field in [self.stream.name().as_bytes(), &self.seq.to_be_bytes(), self.subject.as_bytes(), &self.at_ns.to_be_bytes()] {
            add(&mut hash, field);
        }
        hash.update([u8::from(headers.is_some())]);
        add(&mut hash, headers.unwrap_or_default());
        add(&mut hash, &self.body);
        hash.finalize().into()
    }

    /// Whether it says that what it is about is gone.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        let mark = format!("{TOMBSTONE_HEADER}:");
        let headers = self.headers.as_deref().map(String::from_utf8_lossy);
        self.body.is_empty() || headers.is_some_and(|text| text.lines().any(|line| line.starts_with(&mark)))
    }
}

fn add(hash: &mut Sha256, field: &[u8]) {
    hash.update((field.len() as u64).to_be_bytes());
    hash.update(field);
}

/// Headers in the one order that they are kept in.
#[must_use]
pub fn header_lines(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut lines: Vec<String> =
        headers.iter().flat_map(|(name, values)| values.iter().map(move |value| format!("{name}: {}\r\n", value.as_str()))).collect();
    lines.sort();
    (!lines.is_empty()).then(|| lines.concat().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message { stream: Stream::Commands, seq: 7, subject: "orrery.commands.ci.x".into(), headers: None, body: "{}".into(), at_ns: 1 }
    }

    #[test]
    fn every_field_is_in_the_chain() {
        let link = message().chained(&CHAIN_START);
        let others = [
            Message { stream: Stream::Events, ..message() },
            Message { seq: 8, ..message() },
            Message { subject: "orrery.commands.ci.y".into(), ..message() },
            Message { headers: Some(Vec::new()), ..message() },
            Message { body: "{ }".into(), ..message() },
            Message { at_ns: 2, ..message() },
        ];
        for other in others {
            assert_ne!(other.chained(&CHAIN_START), link, "{other:?}");
        }
        assert_ne!(message().chained(&link), link);
        assert_eq!(message().chained(&CHAIN_START), link);
    }

    #[test]
    fn a_message_that_was_put_back_later_is_the_same_message() {
        assert_eq!(Message { at_ns: 99, ..message() }.sha256(), message().sha256());
        assert_ne!(Message { body: "x".into(), ..message() }.sha256(), message().sha256());
    }

    #[test]
    fn headers_are_kept_in_one_order() {
        let mut headers = HeaderMap::new();
        headers.insert("B", "2");
        headers.append("A", "1");
        headers.append("A", "0");
        assert_eq!(header_lines(&headers).unwrap(), b"A: 0\r\nA: 1\r\nB: 2\r\n");
        assert_eq!(header_lines(&HeaderMap::new()), None);
    }

    #[test]
    fn a_tombstone_is_marked_or_empty() {
        assert!(Message { body: Bytes::new(), ..message() }.is_tombstone());
        assert!(Message { headers: Some(b"Orrery-Tombstone: 1\r\n".to_vec()), ..message() }.is_tombstone());
        assert!(!message().is_tombstone());
    }
}
