//! What a stream holds, beside what was copied of it and what anybody ever saw of it. Reading only.

use std::collections::BTreeMap;

use orrery_contracts::{Engine, subjects};
use orrery_queue::marks::{Mark, Seen};
use tokio::sync::mpsc;

use super::{RecoverError, Recovery, away, journal};
use crate::ingest::COPIES;
use crate::message::{Message, Stream};
use crate::queries::raw;
use crate::source::Ends;

/// What a stream needs so that it holds every message that was copied, at its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It does.
    Nothing,
    /// Its tail is gone: the copies behind this number are put back.
    Tail {
        /// The last number that it holds.
        behind: u64,
    },
    /// It is gone, or gave a number again: it is made anew from its first copy on.
    Anew,
}

/// A stream, as it is and as it was copied.
#[derive(Debug)]
pub(super) struct Look {
    /// The copies without a gap that end at the last one: first and last number.
    pub copies: Option<(u64, u64)>,
    /// What the stream holds; none when there is no such stream.
    pub held: Option<Ends>,
    /// The first number at which it holds another message than was copied, or one where copies end.
    pub differs_at: Option<u64>,
    /// What it holds from there on, when that is not what was copied.
    pub other: Vec<Message>,
}

impl Look {
    pub(super) fn need(&self) -> Need {
        match (self.copies, self.held) {
            (None, Some(_)) => Need::Nothing,
            (None, None) => Need::Anew,
            (Some(_), None) => Need::Anew,
            (Some(_), Some(_)) if self.differs_at.is_some() => Need::Anew,
            (Some((_, last)), Some(held)) if held.given() >= last => Need::Nothing,
            // An empty stream gives its first number next.
            (Some((first, _)), Some(held)) if held.is_empty() && held.given().saturating_add(1) != first => Need::Anew,
            (Some(_), Some(held)) => Need::Tail { behind: held.given() },
        }
    }
}

/// What anybody ever saw.
#[derive(Debug, Default)]
pub(super) struct Floors {
    /// The highest numbers.
    seen: BTreeMap<&'static str, u64>,
    /// What the executors marked.
    marks: Vec<(Stream, Mark)>,
}

impl Floors {
    pub(super) fn of(&self, stream: Stream) -> u64 {
        self.seen.get(stream.name()).copied().unwrap_or_default()
    }

    fn raise(&mut self, stream: Stream, to: u64) {
        let floor = self.seen.entry(stream.name()).or_default();
        *floor = (*floor).max(to);
    }
}

impl Recovery<'_> {
    /// Compares a stream with its copies, message by message, and with what the executors marked.
    pub(super) async fn look(&mut self, stream: Stream, floors: &Floors) -> Result<Look, RecoverError> {
        let mut look = self.beside_copies(stream).await?;
        let Some(held) = look.held.filter(|_| look.differs_at.is_none()) else { return Ok(look) };
        let copied = look.copies.map_or(0, |(_, last)| last);
        for (_, mark) in floors.marks.iter().filter(|(of, mark)| *of == stream && mark.seq > copied) {
            let there = self.source.message(stream, mark.seq).await?;
            if there.is_some_and(|there| Mark::of(there.seq, &there.subject, &there.body) != *mark) {
                look.differs_at = Some(copied.saturating_add(1).max(held.first));
            }
        }
        if let Some(from) = look.differs_at {
            let mut messages = self.read(stream, from, held.last);
            while let Some(message) = messages.recv().await {
                look.other.push(message?);
            }
        }
        Ok(look)
    }

    async fn beside_copies(&mut self, stream: Stream) -> Result<Look, RecoverError> {
        let copies = raw::last_run(&mut self.db, stream).await?;
        let held = self.source.ends_if_there(stream).await?;
        let mut look = Look { copies, held, differs_at: None, other: Vec::new() };
        let (Some((first, last)), Some(held)) = (copies, held) else { return Ok(look) };
        if held.is_empty() || held.first > last {
            return Ok(look);
        }
        let from = held.first.max(first);
        let mut messages = self.read(stream, from, held.last);
        let mut copies = self.copies(stream, from.saturating_sub(1)).await?;
        while let Some(message) = messages.recv().await {
            let message = message?;
            if look.differs_at.is_none() && message.seq <= last {
                if copies.is_empty() {
                    copies = self.copies(stream, message.seq.saturating_sub(1)).await?;
                }
                let copy = copies.pop_front();
                if copy.is_none_or(|copy| copy.seq != message.seq || copy.sha256() != message.sha256()) {
                    look.differs_at = Some(message.seq);
                }
            }
            if look.differs_at.is_some() {
                look.other.push(message);
            }
        }
        Ok(look)
    }

    async fn copies(&mut self, stream: Stream, behind: u64) -> Result<std::collections::VecDeque<Message>, RecoverError> {
        Ok(raw::after(&mut self.db, stream, behind, COPIES).await?.into())
    }

    /// The messages of a stream from one number to another, as they are read.
    pub(super) fn read(&self, stream: Stream, from: u64, to: u64) -> mpsc::Receiver<Result<Message, crate::errors::ProjectError>> {
        let (send, mut follow) = mpsc::channel(256);
        let (forward, messages) = mpsc::channel(256);
        let source = self.source.clone();
        tokio::spawn(async move {
            let failed = send.clone();
            let following = tokio::spawn(async move {
                if let Err(error) = source.follow(stream, from, send).await {
                    let _ = failed.send(Err(error)).await;
                }
            });
            while let Some(message) = follow.recv().await {
                let last = message.as_ref().map_or(true, |message| message.seq >= to);
                if forward.send(message).await.is_err() || last {
                    break;
                }
            }
            following.abort();
        });
        messages
    }

    /// What the executors' marks, their places in HEADS and the events say of numbers.
    pub(super) async fn floors(&mut self) -> Result<Floors, RecoverError> {
        let mut floors = Floors::default();
        for Seen { commands, events } in journal::marks(self.places)? {
            let marks = [(Stream::Commands, commands), (Stream::Events, events)];
            floors.marks.extend(marks.into_iter().filter_map(|(stream, mark)| Some((stream, mark?))));
        }
        for (stream, seq) in floors.marks.iter().map(|(stream, mark)| (*stream, mark.seq)).collect::<Vec<_>>() {
            floors.raise(stream, seq);
        }
        if self.has_heads().await? {
            for engine in [Engine::Docker, Engine::Libvirt] {
                let Some(mark) = self.definitions.queue_mark(engine).await? else { continue };
                floors.raise(Stream::Commands, mark.value.commands);
                floors.raise(Stream::Events, mark.value.events);
            }
        }
        floors.raise(Stream::Commands, raw::last_command_of_events(&mut self.db).await?);
        let held = self.standings().await?;
        floors.raise(Stream::Commands, held.into_keys().next_back().unwrap_or_default());
        Ok(floors)
    }

    /// Whether a mark of an executor is about another message than the copy at its number.
    pub(super) async fn contradicts(&mut self, floors: &Floors) -> Result<bool, RecoverError> {
        for (stream, mark) in &floors.marks {
            let copy = raw::after(&mut self.db, *stream, mark.seq.saturating_sub(1), 1).await?;
            let copy = copy.into_iter().find(|copy| copy.seq == mark.seq);
            if copy.is_some_and(|copy| Mark::of(copy.seq, &copy.subject, &copy.body) != *mark) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn has_heads(&self) -> Result<bool, RecoverError> {
        use async_nats::jetstream::context::GetStreamErrorKind;
        match self.broker.jetstream().get_stream(format!("KV_{}", subjects::HEADS)).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => Ok(false),
            Err(error) => Err(away(error)),
        }
    }
}

/// Reads what an executor's mark file says.
pub(super) fn seen(bytes: &[u8]) -> Result<Seen, serde_json::Error> {
    serde_json::from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(copies: Option<(u64, u64)>, held: Option<(u64, u64)>, differs_at: Option<u64>) -> Need {
        let held = held.map(|(first, last)| Ends { first, last });
        Look { copies, held, differs_at, other: Vec::new() }.need()
    }

    #[test]
    fn a_stream_that_holds_its_copies_needs_nothing() {
        assert_eq!(need(Some((1, 9)), Some((1, 9)), None), Need::Nothing);
        assert_eq!(need(Some((1, 9)), Some((1, 12)), None), Need::Nothing, "the projector was behind");
        assert_eq!(need(Some((1, 9)), Some((1_000, 999)), None), Need::Nothing, "it begins above everything");
        assert_eq!(need(None, Some((1, 12)), None), Need::Nothing);
    }

    #[test]
    fn a_stream_that_lost_its_tail_gets_it_back() {
        assert_eq!(need(Some((1, 9)), Some((1, 4)), None), Need::Tail { behind: 4 });
        assert_eq!(need(Some((1, 9)), Some((1, 0)), None), Need::Tail { behind: 0 });
        assert_eq!(need(Some((1_000, 1_009)), Some((1_000, 999)), None), Need::Tail { behind: 999 });
    }

    #[test]
    fn a_stream_that_is_gone_or_gave_a_number_again_is_made_anew() {
        assert_eq!(need(Some((1, 9)), None, None), Need::Anew);
        assert_eq!(need(Some((1, 9)), Some((1, 12)), Some(5)), Need::Anew);
        assert_eq!(need(Some((1_000, 1_009)), Some((1, 0)), None), Need::Anew, "it would give number 1 next");
        assert_eq!(need(None, None, None), Need::Anew);
    }
}
