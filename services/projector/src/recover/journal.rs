//! What a recovery must know when it is killed and run again: which streams it makes anew, up to which number they go, and
//! the messages that it takes off them. It lies in the data folder, and stays there when all is done.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use orrery_queue::marks::Seen;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::look::{self, Look, Need};
use super::{Places, RecoverError};
use crate::message::Stream;

/// How many numbers are filled at most: a few seconds' worth of them are lost where a projector was behind.
const MOST_FILLED: u64 = 1_000_000;

/// A message that the copies do not have, or have another one for, at its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub stream: String,
    pub seq: u64,
    pub subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<u8>>,
    pub body: Vec<u8>,
}

/// What is to be done to one stream.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Aim {
    /// Whether it is taken away first; false again once it was made anew.
    anew: bool,
    /// The first number that it shall hold.
    begins: Option<u64>,
    /// The last number that anybody ever saw.
    floor: u64,
}

/// The journal of one recovery.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Journal {
    aims: BTreeMap<String, Aim>,
    /// Whether something is lost for ever, or was told twice.
    pub lost: bool,
    /// What was taken off the broker.
    pub kept: Vec<Kept>,
}

impl Journal {
    /// The journal of a recovery that did not come to its end.
    pub(super) fn open(places: &Places) -> Result<Option<Self>, RecoverError> {
        let path = path(places);
        match fs::read(&path) {
            Ok(bytes) => {
                let read = serde_json::from_slice(&bytes);
                read.map(Some).map_err(|error| RecoverError::File { path, source: std::io::Error::other(error) })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(RecoverError::File { path, source }),
        }
    }

    /// Notes what a stream needs.
    pub(super) fn note(&mut self, stream: Stream, look: &Look, need: Need, seen: u64) -> Result<(), RecoverError> {
        let last_copy = look.copies.map_or(0, |(_, last)| last);
        let last_held = look.held.filter(|_| look.differs_at.is_none()).map_or(0, |held| held.last);
        let before = self.aims.get(stream.name());
        let floor = seen.max(before.map_or(0, |aim| aim.floor));
        let last = last_copy.max(last_held);
        if look.copies.is_some() && floor.saturating_sub(last) > MOST_FILLED {
            return Err(RecoverError::TooFar { stream: stream.name(), last, seen: floor });
        }
        let begins = look.copies.map(|(first, _)| first).or_else(|| (floor > 0).then(|| floor.saturating_add(1)));
        self.aims.insert(stream.name().to_owned(), Aim { anew: need == Need::Anew, begins, floor });
        self.lost |= floor > last || look.differs_at.is_some();
        if !look.other.is_empty() {
            self.kept.retain(|kept| kept.stream != stream.name());
        }
        self.kept.extend(look.other.iter().map(|message| Kept {
            stream: stream.name().to_owned(),
            seq: message.seq,
            subject: message.subject.clone(),
            headers: message.headers.clone(),
            body: message.body.to_vec(),
        }));
        Ok(())
    }

    /// Whether a stream is to be taken away before it is made.
    pub(super) fn takes_away(&self, stream: Stream) -> bool {
        self.aims.get(stream.name()).is_some_and(|aim| aim.anew)
    }

    /// The first number of a stream that is made now; none for the usual one.
    pub(super) fn begins(&self, stream: Stream) -> Option<u64> {
        self.aims.get(stream.name()).and_then(|aim| aim.begins).filter(|first| *first > 1)
    }

    /// The last number that anybody saw.
    pub(super) fn floor(&self, stream: Stream) -> u64 {
        self.aims.get(stream.name()).map_or(0, |aim| aim.floor)
    }

    /// The messages of a stream that were taken off it.
    pub(super) fn kept_of(&self, stream: Stream) -> impl Iterator<Item = &Kept> {
        self.kept.iter().filter(move |kept| kept.stream == stream.name())
    }

    /// Has it on disk when it returns.
    pub(super) fn write(&self, places: &Places) -> Result<(), RecoverError> {
        let path = path(places);
        let written = serde_json::to_vec(self).map_err(std::io::Error::other).and_then(|bytes| write(&path, &bytes));
        written.map_err(|source| RecoverError::File { path, source })
    }

    /// All is done: the journal stays under the time of now when it holds messages, and the marks of what was lost go
    /// beside it. Answers where it lies.
    pub(super) fn close(self, places: &Places) -> Result<Option<PathBuf>, RecoverError> {
        let path = path(places);
        let failed = |source| RecoverError::File { path: path.clone(), source };
        let stamp = OffsetDateTime::now_utc().unix_timestamp();
        if self.lost {
            for mark in mark_files(places)? {
                let beside = mark.with_extension(format!("before-{stamp}"));
                fs::rename(&mark, beside).map_err(|source| RecoverError::File { path: mark.clone(), source })?;
            }
        }
        if self.kept.is_empty() {
            fs::remove_file(&path).map_err(failed)?;
            return Ok(None);
        }
        let done = path.with_file_name(format!("{stamp}.json"));
        fs::rename(&path, &done).map_err(failed)?;
        Ok(Some(done))
    }
}

fn path(places: &Places) -> PathBuf {
    places.data.join("recovery").join("journal.json")
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    fs::File::open(folder)?.sync_all()
}

fn mark_files(places: &Places) -> Result<Vec<PathBuf>, RecoverError> {
    let folder = places.data.join("marks");
    let listed = match fs::read_dir(&folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(RecoverError::File { path: folder, source }),
    };
    let entries: Result<Vec<_>, _> = listed.map(|entry| entry.map(|entry| entry.path())).collect();
    let entries = entries.map_err(|source| RecoverError::File { path: folder, source })?;
    Ok(entries.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect())
}

/// What the executors of this data folder saw.
pub(super) fn marks(places: &Places) -> Result<Vec<Seen>, RecoverError> {
    let read = |path: PathBuf| {
        let seen = fs::read(&path).and_then(|bytes| look::seen(&bytes).map_err(std::io::Error::other));
        seen.map_err(|source| RecoverError::File { path, source })
    };
    mark_files(places)?.into_iter().map(read).collect()
}
