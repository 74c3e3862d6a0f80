//! The loop itself: what was followed goes into the table, the gate decides, one turn at a time is taken. A session ends
//! when the process is to end, when another executor works on the same commands, or when the streams cannot be trusted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use orrery_contracts::subjects::EventSubject;
use orrery_contracts::{CancelRequest, Engine, Installation, PolicyEntry, QueueMark, Rejection, Status, TransitionMessage, subjects};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::arrival;
use super::turn::{Desk, Signals, TurnEnd};
use crate::executor::Executor;
use crate::follow::{Followed, follow};
use crate::gate::{Contradiction, Decision, Head, Table};
use crate::marks::{Distrust, Mark};
use crate::run::Asked;
use crate::streams::{Bounds, Item};

const TICK: Duration = Duration::from_secs(1);
/// The mark in HEADS moves after so many ended commands at the latest.
const MARK_EVERY: u64 = 100;
/// So many commands are turned away side by side: one after another, somebody who sends too much would keep others waiting.
const TURNED_AWAY_AT_ONCE: usize = 64;
/// A quota that was read this long ago is read again.
const QUOTA_FRESH: Duration = Duration::from_secs(1);

/// How a session ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    Stopped,
    Stale { seq: u64 },
    Regressed(String),
    Unwritable(std::io::Error),
}

/// The command in hand.
struct InHand {
    seq: u64,
    attempt: u32,
    turn: AbortOnDropHandle<TurnEnd>,
    superseded: CancellationToken,
    cancel: Asked,
}

/// The mark in HEADS as it was written last.
struct WrittenMark {
    mark: QueueMark,
    revision: u64,
}

pub(super) struct Session<E> {
    desk: Arc<Desk<E>>,
    installation: Installation,
    running: Arc<AtomicU64>,
    stop: CancellationToken,
    table: Table,
    in_hand: Option<InHand>,
    /// Nothing is decided before this sequence of EVENTS is known: the last turn wrote or read it.
    not_before: u64,
    /// Streams whose backlog is not read yet.
    behind: BTreeSet<&'static str>,
    /// Commands that are to be looked at because they have just come.
    arrivals: BTreeSet<u64>,
    /// Those of them that end without a turn, until that is known: at which sequence of EVENTS, once it is stored.
    leaving: BTreeMap<u64, u64>,
    turned_away: JoinSet<(u64, TurnEnd)>,
    /// Quotas as they were read, by principal.
    quotas: BTreeMap<String, (Instant, Option<PolicyEntry>)>,
    /// The last cancel request of each command that has not ended.
    cancels: HashMap<u64, (u32, Arc<str>)>,
    written: WrittenMark,
    last_command: u64,
}

impl<E: Executor> Session<E> {
    pub(super) fn new(
        desk: Arc<Desk<E>>,
        installation: Installation,
        running: Arc<AtomicU64>,
        mark: QueueMark,
        revision: u64,
        stop: CancellationToken,
    ) -> Self {
        Self {
            desk,
            installation,
            running,
            stop,
            table: Table::behind(mark),
            in_hand: None,
            not_before: 0,
            behind: BTreeSet::from([subjects::COMMANDS, subjects::EVENTS]),
            arrivals: BTreeSet::new(),
            leaving: BTreeMap::new(),
            turned_away: JoinSet::new(),
            quotas: BTreeMap::new(),
            cancels: HashMap::new(),
            written: WrittenMark { mark, revision },
            last_command: mark.commands,
        }
    }

    pub(super) async fn run(mut self) -> SessionEnd {
        let (commands, mut commands_in) = mpsc::channel(256);
        let (events, mut events_in) = mpsc::channel(256);
        let streams = &self.desk.streams;
        let _commands =
            AbortOnDropHandle::new(tokio::spawn(follow(streams.clone(), subjects::COMMANDS, self.written.mark.commands, commands)));
        let _events = AbortOnDropHandle::new(tokio::spawn(follow(streams.clone(), subjects::EVENTS, self.written.mark.events, events)));
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let end = loop {
            let stepped = tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(SessionEnd::Stopped),
                ended = turn_of(&mut self.in_hand) => self.turn_ended(ended),
                Some(ended) = self.turned_away.join_next() => self.has_left(ended),
                Some(followed) = events_in.recv() => self.followed(subjects::EVENTS, followed).await,
                Some(followed) = commands_in.recv() => self.followed(subjects::COMMANDS, followed).await,
                _ = ticks.tick() => self.tick().await,
            };
            let stepped = match stepped {
                Ok(()) => self.proceed().await,
                Err(end) => Err(end),
            };
            if let Err(end) = stepped {
                break end;
            }
        };
        self.leave(end).await
    }

    /// Takes in what a follower says.
    async fn followed(&mut self, stream: &'static str, followed: Followed) -> Result<(), SessionEnd> {
        match followed {
            Followed::Message(item) if stream == subjects::COMMANDS => self.command(&item),
            Followed::Message(item) => self.event(&item),
            Followed::CaughtUp => {
                if self.behind.remove(stream) && self.behind.is_empty() {
                    self.caught_up();
                }
                Ok(())
            }
            Followed::Reconnected => self.verify().await,
            Followed::Gap { after, found } => Err(SessionEnd::Regressed(format!("{stream} goes on at {found} after {after}"))),
        }
    }

    fn command(&mut self, item: &Item) -> Result<(), SessionEnd> {
        let facts = arrival::facts(&*self.desk.executor, self.desk.engine, &self.installation, item);
        let never_starts = facts.fault.is_some();
        self.table.command(item.seq, facts).map_err(contradiction)?;
        self.last_command = item.seq;
        self.desk.marks.saw_command(Mark::of(item.seq, &item.subject, &item.body));
        if never_starts || self.desk.engine == Engine::Docker {
            self.arrivals.insert(item.seq);
        }
        Ok(())
    }

    fn event(&mut self, item: &Item) -> Result<(), SessionEnd> {
        match subjects::parse_event(&item.subject) {
            Some(EventSubject::Transition(seq)) => self.transition(seq, item)?,
            Some(EventSubject::Cancel(seq)) => self.cancel_request(seq, item),
            Some(EventSubject::Step(_) | EventSubject::Stack(_) | EventSubject::Machine(_)) | None => {}
        }
        self.table.event(item.seq);
        self.desk.marks.saw_event(Mark::of(item.seq, &item.subject, &item.body));
        Ok(())
    }

    fn transition(&mut self, seq: u64, item: &Item) -> Result<(), SessionEnd> {
        let message: Option<TransitionMessage> = serde_json::from_slice(&item.body)
            .inspect_err(|error| {
                tracing::warn!(command = seq, event = item.seq, "a transition cannot be read, and is passed over: {error}")
            })
            .ok();
        self.table.transition(item.seq, seq, message.as_ref()).map_err(contradiction)?;
        if self.table.has_ended(seq) {
            self.leaving.remove(&seq);
            self.cancels.remove(&seq);
            if let Some(in_hand) = self.in_hand.as_ref().filter(|in_hand| in_hand.seq == seq) {
                in_hand.superseded.cancel();
            }
        }
        Ok(())
    }

    fn cancel_request(&mut self, seq: u64, item: &Item) {
        let Ok(request) = serde_json::from_slice::<CancelRequest>(&item.body) else {
            tracing::warn!(command = seq, event = item.seq, "a cancel request cannot be read, and is passed over");
            return;
        };
        let by: Arc<str> = request.by.into();
        if let Some(in_hand) = self.in_hand.as_ref().filter(|in_hand| in_hand.seq == seq && in_hand.attempt == request.attempt) {
            in_hand.cancel.ask(Arc::clone(&by));
        }
        if !self.table.has_ended(seq) {
            self.cancels.insert(seq, (request.attempt, by));
        }
    }

    /// Once both backlogs are read.
    fn caught_up(&self) {
        tracing::info!(backlog = self.table.backlog(), "caught up with the queue");
        self.desk.report.has("queue");
        self.desk.report.has("stream_regressed");
    }

    /// Compares both streams with what was seen of them before the connection was lost.
    async fn verify(&self) -> Result<(), SessionEnd> {
        loop {
            self.desk.streams.connected().await;
            match self.desk.marks.verify(&self.desk.streams).await {
                Ok(()) => return Ok(()),
                Err(Distrust::Regressed(why)) => return Err(SessionEnd::Regressed(why)),
                Err(Distrust::Away(why)) => tracing::debug!("the marks are compared again: {why}"),
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
                () = self.stop.cancelled() => return Err(SessionEnd::Stopped),
            }
        }
    }

    fn turn_ended(&mut self, end: Result<TurnEnd, JoinError>) -> Result<(), SessionEnd> {
        let seq = self.in_hand.take().map_or(0, |in_hand| in_hand.seq);
        self.running.store(0, Ordering::Relaxed);
        self.goes_on(seq, end.map_err(std::io::Error::other).unwrap_or_else(TurnEnd::Unwritable))
    }

    /// A command that never had a turn has ended.
    fn has_left(&mut self, end: Result<(u64, TurnEnd), JoinError>) -> Result<(), SessionEnd> {
        let (seq, end) = end.map_err(|death| SessionEnd::Unwritable(std::io::Error::other(death)))?;
        let TurnEnd::Over(event) = end else { return self.goes_on(seq, end) };
        if self.table.last_event() >= event {
            self.leaving.remove(&seq);
        } else if let Some(known) = self.leaving.get_mut(&seq) {
            *known = event;
        }
        Ok(())
    }

    fn goes_on(&mut self, seq: u64, end: TurnEnd) -> Result<(), SessionEnd> {
        match end {
            TurnEnd::Over(event) => {
                self.not_before = self.not_before.max(event);
                Ok(())
            }
            TurnEnd::Stale => Err(SessionEnd::Stale { seq }),
            TurnEnd::Stopped => Err(SessionEnd::Stopped),
            TurnEnd::Distrusted(why) => Err(SessionEnd::Regressed(why)),
            TurnEnd::Unwritable(error) => Err(SessionEnd::Unwritable(error)),
        }
    }

    /// Lets the gate decide, when there is nothing in hand and nothing unread.
    async fn proceed(&mut self) -> Result<(), SessionEnd> {
        if !self.behind.is_empty() {
            return Ok(());
        }
        self.look_at_arrivals().await?;
        if self.table.ended() >= self.written.mark.commands.saturating_add(MARK_EVERY) {
            self.write_mark().await;
        }
        let leaves = self.table.head().and_then(|head| self.leaving.get(&head)).is_some_and(|event| self.table.last_event() < *event);
        if leaves || self.in_hand.is_some() || self.table.last_event() < self.not_before {
            return Ok(());
        }
        metrics::gauge!("orrery_queue_waiting_commands", "engine" => self.desk.engine.as_str()).set(count(self.table.backlog()));
        match self.table.decide(self.desk.engine) {
            Decision::Nothing | Decision::WaitForOwner { .. } | Decision::Held { .. } => {}
            Decision::Start(head) => self.begin(head, Status::Pending),
            Decision::Resume(head) => self.begin(head, Status::Running),
            Decision::Reject { head, rejection } => {
                let desk = Arc::clone(&self.desk);
                self.hand(head, move |head, signals| async move { desk.reject(&head, &rejection, &signals.stop).await });
            }
            Decision::Release { head, failure } => {
                let desk = Arc::clone(&self.desk);
                self.hand(head, move |head, signals| async move { desk.release(&head, &failure, &signals.stop).await });
            }
        }
        Ok(())
    }

    fn begin(&mut self, head: Head, from: Status) {
        self.running.store(head.seq, Ordering::Relaxed);
        let desk = Arc::clone(&self.desk);
        self.hand(head, move |head, signals| async move { desk.take(head, from, signals).await });
    }

    /// Takes a command in hand, in a task of its own, so that the queue is followed meanwhile.
    fn hand<F>(&mut self, head: Head, turn: impl FnOnce(Head, Signals) -> F)
    where
        F: Future<Output = TurnEnd> + Send + 'static,
    {
        let (seq, attempt) = (head.seq, head.attempt);
        let cancel = Asked::default();
        if let Some((_, by)) = self.cancels.get(&seq).filter(|(for_attempt, _)| *for_attempt == attempt) {
            cancel.ask(Arc::clone(by));
        }
        let superseded = CancellationToken::new();
        let signals = Signals { stop: self.stop.clone(), superseded: superseded.clone(), cancel: cancel.clone() };
        let turn = AbortOnDropHandle::new(tokio::spawn(turn(head, signals)));
        self.in_hand = Some(InHand { seq, attempt, turn, superseded, cancel });
    }

    /// Looks at every command on arrival, and ends those that can never start or are over their publisher's quota.
    async fn look_at_arrivals(&mut self) -> Result<(), SessionEnd> {
        while self.turned_away.len() < TURNED_AWAY_AT_ONCE {
            let Some(seq) = self.arrivals.pop_first() else { return Ok(()) };
            let in_hand = self.in_hand.as_ref().is_some_and(|in_hand| in_hand.seq == seq);
            let Some(head) = self.table.pending(seq).filter(|head| head.attempt == 1 && !in_hand) else { continue };
            let rejection = match self.table.fault(seq) {
                Some(fault) => Some(fault.clone()),
                None => self.over_quota(seq).await?,
            };
            let Some(rejection) = rejection else { continue };
            self.table.turn_away(seq);
            self.leaving.insert(seq, u64::MAX);
            let (desk, stop) = (Arc::clone(&self.desk), self.stop.clone());
            self.turned_away.spawn(async move { (seq, desk.reject(&head, &rejection, &stop).await) });
        }
        Ok(())
    }

    /// Why a command is over its publisher's quota, when it is; the Docker executor sees to that for both.
    async fn over_quota(&mut self, seq: u64) -> Result<Option<Rejection>, SessionEnd> {
        let waiting = self.table.waiting_up_to(seq);
        if self.desk.engine != Engine::Docker || waiting.commands <= 1 {
            return Ok(None);
        }
        let principal = self.table.principal(seq).unwrap_or_default().to_owned();
        let known = self.quotas.get(&principal).filter(|(read, _)| read.elapsed() < QUOTA_FRESH).map(|(_, policy)| policy.clone());
        let policy = match known {
            Some(policy) => policy,
            None => self.read_quota(&principal).await?,
        };
        Ok(arrival::over_quota(&principal, waiting, policy))
    }

    async fn read_quota(&mut self, principal: &str) -> Result<Option<PolicyEntry>, SessionEnd> {
        let policy = self.desk.definitions.patiently(|| self.desk.definitions.policy(principal));
        let policy = tokio::select! {
            biased;
            policy = policy => policy.unwrap_or_default(),
            () = self.stop.cancelled() => return Err(SessionEnd::Stopped),
        };
        self.quotas.retain(|_, (read, _)| read.elapsed() < QUOTA_FRESH);
        self.quotas.insert(principal.to_owned(), (Instant::now(), policy.clone()));
        Ok(policy)
    }

    async fn tick(&mut self) -> Result<(), SessionEnd> {
        let lost = self.behind.is_empty().then(|| self.table.stray()).flatten();
        if let Some(seq) = lost {
            self.look_for(seq).await?;
        }
        self.desk.marks.sync().await.map_err(SessionEnd::Unwritable)?;
        self.write_mark().await;
        Ok(())
    }

    /// A transition without its command is either a moment ahead of it, or COMMANDS has lost its tail.
    async fn look_for(&self, seq: u64) -> Result<(), SessionEnd> {
        let Ok(Bounds { last, .. }) = self.desk.streams.bounds(subjects::COMMANDS).await else { return Ok(()) };
        if last >= seq {
            return Ok(());
        }
        Err(SessionEnd::Regressed(format!("COMMANDS ends at {last}, and EVENTS knows command {seq}: COMMANDS lost its tail")))
    }

    /// Moves the mark in HEADS; when that does not work now, the next tick tries again.
    async fn write_mark(&mut self) {
        if self.table.ended() <= self.written.mark.commands || !self.desk.streams.is_connected() {
            return;
        }
        let mark = self.table.mark();
        let (definitions, engine) = (&self.desk.definitions, self.desk.engine);
        match definitions.put_queue_mark(engine, mark, self.written.revision).await {
            Ok(revision) => self.written = WrittenMark { mark, revision },
            Err(error) => {
                tracing::debug!("the mark in HEADS stays where it is: {error}");
                if let Ok(Some(kept)) = definitions.queue_mark(engine).await {
                    self.written = WrittenMark { mark: kept.value, revision: kept.revision };
                }
            }
        }
    }

    /// Asked to end, lets the command in hand finish its step, and leaves marks that are up to date. In every other case
    /// the streams are no longer ours to write to: the step in hand is dropped, and who comes next looks at it.
    async fn leave(mut self, end: SessionEnd) -> SessionEnd {
        self.stop.cancel();
        let asked = matches!(end, SessionEnd::Stopped);
        if let Some(in_hand) = self.in_hand.take().filter(|_| asked) {
            tracing::info!(command = in_hand.seq, "finishes the step in hand");
            let last = in_hand.turn.await;
            tracing::debug!("the command in hand was left: {last:?}");
        }
        self.running.store(0, Ordering::Relaxed);
        if asked {
            self.write_mark().await;
            if let Err(error) = self.desk.marks.sync().await {
                return SessionEnd::Unwritable(error);
            }
        }
        end
    }
}

async fn turn_of(in_hand: &mut Option<InHand>) -> Result<TurnEnd, JoinError> {
    match in_hand {
        Some(in_hand) => (&mut in_hand.turn).await,
        None => std::future::pending().await,
    }
}

fn contradiction(Contradiction(why): Contradiction) -> SessionEnd {
    SessionEnd::Regressed(why)
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
