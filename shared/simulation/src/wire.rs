//! The way of one process to the broker and to the engine: it delays, loses answers, breaks, and freezes with the process.
//! A question that was asked may have had its effect although no answer comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use orrery_contracts::subjects;
use orrery_contracts::subjects::EventSubject;
use orrery_queue::streams::{Asked, Bounds, Item, Port};
use orrery_queue::{Link, Streams};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::broker::Refused;
use crate::engine::{Made, There};
use crate::history::Control;
use crate::state::{Shared, State};
use crate::told::Told;

/// How long a question without an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where a process is to die: at its so-many-th call, before or after the call has had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// The call has no effect.
    Before(u64),
    /// The call has its effect, and its answer never comes.
    After(u64),
}

/// The way of one process.
#[derive(Debug)]
pub struct Wire {
    /// The process: counted, never used again.
    pub(crate) process: u32,
    pub(crate) state: Shared,
    /// Whether compare-and-set is left out: a control that the simulation must find.
    unchecked: bool,
    pub(crate) link: Told<Link>,
    pub(crate) frozen: Arc<Told<bool>>,
    trap: Mutex<(u64, Option<Trap>)>,
    fell: Told<bool>,
}

impl Wire {
    pub(crate) fn new(process: u32, control: Control, state: &Shared) -> Arc<Self> {
        let (link, frozen) = (Told::new(Link::Connected(1)), Arc::new(Told::new(false)));
        Arc::new(Self {
            process,
            state: state.clone(),
            unchecked: control == Control::Unchecked,
            link,
            frozen,
            trap: Mutex::default(),
            fell: Told::new(false),
        })
    }

    /// The broker, by this way.
    #[must_use]
    pub fn streams(self: &Arc<Self>) -> Streams {
        Streams::new(Arc::clone(self) as Arc<dyn Port>)
    }

    /// How many calls the process has made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.traps().0
    }

    /// Has the process fall at a call, counted from its start: it hangs there until it is killed.
    pub fn trap(&self, trap: Trap) {
        self.traps().1 = Some(trap);
    }

    /// Resolves when the process has fallen into its trap.
    pub async fn fallen(&self) {
        self.fell.until(|fell| *fell).await;
    }

    fn traps(&self) -> MutexGuard<'_, (u64, Option<Trap>)> {
        self.trap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fall(&self) {
        self.fell.set(true);
        std::future::pending::<()>().await;
    }

    /// A call of the engine or of the broker: a way there, what it does, and a way back.
    pub async fn call<T>(&self, what: &str, act: impl FnOnce() -> T) -> T {
        let trap = {
            let mut traps = self.traps();
            traps.0 = traps.0.saturating_add(1);
            let count = traps.0;
            traps.1.filter(|trap| matches!(trap, Trap::Before(at) | Trap::After(at) if *at == count))
        };
        self.way().await;
        if matches!(trap, Some(Trap::Before(_))) {
            self.fall().await;
        }
        self.state.lock().happened(self.process, what);
        let answer = act();
        if matches!(trap, Some(Trap::After(_))) {
            self.fall().await;
        }
        self.way().await;
        answer
    }

    /// One way, and the wait of a frozen process at its end.
    async fn way(&self) {
        let delay = self.state.lock().delay();
        if delay > 0 {
            sleep(Duration::from_millis(delay)).await;
        }
        self.thawed().await;
    }

    async fn thawed(&self) {
        self.frozen.until(|frozen| !frozen).await;
    }

    /// A question to the broker and its answer.
    async fn ask<T>(&self, what: &str, answer: impl FnOnce(&mut State) -> Result<T, String>) -> Result<T, String> {
        let (answer, lost) = self
            .call(what, || {
                if matches!(self.link.get(), Link::Away(_)) {
                    return (Err("the broker is away".to_owned()), false);
                }
                let mut state = self.state.lock();
                let often = state.weather.lost;
                (answer(&mut state), state.chance(often))
            })
            .await;
        if lost {
            sleep(TIMEOUT).await;
            self.thawed().await;
            return Err("no answer came in time".to_owned());
        }
        answer
    }

    fn keep(&self, state: &mut State, subject: &str, headers: HeaderMap, body: Bytes) -> Result<u64, String> {
        let written = writer(&body);
        let headers = if self.unchecked { HeaderMap::new() } else { headers };
        match state.streams.store(subject, headers, body) {
            Ok(item) => {
                if let (Some(EventSubject::Transition(seq)), Some((attempt, run))) = (subjects::parse_event(subject), written) {
                    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
                    let run = Made { seq, what: String::new(), attempt: number(attempt), run: number(run) };
                    state.holds.insert(self.process, run);
                }
                let now = state.steps;
                let promise = state.reference.stored(&item, now);
                state.demand(promise);
                state.note(self.process, &format!("  stored at {}: {}", item.seq, String::from_utf8_lossy(&item.body)));
                Ok(item.seq)
            }
            Err(Refused::WrongLast(last)) => {
                // What a person wrote has no run.
                let last = last.and_then(|last| writer(&last.body)).filter(|(_, run)| *run > 0);
                let overtaken = is_of_a_run(subject) && last > written;
                if overtaken {
                    state.refused.insert(self.process, (subject.to_owned(), written));
                }
                state.note(self.process, if overtaken { "  refused: overtaken" } else { "  refused" });
                Err("wrong last sequence".to_owned())
            }
            Err(Refused::Taken) => Err("maximum messages per subject exceeded".to_owned()),
            Err(Refused::NoStream) => Err("no stream takes it".to_owned()),
        }
    }

    /// Whether the engine's answer gets lost on its way, so many times as often as the broker's: it has done what was asked, and whoever
    /// asked waits in vain.
    pub async fn loses_the_answer(&self, times: u32) -> bool {
        let lost = {
            let mut state = self.state.lock();
            let often = state.weather.lost.saturating_mul(times);
            let lost = state.chance(often);
            if lost {
                state.lost = state.lost.saturating_add(1);
                state.note(self.process, "  no answer");
            }
            lost
        };
        if lost {
            sleep(TIMEOUT).await;
            self.thawed().await;
        }
        lost
    }

    /// The run that this process has in hand makes something on an engine: once, or a promise is broken.
    pub fn creates(&self, what: &str) {
        let mut state = self.state.lock();
        let Some(Made { seq, attempt, run, .. }) = state.holds.get(&self.process).cloned() else { return };
        if !state.created.insert((seq, attempt, run, what.to_owned())) {
            state.demand(Err(format!("{what} of command {seq} is made again by the same run {attempt}.{run}")));
        }
    }

    /// A promise that whoever plays an engine finds broken.
    pub fn finds_broken(&self, promise: String) {
        self.state.lock().demand(Err(promise));
    }

    /// Whether the engine is away just now.
    pub(crate) async fn engine_is_away(&self) -> bool {
        self.way().await;
        let mut state = self.state.lock();
        let often = state.weather.engine_away;
        state.chance(often)
    }

    /// Whether something is there: since when, which is its identity.
    pub(crate) async fn look(&self, seq: u64, what: &str) -> Option<u64> {
        let key = (seq, what.to_owned());
        self.call("look", || self.state.lock().shelf.there.get(&key).map(|there| there.since)).await
    }

    /// Makes something; that it is there already is said, not done. An error where the answer was lost.
    pub(crate) async fn make(&self, made: &Made) -> Result<(), ()> {
        self.must_not_know(&format!("{} of command {}", made.what, made.seq));
        self.call(&format!("makes {} of command {}", made.what, made.seq), || {
            let mut state = self.state.lock();
            let key = (made.seq, made.what.clone());
            let before = state.shelf.there.get(&key).copied();
            let promise = state.reference.effect(made, before);
            state.demand(promise);
            let there = There { since: state.steps, by: (made.attempt, made.run) };
            state.shelf.there.entry(key).or_insert(there);
        })
        .await;
        if self.loses_the_answer(1).await { Err(()) } else { Ok(()) }
    }

    /// Takes away what was seen; what was made anew since then is another thing. A call of a run that was overtaken in the
    /// middle of it may come late: nobody can hold it back any more, and what it takes is drift.
    pub(crate) async fn unmake(&self, taken: &Made, seen: u64) -> Result<(), ()> {
        self.call("unmake", || {
            let mut state = self.state.lock();
            let key = (taken.seq, taken.what.clone());
            if state.shelf.there.get(&key).is_some_and(|there| there.since == seen) {
                state.shelf.there.remove(&key);
                if state.reference.is_overtaken(taken) {
                    state.shelf.drifted.insert(key);
                }
            }
        })
        .await;
        if self.loses_the_answer(1).await { Err(()) } else { Ok(()) }
    }

    /// Whether the run that this process took up last has been overtaken by now: what its last call does is drift.
    #[must_use]
    pub fn is_late(&self) -> bool {
        let state = self.state.lock();
        state.holds.get(&self.process).is_some_and(|held| state.reference.is_overtaken(held))
    }

    /// Whether something happens that does so often in a thousand.
    #[must_use]
    pub fn chance(&self, in_a_thousand: u32) -> bool {
        self.state.lock().chance(in_a_thousand)
    }

    /// An effect begins: who knows that he was overtaken must not have one.
    pub fn must_not_know(&self, effect: &str) {
        let mut state = self.state.lock();
        if state.losers.contains(&self.process) {
            state.demand(Err(format!("process {} was overtaken, knows it, and makes {effect}", self.process)));
        }
    }

    /// Whether a step of the script fails once more.
    pub(crate) fn fails(&self, seq: u64, what: &str, times: u32) -> bool {
        let mut state = self.state.lock();
        let failed = state.shelf.failures.entry((seq, what.to_owned())).or_default();
        if *failed >= times {
            return false;
        }
        *failed = failed.saturating_add(1);
        true
    }
}

/// Whether a subject is written by the runs of a command.
fn is_of_a_run(subject: &str) -> bool {
    matches!(subjects::parse_event(subject), Some(EventSubject::Transition(_) | EventSubject::Step(_)))
}

/// The attempt and run that wrote a message.
fn writer(body: &[u8]) -> Option<(u64, u64)> {
    let message: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some((message.get("attempt")?.as_u64()?, message.get("run")?.as_u64()?))
}

impl Port for Wire {
    fn link(&self) -> watch::Receiver<Link> {
        self.link.listen()
    }

    fn bounds<'a>(&'a self, stream: &'a str) -> Asked<'a, Bounds> {
        Box::pin(self.ask("bounds", move |state| Ok(state.streams.bounds(stream))))
    }

    fn message<'a>(&'a self, stream: &'a str, seq: u64) -> Asked<'a, Option<Item>> {
        Box::pin(self.ask("message", move |state| Ok(state.streams.message(stream, seq))))
    }

    fn last<'a>(&'a self, stream: &'a str, subject: &'a str) -> Asked<'a, Option<Item>> {
        Box::pin(async move {
            let answer = self.ask("last", move |state| Ok(state.streams.last(stream, subject))).await;
            let mut state = self.state.lock();
            let read = answer.as_ref().ok().and_then(Option::as_ref).and_then(|item| writer(&item.body)).filter(|(_, run)| *run > 0);
            if state.refused.get(&self.process).is_some_and(|(of, written)| of == subject && read > *written) {
                state.losers.insert(self.process);
            }
            answer
        })
    }

    fn next<'a>(&'a self, stream: &'a str, subject: &'a str, from: u64) -> Asked<'a, Option<Item>> {
        Box::pin(self.ask("next", move |state| Ok(state.streams.next(stream, subject, from))))
    }

    fn store<'a>(&'a self, subject: &'a str, headers: HeaderMap, body: Bytes) -> Asked<'a, u64> {
        Box::pin(self.ask(subject, move |state| self.keep(state, subject, headers, body)))
    }

    fn follow<'a>(&'a self, stream: &'a str, from: u64) -> Asked<'a, BoxStream<'static, Result<Item, String>>> {
        Box::pin(async move {
            let end = self.ask("follow", |state| Ok(state.streams.end(stream))).await?;
            let (frozen, state) = (Arc::clone(&self.frozen), self.state.clone());
            let consumer = Consumer { stream: stream.to_owned(), next: from, end, frozen, state, process: self.process };
            Ok(stream::unfold(consumer, Consumer::deliver).boxed())
        })
    }

    fn upload<'a>(&'a self, _name: &'a str, _most: u64) -> Asked<'a, Option<Vec<u8>>> {
        Box::pin(self.ask("upload", |_| Ok(None)))
    }

    fn provisioned<'a>(&'a self, _streams: &'a [&'a str]) -> Asked<'a, ()> {
        Box::pin(self.ask("provisioned", |_| Ok(())))
    }

    fn tell(&self, _subject: String, _body: Bytes) -> Asked<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A consumer of a stream: in order, late, now and then twice, and ended by the weather.
struct Consumer {
    stream: String,
    next: u64,
    end: Arc<Told<u64>>,
    frozen: Arc<Told<bool>>,
    state: Shared,
    process: u32,
}

impl Consumer {
    async fn deliver(mut self) -> Option<(Result<Item, String>, Self)> {
        let next = self.next;
        self.end.until(|end| *end >= next).await;
        let delay = self.state.lock().delay();
        if delay > 0 {
            sleep(Duration::from_millis(delay)).await;
        }
        self.frozen.until(|frozen| !frozen).await;
        let item = {
            let mut state = self.state.lock();
            state.happened(self.process, "deliver");
            let often = state.weather.repeat;
            if state.chance(often) {
                if state.chance(500) {
                    return None;
                }
                self.next = self.next.saturating_sub(1).max(1);
            }
            state.streams.message(&self.stream, self.next)
        };
        self.next = self.next.saturating_add(1);
        item.map(|item| (Ok(item), self))
    }
}
