//! Messages of all streams as they come, gathered into batches in which every event finds its command.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::errors::{ProjectError, Regression};
use crate::ingest::{Batch, Origin, Position};
use crate::message::{Message, Stream};
use crate::project::{ends_a_run, is_transition, needs_command};
use crate::queries::containers::ContainerKey;
use crate::source::Source;

/// The most messages of a batch.
const MESSAGES: usize = 256;
/// The most bytes of a batch, by and large.
const BYTES: usize = 8 * 1024 * 1024;

/// What may wait for its batch, in KiB: messages may have a megabyte each, and 256 of them are a quarter of a gigabyte.
const WAITING_KIB: u32 = 16 * 1024;

/// A message on its way, with its share of the room.
type Waiting = (Result<Message, ProjectError>, Option<OwnedSemaphorePermit>);

/// How long the end of a command waits for observations that were there before it.
const OBSERVATIONS: Duration = Duration::from_secs(2);

/// A look at everything that is observed: who has been seen so far, and the number at which it is complete.
#[derive(Debug)]
struct Sweep {
    until: u64,
    seen: HashSet<ContainerKey>,
}

/// Follows the streams until it is dropped.
#[derive(Debug)]
pub struct Inbox {
    source: Source,
    messages: mpsc::Receiver<Waiting>,
    /// What came before its turn.
    held: VecDeque<Message>,
    /// The last observation that came.
    observed: u64,
    sweep: Option<Sweep>,
    _followers: JoinSet<()>,
}

impl Inbox {
    /// Begins to follow: kept streams behind the position, observations from their beginning.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub async fn open(source: Source, at: &Position) -> Result<Self, ProjectError> {
        let observed = source.ends(Stream::Observed).await?;
        let (send, messages) = mpsc::channel(MESSAGES);
        let room = Arc::new(Semaphore::new(usize::try_from(WAITING_KIB).unwrap_or(usize::MAX)));
        let mut followers = JoinSet::new();
        let starts = Stream::KEPT.into_iter().map(|stream| (stream, at.of(stream).next)).chain([(Stream::Observed, 0)]);
        for (stream, from) in starts {
            let (one, other) = mpsc::channel(1);
            followers.spawn(pass_on(other, send.clone(), Arc::clone(&room)));
            let source = source.clone();
            followers.spawn(async move {
                if let Err(error) = source.follow(stream, from, one.clone()).await {
                    let _ = one.send(Err(error)).await;
                }
            });
        }
        let sweep = Sweep { until: if observed.last < observed.first { 0 } else { observed.last }, seen: HashSet::new() };
        Ok(Self { source, messages, held: VecDeque::new(), observed: 0, sweep: Some(sweep), _followers: followers })
    }

    /// The next batch; empty when nothing came within `patience`.
    ///
    /// # Errors
    /// When the broker is away, or an event is about a command that is not there.
    pub async fn next(&mut self, at: &Position, patience: Duration) -> Result<Batch, ProjectError> {
        let mut messages = self.gather(patience).await?;
        // A command that was fetched before it came is there already.
        messages.retain(|message| message.stream == Stream::Observed || message.seq >= at.of(message.stream).next);
        self.observe_first(&mut messages).await?;
        self.fetch_commands(at, &mut messages).await?;
        messages.sort_by_key(|message| message.stream);
        let observed = self.look(&messages);
        Ok(Batch { origin: Origin::Broker, messages, observed })
    }

    async fn gather(&mut self, patience: Duration) -> Result<Vec<Message>, ProjectError> {
        let mut messages: Vec<Message> = self.held.drain(..).collect();
        let complete = self.sweep.as_ref().is_some_and(|sweep| sweep.until == 0);
        if messages.is_empty()
            && !complete
            && let Ok(first) = tokio::time::timeout(patience, self.messages.recv()).await
        {
            messages.push(self.came(first)?);
        }
        let mut bytes = 0_usize;
        while messages.len() < MESSAGES && bytes < BYTES {
            let Ok(message) = self.messages.try_recv() else { break };
            let message = self.came(Some(message))?;
            bytes = bytes.saturating_add(message.body.len());
            messages.push(message);
        }
        Ok(messages)
    }

    fn came(&mut self, message: Option<Waiting>) -> Result<Message, ProjectError> {
        let (message, _room) = message.unwrap_or_else(|| (Err(ProjectError::Broker("nothing is followed any more".into())), None));
        let message = message?;
        if message.stream == Stream::Observed {
            self.observed = self.observed.max(message.seq);
        }
        Ok(message)
    }

    /// An executor publishes what a command changed before its end, on another stream: whoever sees the end in the rows
    /// sees the changes too. An engine that floods us must not hold the ends back, hence the limit.
    async fn observe_first(&mut self, messages: &mut Vec<Message>) -> Result<(), ProjectError> {
        if !messages.iter().any(ends_a_run) {
            return Ok(());
        }
        let there = self.source.ends(Stream::Observed).await?;
        let deadline = tokio::time::Instant::now() + OBSERVATIONS;
        while there.last >= there.first && self.observed < there.last {
            let Ok(message) = tokio::time::timeout_at(deadline, self.messages.recv()).await else { break };
            let message = self.came(message)?;
            if message.stream == Stream::Observed {
                messages.push(message);
            } else {
                self.held.push_back(message);
            }
        }
        Ok(())
    }

    /// Events may come before the commands that they are about: these are fetched, as many as a batch holds. Events about
    /// later ones wait for the next batch.
    async fn fetch_commands(&mut self, at: &Position, messages: &mut Vec<Message>) -> Result<(), ProjectError> {
        let there = |message: &&Message| message.stream == Stream::Commands;
        let last = messages.iter().filter(there).map(|message| message.seq).max();
        let mut next = last.map_or_else(|| at.of(Stream::Commands).next, |last| last.saturating_add(1));
        let wanted = messages.iter().filter_map(|message| Some((needs_command(message)?, message))).max_by_key(|(command, _)| *command);
        let Some((wanted, _)) = wanted.filter(|(command, _)| *command >= next) else { return Ok(()) };
        let end = self.source.ends(Stream::Commands).await?.last;
        let beyond = messages.iter().find(|message| is_transition(message) && needs_command(message).is_some_and(|command| command > end));
        if let Some(message) = beyond {
            return Err(Regression::UnknownCommand { event: message.seq, command: needs_command(message).unwrap_or_default() }.into());
        }
        let mut bytes: usize = messages.iter().filter(there).map(|message| message.body.len()).sum();
        while next <= wanted.min(end) && bytes < BYTES {
            let command = self.source.message(Stream::Commands, next).await?;
            let command = command.ok_or(Regression::Gap { stream: Stream::Commands.name(), missing: next })?;
            bytes = bytes.saturating_add(command.body.len());
            messages.push(command);
            next = next.saturating_add(1);
        }
        // Before what came after them.
        for message in without_their_command(messages, next).into_iter().rev() {
            self.held.push_front(message);
        }
        Ok(())
    }

    /// Notes who is observed; answers all of them once the look is complete.
    fn look(&mut self, messages: &[Message]) -> Option<HashSet<ContainerKey>> {
        let sweep = self.sweep.as_mut()?;
        let mut complete = sweep.until == 0;
        for message in messages.iter().filter(|message| message.stream == Stream::Observed) {
            complete |= message.seq >= sweep.until;
            if let Some(key) = container(message) {
                if message.is_tombstone() {
                    sweep.seen.remove(&key)
                } else {
                    sweep.seen.insert(key)
                };
            }
        }
        if complete { self.sweep.take().map(|sweep| sweep.seen) } else { None }
    }
}

/// Takes out the first event about a command from this number on, and every event behind it: they keep their order.
fn without_their_command(messages: &mut Vec<Message>, from: u64) -> Vec<Message> {
    let lacks = |message: &Message| needs_command(message).is_some_and(|command| command >= from);
    let Some(first) = messages.iter().find(|message| lacks(message)).map(|message| (message.stream, message.seq)) else {
        return Vec::new();
    };
    let (waits, stays) =
        std::mem::take(messages).into_iter().partition(|message| (message.stream, message.seq) >= first && message.stream == first.0);
    *messages = stays;
    waits
}

/// Passes messages on as there is room for them.
async fn pass_on(mut from: mpsc::Receiver<Result<Message, ProjectError>>, to: mpsc::Sender<Waiting>, room: Arc<Semaphore>) {
    while let Some(message) = from.recv().await {
        let bytes = message.as_ref().map_or(0, |message| message.body.len());
        let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).clamp(1, WAITING_KIB);
        let Ok(share) = Arc::clone(&room).acquire_many_owned(kib).await else { return };
        if to.send((message, Some(share))).await.is_err() {
            return;
        }
    }
}

/// The container that an observation is about.
#[must_use]
pub fn container(message: &Message) -> Option<ContainerKey> {
    let mut tokens = message.subject.strip_prefix("orrery.observed.")?.split('.');
    match (tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
        (Some(host), Some("container"), Some(id), None) => Some(ContainerKey { host: host.to_owned(), id: id.to_owned() }),
        (_, _, _, _) => None,
    }
}
