//! The way back from a broker that lost messages: what the raw copies have is put back at its number, a number whose message
//! nobody has any more is filled, and what was accepted under a number that was given before gets a new one. Afterwards
//! every number means one message again, and nothing that was ever accepted is accepted a second time.
//!
//! It runs alone: no service is up, and the broker lets nobody else in. It may be killed at any moment and run again: what it
//! takes away it has written down before ([`journal`]).
//!
//! Where nothing was lost for ever, commands go on as if nothing had happened. Otherwise nobody knows which of them had begun
//! or ended, so that each one that has not ended is cancelled as `rejected: restored`, and told so ([`aftermath`]).

mod aftermath;
mod journal;
mod look;
mod refill;

use std::fmt;
use std::path::PathBuf;

use orrery_queue::definitions::DefinitionError;
use orrery_queue::topology::TopologyError;
use orrery_queue::{Broker, Definitions, topology};
use sqlx::PgConnection;
use thiserror::Error;

use crate::database::{self, Place};
use crate::errors::ProjectError;
use crate::message::Stream;
use crate::queries::meta;
use crate::source::Source;
use crate::verify::{self, Broken};
use journal::Journal;
pub use look::Need;

/// How `rejected:` goes on for a command that a recovery ended.
pub const RESTORED: &str = "rejected: restored";

/// Where things are that are not on the broker or in the database.
#[derive(Clone, Debug)]
pub struct Places {
    /// The data folder: marks of the executors, and the journal of a recovery.
    pub data: PathBuf,
    /// What all streams together may take on the broker's disk, in bytes.
    pub storage_bytes: u64,
}

/// What a recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// What each stream needed, in the order of [`Stream::KEPT`].
    pub needs: Vec<(Stream, Need)>,
    /// Messages that were put back.
    pub put_back: u64,
    /// Numbers that were filled, because nobody has their message.
    pub filled: u64,
    /// Commands that were accepted after the loss, and have a new number now.
    pub moved: u64,
    /// Commands that were ended, because nobody knows what became of them.
    pub cancelled: Vec<u64>,
    /// Heads of stacks that were written again.
    pub heads: u64,
    /// Bundles that were put back from the commands that brought them.
    pub bundles: u64,
    /// Versions whose files are gone: `stack <id> version <n>`.
    pub without_files: Vec<String>,
    /// Where what was taken off the broker is kept; none when nothing was.
    pub kept_at: Option<PathBuf>,
}

impl Recovered {
    /// Whether everything was there.
    #[must_use]
    pub fn was_whole(&self) -> bool {
        self.needs.iter().all(|(_, need)| *need == Need::Nothing)
            && (self.put_back, self.filled, self.moved, self.heads, self.bundles) == (0, 0, 0, 0, 0)
            && self.cancelled.is_empty()
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.was_whole() {
            return writeln!(f, "every message that was ever seen is where it was: there was nothing to recover");
        }
        for (stream, need) in &self.needs {
            match need {
                Need::Nothing => {}
                Need::Tail { behind } => writeln!(f, "{} had lost everything behind {behind}", stream.name())?,
                Need::Anew => writeln!(f, "{} was gone, or held other messages than were seen, and was made anew", stream.name())?,
            }
        }
        let counts = [
            (self.put_back, "messages were put back from their copies"),
            (self.filled, "numbers were filled, because nobody has their message"),
            (self.moved, "commands that were accepted after the loss have a new number"),
            (self.heads, "heads of stacks were written again from the events"),
            (self.bundles, "bundles were put back from the commands that brought them"),
        ];
        for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "{count} {what}")?;
        }
        if !self.cancelled.is_empty() {
            let numbers: Vec<String> = self.cancelled.iter().map(ToString::to_string).collect();
            writeln!(f, "cancelled, because nobody knows what became of them: {}", numbers.join(", "))?;
        }
        for version in &self.without_files {
            writeln!(f, "the files of {version} are gone: save them as a new version")?;
        }
        if let Some(path) = &self.kept_at {
            writeln!(f, "what was taken off the broker is in {}", path.display())?;
        }
        Ok(())
    }
}

/// Why a recovery did not come to its end. What it did stays; run again, it goes on.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// The broker or the database does not answer.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The copies are no help.
    #[error(
        "the raw copy {} of {} was changed, or one before it was taken away: nothing was touched. Restore the database from its backup, then try again",
        .0.seq, .0.stream.name()
    )]
    Changed(Broken),
    /// The database has never seen this installation.
    #[error("the database knows no installation: there are no copies to recover from. Restore it from its backup, then try again")]
    NoCopies,
    /// A stream could not be made.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A head or a bundle could not be written.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A message came to lie at another number than its own.
    #[error(
        "{stream} gave number {got} to a message that belongs at {wanted}: somebody else writes to it. Stop whoever does, then try again"
    )]
    Misplaced {
        /// The stream.
        stream: &'static str,
        /// The number that it got.
        got: u64,
        /// Its own.
        wanted: u64,
    },
    /// Somebody claims to have seen a number that no stream can have reached.
    #[error(
        "{stream} ends at {last}, and somebody saw {seen}: filling what lies between would take for ever. Look at the marks in the data folder; one of them is damaged"
    )]
    TooFar {
        /// The stream.
        stream: &'static str,
        /// The last number that is known.
        last: u64,
        /// What somebody claims.
        seen: u64,
    },
    /// A file is in the way.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl From<sqlx::Error> for RecoverError {
    fn from(error: sqlx::Error) -> Self {
        Self::Project(error.into())
    }
}

fn away(error: impl std::fmt::Display) -> RecoverError {
    ProjectError::Broker(error.to_string()).into()
}

/// A recovery at work.
struct Recovery<'a> {
    db: PgConnection,
    broker: &'a Broker,
    source: Source,
    definitions: Definitions,
    places: &'a Places,
    done: Recovered,
}

/// Makes the streams hold what they ever held.
///
/// # Errors
/// See [`RecoverError`]; run again, it goes on.
pub async fn recover(database_url: &str, broker: &Broker, places: &Places) -> Result<Recovered, RecoverError> {
    let mut db = database::connect(database_url, Place::Live).await?;
    verify::verify(&mut db).await?.map_err(RecoverError::Changed)?;
    let installation = meta::whole_installation(&mut db).await?.ok_or(RecoverError::NoCopies)?;
    broker.connected().await;
    let source = Source::new(broker.jetstream().clone());
    let definitions = Definitions::new(broker.streams());
    let mut at_work = Recovery { db, broker, source, definitions, places, done: Recovered::default() };
    let mut journal = at_work.plan().await?;
    at_work.refill(&mut journal).await?;
    at_work.definitions.restore_installation(&installation).await?;
    if journal.lost {
        at_work.end_the_unended().await?;
    }
    at_work.repair_definitions().await?;
    at_work.done.kept_at = journal.close(places)?;
    Ok(at_work.done)
}

impl Recovery<'_> {
    /// Compares everything with everything, and writes down what will be taken away; or takes up what was written down.
    async fn plan(&mut self) -> Result<Journal, RecoverError> {
        let begun = Journal::open(self.places)?;
        let floors = self.floors().await?;
        let mut journal = begun.unwrap_or_default();
        for stream in Stream::KEPT {
            let look = self.look(stream, &floors).await?;
            let need = look.need();
            journal.note(stream, &look, need, floors.of(stream))?;
            self.done.needs.push((stream, need));
        }
        journal.lost |= self.contradicts(&floors).await?;
        journal.write(self.places)?;
        Ok(journal)
    }

    /// Makes the streams that are not there; the first number of one that is made now is that of its first copy, or above
    /// every one ever seen when there is none.
    async fn make_missing(&self, journal: &Journal) -> Result<(), RecoverError> {
        let settings = topology::Settings {
            storage_bytes: self.places.storage_bytes,
            commands_from: journal.begins(Stream::Commands),
            events_from: journal.begins(Stream::Events),
        };
        topology::ensure(self.broker.jetstream(), &settings).await?;
        Ok(())
    }
}
