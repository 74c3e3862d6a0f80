//! The read model made anew, beside the one that is read, and swapped in one transaction under a new generation of the feed.
//! The projector may run meanwhile: it waits for the swap alone, finds itself overtaken, and goes on from there.

use orrery_queue::Broker;
use sqlx::{Connection as _, PgConnection};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::database::{self, Place};
use crate::errors::ProjectError;
use crate::ingest::{self, Batch, Origin, Position};
use crate::marks;
use crate::message::{Message, Stream};
use crate::queries::{feed, meta, raw, swap};
use crate::source::Source;

/// How many messages are taken at once.
const MESSAGES: usize = 200;

/// What a rebuild did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Messages that came from the raw copies.
    pub copies: u64,
    /// Messages that came from the broker.
    pub messages: u64,
    /// Observations that were asked again.
    pub observations: u64,
    /// The feed's generation from now on.
    pub generation: i64,
}

/// Why there was no rebuild; what was there is there still.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// Another one runs.
    #[error("another rebuild runs on this database")]
    AnotherOneRuns,
    /// A stream, the database or the broker is in the way.
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Project(error.into())
    }
}

/// Rebuilds: the raw copies first, then what the streams have beyond them, then the observations.
///
/// # Errors
/// When something is in the way. Nothing has changed then.
pub async fn rebuild(database_url: &str, broker: &Broker) -> Result<Rebuilt, RebuildError> {
    let mut db = database::connect(database_url, Place::Beside).await?;
    if !swap::only_one(&mut db).await? {
        return Err(RebuildError::AnotherOneRuns);
    }
    broker.connected().await;
    let source = Source::new(broker.jetstream().clone());
    let mut at = begin(&mut db, &source).await?;
    let mut copies = 0_u64;
    for (stream, last) in copied(&mut db).await? {
        copies = copies.saturating_add(from_copies(&mut db, &mut at, stream, last).await?);
    }
    let mut tx = db.begin().await?;
    feed::lock(&mut tx).await?;
    let mut messages = 0_u64;
    for (stream, last) in copied(&mut tx).await? {
        copies = copies.saturating_add(from_copies(&mut tx, &mut at, stream, last).await?);
    }
    // Nobody appends copies from here on: their chains end here.
    let mut at = Position::read(&mut tx, at.installation).await?;
    marks::check(&mut tx, &source, &mut at).await?;
    for (stream, last) in stored(&source).await? {
        messages = messages.saturating_add(from_broker(&mut tx, &source, &mut at, stream, last).await?);
    }
    let observations = observe(&mut tx, &source, &mut at).await?;
    swap::swap(&mut tx).await?;
    let head = feed::begin_again(&mut tx).await?;
    tx.commit().await?;
    swap::give_back(&mut db).await?;
    Ok(Rebuilt { copies, messages, observations, generation: head.generation })
}

async fn begin(db: &mut PgConnection, source: &Source) -> Result<Position, ProjectError> {
    let known = meta::installation(db).await?;
    let installation = marks::same_installation(db, source, known).await?;
    swap::make_beside(db).await?;
    let mut at = Position::read(db, installation).await?;
    marks::check(db, source, &mut at).await?;
    Position::read(db, installation).await
}

/// Up to where the copies of each stream are read, in the order in which they are. The projector appends to them meanwhile, and an
/// event lies behind its command: the end of COMMANDS is looked for last, so that no event is read whose command is not.
async fn copied(db: &mut PgConnection) -> Result<Vec<(Stream, u64)>, ProjectError> {
    let mut ends = Vec::new();
    for stream in Stream::KEPT.into_iter().rev() {
        ends.push((stream, raw::mark(db, stream).await?.map_or(0, |mark| mark.seq)));
    }
    ends.reverse();
    Ok(ends)
}

/// The same of what the broker has.
async fn stored(source: &Source) -> Result<Vec<(Stream, u64)>, ProjectError> {
    let mut ends = Vec::new();
    for stream in Stream::KEPT.into_iter().rev() {
        ends.push((stream, source.ends(stream).await?.last));
    }
    ends.reverse();
    Ok(ends)
}

async fn from_copies(db: &mut PgConnection, at: &mut Position, stream: Stream, last: u64) -> Result<u64, ProjectError> {
    let mut taken = 0_u64;
    loop {
        let mut messages = raw::after(db, stream, at.of(stream).reached, ingest::COPIES).await?;
        messages.retain(|message| message.seq <= last);
        if messages.is_empty() {
            return Ok(taken);
        }
        taken = taken.saturating_add(messages.len() as u64);
        ingest::write_beside(db, at, &Batch { origin: Origin::Copies, messages, observed: None }).await?;
    }
}

/// What the stream has beyond the copies, up to this number.
async fn from_broker(db: &mut PgConnection, source: &Source, at: &mut Position, stream: Stream, last: u64) -> Result<u64, ProjectError> {
    let next = at.of(stream).next;
    if next > last {
        return Ok(0);
    }
    read(db, source, at, stream, next, last).await
}

async fn observe(db: &mut PgConnection, source: &Source, at: &mut Position) -> Result<u64, ProjectError> {
    let ends = source.ends(Stream::Observed).await?;
    if ends.is_empty() {
        return Ok(0);
    }
    read(db, source, at, Stream::Observed, 0, ends.last).await
}

async fn read(
    db: &mut PgConnection,
    source: &Source,
    at: &mut Position,
    stream: Stream,
    from: u64,
    last: u64,
) -> Result<u64, ProjectError> {
    let (send, mut messages) = mpsc::channel(MESSAGES);
    let mut follower = JoinSet::new();
    let source = source.clone();
    follower.spawn(async move {
        if let Err(error) = source.follow(stream, from, send.clone()).await {
            let _ = send.send(Err(error)).await;
        }
    });
    let mut taken = 0_u64;
    let mut complete = false;
    while !complete {
        let mut batch: Vec<Message> = Vec::new();
        while !complete && batch.len() < MESSAGES {
            let message = messages.recv().await.unwrap_or_else(|| Err(ProjectError::Broker("nothing is followed any more".into())))?;
            complete = message.seq >= last;
            batch.push(message);
        }
        taken = taken.saturating_add(batch.len() as u64);
        ingest::write_beside(db, at, &Batch { origin: Origin::Broker, messages: batch, observed: None }).await?;
    }
    Ok(taken)
}
