//! One batch, one transaction: rows, raw copies, offsets and feed are committed together or not at all.

use std::collections::{BTreeMap, HashSet};

use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::changes::Changes;
use crate::errors::{ProjectError, Regression, is_refusal};
use crate::message::{CHAIN_START, Chain, Message, Stream};
use crate::project::{Projection, Verdict};
use crate::queries::containers::{self, ContainerKey};
use crate::queries::raw::{self, Copy};
use crate::queries::{feed, offsets};

/// How far a stream is in the database, and what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last number in the read model.
    pub reached: u64,
    /// The number that must come next.
    pub next: u64,
    /// The chain of the raw copies.
    pub chain: Chain,
}

/// How far everything is: what must still be so when a batch is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The feed's generation.
    pub generation: i64,
    /// The installation.
    pub installation: Uuid,
    cursors: BTreeMap<Stream, Cursor>,
}

impl Position {
    /// Reads how far everything is.
    ///
    /// # Errors
    /// When the database is away or refuses, or the raw copies end before the read model.
    pub async fn read(db: &mut PgConnection, installation: Uuid) -> Result<Self, ProjectError> {
        let generation = feed::head(db).await?.generation;
        let reached = offsets::all(db).await?;
        let mut cursors = BTreeMap::new();
        for stream in Stream::KEPT {
            let projected = reached.get(stream.name()).copied().unwrap_or_default();
            let mark = raw::mark(db, stream).await?;
            let copied = mark.as_ref().map_or(0, |mark| mark.seq);
            if copied < projected {
                return Err(Regression::CopiesLost { stream: stream.name(), copied, projected }.into());
            }
            let chain = mark.map_or(CHAIN_START, |mark| mark.chain);
            cursors.insert(stream, Cursor { reached: projected, next: projected.saturating_add(1), chain });
        }
        Ok(Self { generation, installation, cursors })
    }

    /// Where a stream is. Observations have no place: they are asked again.
    #[must_use]
    pub fn of(&self, stream: Stream) -> Cursor {
        self.cursors.get(&stream).copied().unwrap_or(Cursor { reached: 0, next: 1, chain: CHAIN_START })
    }

    /// Says that a stream goes on with this number, because it begins there.
    pub fn begins_at(&mut self, stream: Stream, first: u64) {
        let cursor = self.of(stream);
        self.cursors.insert(stream, Cursor { next: cursor.next.max(first), ..cursor });
    }

    fn passed(&mut self, message: &Message, chain: Chain) {
        self.cursors.insert(message.stream, Cursor { reached: message.seq, next: message.seq.saturating_add(1), chain });
    }
}

/// Where the messages of a batch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The broker: they are copied, and no number may be missing.
    Broker,
    /// The raw copies.
    Copies,
}

/// Messages that belong into one transaction: those of COMMANDS first, each stream in its order.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where they come from.
    pub origin: Origin,
    /// The messages.
    pub messages: Vec<Message>,
    /// Every container that is still observed, when this batch completes a look at all of them.
    pub observed: Option<HashSet<ContainerKey>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// As fast as it goes.
    Together,
    /// Each message on its own: what the database refuses is passed.
    OneByOne,
}

/// Takes a batch, and moves the position behind it.
///
/// # Errors
/// When the database or another projector is in the way, or a number has changed its meaning. Nothing was committed then.
pub async fn take(db: &mut PgConnection, at: &mut Position, batch: &Batch) -> Result<(), ProjectError> {
    let next = match attempt(db, at, batch, Care::Together).await {
        Err(ProjectError::Database(error)) if is_refusal(&error) => {
            tracing::warn!("the database refuses a value; taking the batch message by message: {error}");
            attempt(db, at, batch, Care::OneByOne).await?
        }
        other => other?,
    };
    *at = next;
    Ok(())
}

async fn attempt(db: &mut PgConnection, at: &Position, batch: &Batch, care: Care) -> Result<Position, ProjectError> {
    let mut next = at.clone();
    let mut tx = db.begin().await?;
    let head = feed::lock(&mut tx).await?;
    still_there(&mut tx, at, head).await?;
    let changes = write(&mut tx, &mut next, batch, care).await?;
    feed::append(&mut tx, head, &changes.into_entries()).await?;
    tx.commit().await?;
    Ok(next)
}

async fn still_there(db: &mut PgConnection, at: &Position, head: feed::Head) -> Result<(), ProjectError> {
    let reached = offsets::all(db).await?;
    let same = |stream: Stream| reached.get(stream.name()).copied().unwrap_or_default() == at.of(stream).reached;
    if head.generation == at.generation && Stream::KEPT.into_iter().all(same) { Ok(()) } else { Err(ProjectError::Overtaken) }
}

/// Writes rows, copies and offsets; the caller has the transaction, and is the only writer.
///
/// # Errors
/// As [`take`].
pub async fn write_beside(db: &mut PgConnection, at: &mut Position, batch: &Batch) -> Result<(), ProjectError> {
    let before = at.clone();
    let mut save = db.begin().await?;
    match write(&mut save, at, batch, Care::Together).await {
        Ok(_) => save.commit().await?,
        Err(ProjectError::Database(error)) if is_refusal(&error) => {
            save.rollback().await?;
            *at = before;
            write(db, at, batch, Care::OneByOne).await?;
        }
        Err(other) => return Err(other),
    }
    Ok(())
}

async fn write(db: &mut PgConnection, at: &mut Position, batch: &Batch, care: Care) -> Result<Changes, ProjectError> {
    let mut projection = Projection { db: &mut *db, installation: at.installation, changes: Changes::default() };
    let mut copies = Vec::new();
    for message in &batch.messages {
        let verdict = apply(&mut projection, message, care).await?.reason();
        count(message, verdict.as_deref());
        if message.stream == Stream::Observed {
            continue;
        }
        let cursor = at.of(message.stream);
        match batch.origin {
            Origin::Broker if message.seq != cursor.next => {
                return Err(Regression::Gap { stream: message.stream.name(), missing: cursor.next }.into());
            }
            Origin::Broker => {
                let chain = message.chained(&cursor.chain);
                copies.push(Copy { message, chain, verdict });
                at.passed(message, chain);
            }
            Origin::Copies => at.passed(message, cursor.chain),
        }
    }
    let mut changes = projection.changes;
    raw::append(db, &copies).await?;
    reached(db, &batch.messages).await?;
    if let Some(observed) = &batch.observed {
        no_longer_observed(db, observed, &mut changes).await?;
    }
    Ok(changes)
}

async fn apply(to: &mut Projection<'_>, message: &Message, care: Care) -> Result<Verdict, ProjectError> {
    if care == Care::Together {
        return to.apply(message).await;
    }
    let changed = to.changes.len();
    let mut save = to.db.begin().await?;
    let mut within = Projection { db: &mut save, installation: to.installation, changes: std::mem::take(&mut to.changes) };
    let verdict = within.apply(message).await;
    to.changes = within.changes;
    match verdict {
        Ok(verdict) => {
            save.commit().await?;
            Ok(verdict)
        }
        Err(ProjectError::Database(error)) if is_refusal(&error) => {
            save.rollback().await?;
            to.changes.forget_after(changed);
            if message.stream == Stream::Commands {
                to.bare(message).await?;
            }
            Ok(Verdict::Passed(format!("the database refuses it: {error}")))
        }
        Err(other) => Err(other),
    }
}

fn count(message: &Message, verdict: Option<&str>) {
    let stream = message.stream.name();
    metrics::counter!("orrery_projector_messages_total", "stream" => stream).increment(1);
    if let Some(reason) = verdict {
        metrics::counter!("orrery_projector_passed_total", "stream" => stream).increment(1);
        let seq = message.seq;
        if message.stream == Stream::Commands {
            // A publisher's fault, which its owner answers.
            tracing::info!(stream, seq, reason, "command {seq} cannot be read: {reason}");
        } else {
            tracing::warn!(stream, seq, reason, "message {seq} of {stream} changes nothing: {reason}");
        }
    }
}

async fn reached(db: &mut PgConnection, messages: &[Message]) -> Result<(), ProjectError> {
    let mut last = BTreeMap::new();
    for message in messages {
        last.insert(message.stream, message.seq);
    }
    for (stream, seq) in last {
        offsets::reached(db, stream, seq).await?;
    }
    Ok(())
}

async fn no_longer_observed(db: &mut PgConnection, observed: &HashSet<ContainerKey>, changes: &mut Changes) -> Result<(), ProjectError> {
    for key in containers::all(db).await? {
        if !observed.contains(&key)
            && let Some(gone) = containers::gone(db, &key).await?
        {
            changes.container_gone(&gone);
        }
    }
    Ok(())
}

/// How many copies are read at once.
pub const COPIES: u32 = 200;

/// Takes whatever the raw copies have and the read model has not.
///
/// # Errors
/// As [`take`].
pub async fn catch_up(db: &mut PgConnection, at: &mut Position) -> Result<u64, ProjectError> {
    let mut taken = 0_u64;
    for stream in Stream::KEPT {
        loop {
            let messages = raw::after(db, stream, at.of(stream).reached, COPIES).await?;
            if messages.is_empty() {
                break;
            }
            taken = taken.saturating_add(messages.len() as u64);
            take(db, at, &Batch { origin: Origin::Copies, messages, observed: None }).await?;
        }
    }
    Ok(taken)
}
