//! The marks outside the broker: the last message of COMMANDS and of EVENTS that this service has seen, in a synced
//! file. A broker that lost its tail uses numbers again; the marks notice, before anything runs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use orrery_contracts::{Digest, subjects};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::streams::{Bounds, Item, Streams};

/// A message of a stream: its number, and a hash that no other message at this number has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its sequence.
    pub seq: u64,
    /// SHA-256 over its subject, a line feed, and its body.
    pub sha256: Digest,
}

impl Mark {
    /// The mark of a message.
    #[must_use]
    pub fn of(seq: u64, subject: &str, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(subject.len().saturating_add(body.len()).saturating_add(1));
        bytes.extend_from_slice(subject.as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
        Self { seq, sha256: Digest::of(&bytes) }
    }

    fn of_item(item: &Item) -> Self {
        Self::of(item.seq, &item.subject, &item.body)
    }
}

/// The last messages seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Of COMMANDS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Mark>,
    /// Of EVENTS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Mark>,
}

/// Why a stream cannot be trusted, or could not be asked.
#[derive(Debug, Error)]
pub enum Distrust {
    /// It is not the stream that was seen.
    #[error("{0}")]
    Regressed(String),
    /// The broker did not answer.
    #[error("the broker did not answer: {0}")]
    Away(String),
}

/// What of the marks is in memory and what is on disk.
#[derive(Debug, Default)]
struct State {
    seen: Seen,
    written: Seen,
}

/// Where marks are kept, outside the broker.
pub trait Keep: Send + Sync + 'static {
    /// What was kept; nothing where a service begins.
    ///
    /// # Errors
    /// When something is there and cannot be read: starting without it would trust the broker blindly.
    fn read(&self) -> io::Result<Seen>;

    /// Has it on disk when it returns: either the old or the new one is there after a power failure.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write<'a>(&'a self, seen: &'a Seen) -> BoxFuture<'a, io::Result<()>>;

    /// Where it is, for a person.
    fn place(&self) -> String;
}

/// A synced file.
#[derive(Clone, Debug)]
pub struct MarkFile(PathBuf);

impl MarkFile {
    /// `<data dir>/marks/<service>.json`.
    #[must_use]
    pub fn of(data_dir: &Path, service: &str) -> Self {
        Self(data_dir.join("marks").join(format!("{service}.json")))
    }
}

impl Keep for MarkFile {
    fn read(&self) -> io::Result<Seen> {
        match std::fs::read(&self.0) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Seen::default()),
            Err(error) => Err(error),
        }
    }

    fn write<'a>(&'a self, seen: &'a Seen) -> BoxFuture<'a, io::Result<()>> {
        let (path, copy) = (self.0.clone(), seen.clone());
        Box::pin(async move { tokio::task::spawn_blocking(move || write(&path, &copy)).await.map_err(io::Error::other)? })
    }

    fn place(&self) -> String {
        self.0.display().to_string()
    }
}

/// The marks of one service.
pub struct Marks {
    keep: Arc<dyn Keep>,
    state: Mutex<State>,
    writing: tokio::sync::Mutex<()>,
}

impl Marks {
    /// Reads what was kept.
    ///
    /// # Errors
    /// As [`Keep::read`].
    pub fn open(keep: Arc<dyn Keep>) -> io::Result<Self> {
        let seen = keep.read()?;
        let state = Mutex::new(State { written: seen.clone(), seen });
        Ok(Self { keep, state, writing: tokio::sync::Mutex::new(()) })
    }

    /// Where they are kept.
    #[must_use]
    pub fn place(&self) -> String {
        self.keep.place()
    }

    /// The last messages seen.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.lock().seen.clone()
    }

    /// A message of COMMANDS was seen.
    pub fn saw_command(&self, mark: Mark) {
        raise(&mut self.lock().seen.commands, mark);
    }

    /// A message of EVENTS was seen.
    pub fn saw_event(&self, mark: Mark) {
        raise(&mut self.lock().seen.events, mark);
    }

    /// Has everything that was seen on disk when it returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn sync(&self) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let seen = {
            let state = self.lock();
            if state.seen == state.written {
                return Ok(());
            }
            state.seen.clone()
        };
        self.keep.write(&seen).await?;
        self.lock().written = seen;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Compares both streams with what was seen of them. Events that are new under commands that are not would have every command
    /// wait again whose end was told by the old ones.
    ///
    /// # Errors
    /// [`Distrust`].
    pub async fn verify(&self, streams: &Streams) -> Result<(), Distrust> {
        let seen = self.seen();
        let commands = verify(streams, subjects::COMMANDS, seen.commands.as_ref()).await?;
        let events = verify(streams, subjects::EVENTS, seen.events.as_ref()).await?;
        match (commands, events) {
            (Found::Same, Found::New { first }) => Err(Distrust::Regressed(format!(
                "EVENTS begins at {first}, above everything seen here, and COMMANDS is the one that was seen: what has ended is not known"
            ))),
            (Found::New { .. }, Found::New { .. }) => {
                // Both are new. The mark of the old events goes, or they would stand above it under commands that were seen since.
                self.lock().seen.events.take_if(|mark| Some(&*mark) == seen.events.as_ref());
                Ok(())
            }
            (Found::Same | Found::Unmarked, Found::Same | Found::Unmarked)
            | (Found::New { .. }, Found::Same | Found::Unmarked)
            | (Found::Unmarked, Found::New { .. }) => Ok(()),
        }
    }
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marks").field("place", &self.place()).field("seen", &self.seen()).finish_non_exhaustive()
    }
}

fn raise(mark: &mut Option<Mark>, to: Mark) {
    if mark.as_ref().is_none_or(|mark| mark.seq < to.seq) {
        *mark = Some(to);
    }
}

/// What a stream is to its mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing was seen of it.
    Unmarked,
    /// It is the one that was seen.
    Same,
    /// It begins above what was seen.
    New { first: u64 },
}

/// Compares one stream with the mark. A stream that begins above the mark uses no number again: it is a new one, made
/// after a loss, and trusted.
async fn verify(streams: &Streams, name: &str, mark: Option<&Mark>) -> Result<Found, Distrust> {
    let Some(mark) = mark else { return Ok(Found::Unmarked) };
    let Bounds { first, last } = streams.bounds(name).await.map_err(Distrust::Away)?;
    let found = streams.message(name, mark.seq).await.map_err(Distrust::Away)?.map(|item| Mark::of_item(&item));
    let seq = mark.seq;
    match found {
        Some(found) if found == *mark => Ok(Found::Same),
        Some(_) => Err(Distrust::Regressed(format!("{name} has another message at {seq} than the one seen here"))),
        None if first > seq => {
            tracing::warn!(stream = name, mark = seq, first, "the stream begins above the mark: a new one is followed");
            Ok(Found::New { first })
        }
        None if last < seq => Err(Distrust::Regressed(format!("{name} ends at {last}, and {seq} was seen here: it lost its tail"))),
        None => Err(Distrust::Regressed(format!("{name} has a gap at {seq}"))),
    }
}

/// Replaces the file so that either the old or the new one is there after a power failure.
fn write(path: &Path, seen: &Seen) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let fresh = path.with_extension("json.new");
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(seen)?)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_synced_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let marks = Marks::open(Arc::new(MarkFile::of(folder.path(), "test"))).unwrap();
        marks.saw_command(Mark::of(7, "a", b"b"));
        marks.saw_command(Mark::of(3, "a", b"b"));
        marks.saw_event(Mark::of(9, "a", b"c"));
        marks.sync().await.unwrap();
        let again = Marks::open(Arc::new(MarkFile::of(folder.path(), "test"))).unwrap().seen();
        assert_eq!(again.commands.unwrap().seq, 7);
        assert_eq!(again.events, Some(Mark::of(9, "a", b"c")));
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("marks")).unwrap();
        std::fs::write(folder.path().join("marks/test.json"), "{").unwrap();
        assert!(Marks::open(Arc::new(MarkFile::of(folder.path(), "test"))).is_err());
    }

    #[test]
    fn two_messages_with_one_body_have_two_marks() {
        assert_ne!(Mark::of(1, "orrery.commands.ci.a", b"{}"), Mark::of(1, "orrery.commands.ci.b", b"{}"));
    }
}
