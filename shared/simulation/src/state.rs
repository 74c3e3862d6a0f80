//! Everything that is outside the actors, behind one lock: the broker, the engines, the reference, and the dice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::broker::Streams;
use crate::engine::{Made, Shelf};
use crate::reference::{Broken, Reference};

/// How rough the world is; probabilities are in a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// The longest usual delay of one way to the broker or the engine, in milliseconds.
    pub delay: u64,
    /// How often a way takes up to five seconds.
    pub stall: u32,
    /// How often an answer is lost.
    pub lost: u32,
    /// How often a delivery is repeated, or a consumer ends.
    pub repeat: u32,
    /// How often the engine is away when it is asked.
    pub engine_away: u32,
}

/// The outside.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) streams: Streams,
    pub(crate) shelf: Shelf,
    pub(crate) reference: Reference,
    pub(crate) weather: Weather,
    pub(crate) steps: u64,
    /// Processes whose compare-and-set was refused because a newer run has written: on which subject, and what attempt and run they
    /// had themselves.
    pub(crate) refused: BTreeMap<u32, (String, Option<(u64, u64)>)>,
    /// Those of them that have read so. Where a person's message came after the newer run's, they cannot: they decide again, and need to
    /// win the next compare-and-set before they make anything.
    pub(crate) losers: BTreeSet<u32>,
    /// The run that each process has taken up last.
    pub(crate) holds: BTreeMap<u32, Made>,
    /// What each run of an executor has made on a real one's stand-in: once, or a promise is broken.
    pub(crate) created: BTreeSet<(u64, u32, u32, String)>,
    /// Answers of an engine that were lost.
    pub(crate) lost: u64,
    pub(crate) broken: Option<Broken>,
    /// What happened, a line each, when somebody wants to read it.
    pub(crate) story: Option<Vec<String>>,
    /// A running hash over what happened, so that two runs can be told to be the same one.
    pub(crate) trace: u64,
    began: tokio::time::Instant,
    pub(crate) dice: Dice,
}

/// Where all chance comes from.
#[derive(Debug)]
pub struct Dice(SmallRng);

impl Dice {
    /// Whether something happens that does so often in a thousand.
    pub fn chance(&mut self, in_a_thousand: u32) -> bool {
        in_a_thousand > 0 && self.0.random_range(0..1000) < in_a_thousand
    }

    /// A number below this one; 0 below 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }
}

impl State {
    pub(crate) fn chance(&mut self, in_a_thousand: u32) -> bool {
        self.dice.chance(in_a_thousand)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.dice.below(end)
    }

    /// One way's delay in milliseconds.
    pub(crate) fn delay(&mut self) -> u64 {
        let stall = self.weather.stall;
        if self.chance(stall) { self.below(5000) } else { self.below(self.weather.delay.saturating_add(1)) }
    }

    /// Something happened to a process: one scheduled step.
    pub(crate) fn happened(&mut self, process: u32, what: &str) {
        self.steps = self.steps.saturating_add(1);
        self.note(process, what);
        for byte in what.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// A line of the story.
    pub(crate) fn note(&mut self, process: u32, what: &str) {
        if let Some(story) = &mut self.story {
            let seconds = self.began.elapsed().as_secs_f64();
            story.push(format!("{seconds:>9.3}  process {process:<4} {what}"));
        }
    }

    pub(crate) fn demand(&mut self, promise: Result<(), Broken>) {
        if let Err(broken) = promise {
            self.broken.get_or_insert(broken);
        }
    }
}

/// The outside, shared by all actors.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(crate) fn new(seed: u64, tell: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            streams: Streams::default(),
            shelf: Shelf::default(),
            reference: Reference::default(),
            weather: Weather::default(),
            steps: 0,
            refused: BTreeMap::new(),
            losers: BTreeSet::new(),
            holds: BTreeMap::new(),
            created: BTreeSet::new(),
            lost: 0,
            broken: None,
            trace: 0xcbf2_9ce4_8422_2325,
            story: tell.then(Vec::new),
            began: tokio::time::Instant::now(),
            dice: Dice(SmallRng::seed_from_u64(seed)),
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
