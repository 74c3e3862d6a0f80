//! One simulated history: executors start, are killed, frozen, cut off and overtaken while commands come in; then the
//! faults stop, and everything must come to its end.

use std::sync::Arc;
use std::time::Duration;

use orrery_contracts::Engine;
use orrery_queue::{Link, ServeError};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::cast::{Cast, Place};
use crate::people::{self, Wish};
use crate::reference::Broken;
use crate::state::Weather;
use crate::sweep::Sums;
use crate::wire::Wire;
use crate::world::{ENGINES, HOSTS, World};

/// How long after the last fault everything must have ended, in simulated time.
const TO_THE_END: Duration = Duration::from_secs(3600);

/// A defect that is built in on purpose: the simulation must find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// None: the executors as they are.
    None,
    /// Transitions and steps are stored without their compare-and-set.
    Unchecked,
    /// What an earlier run has begun is not looked at.
    Blind,
    /// What the engine gave no answer about is made once more without a look.
    Hasty,
}

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// How many steps there are faults; what follows until the end comes on top.
    pub steps: u64,
    /// A defect on purpose.
    pub control: Control,
    /// Whether the report tells everything that happened.
    pub tell: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The plan's seed.
    pub seed: u64,
    /// What happened, counted.
    pub sums: Sums,
    /// A hash over everything that happened, in order.
    pub trace: u64,
    /// The promise that was broken, when one was.
    pub broken: Option<Broken>,
    /// What happened, a line each, where the plan asked for it.
    pub story: Vec<String>,
}

impl Plan {
    /// Simulates it.
    ///
    /// # Errors
    /// When no runtime can be made.
    pub fn run<C: Cast>(self, cast: &C) -> std::io::Result<Report> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        Ok(runtime.block_on(async move {
            let mut history = History::new(self, cast);
            history.rage().await;
            history.calm().await;
            history.report()
        }))
    }
}

/// A running executor.
struct Process {
    engine: Engine,
    host: usize,
    wire: Arc<Wire>,
    task: JoinHandle<Result<(), ServeError>>,
}

struct History<'a, C: Cast> {
    plan: Plan,
    cast: &'a C,
    stage: C::Stage,
    world: World,
    processes: Vec<Process>,
    /// The wire of those who use the queue.
    people: Arc<Wire>,
    published: u64,
    kills: u64,
    freezes: u64,
    cuts: u64,
    rivals: u64,
    overtaken: u64,
}

impl<'a, C: Cast> History<'a, C> {
    fn new(plan: Plan, cast: &'a C) -> Self {
        let stage = cast.stage();
        let world = World::new(plan.seed, plan.tell);
        let people = Wire::new(0, Control::None, &world.state);
        let mut history = Self {
            plan,
            cast,
            stage,
            world,
            processes: Vec::new(),
            people,
            published: 0,
            kills: 0,
            freezes: 0,
            cuts: 0,
            rivals: 0,
            overtaken: 0,
        };
        for engine in ENGINES {
            history.start(engine, 0);
        }
        history
    }

    /// Starts an executor on a host.
    fn start(&mut self, engine: Engine, host: usize) {
        let wire = self.world.wire(self.plan.control);
        let place = Place {
            wire: Arc::clone(&wire),
            engine,
            host,
            blind: self.plan.control == Control::Blind,
            hasty: self.plan.control == Control::Hasty,
        };
        let task = self.cast.start(&self.stage, &self.world, &place);
        self.processes.push(Process { engine, host, wire, task });
    }

    /// The part with faults.
    async fn rage(&mut self) {
        let mood = self.mood();
        loop {
            let (pause, over) = {
                let mut state = self.world.state.lock();
                (1 + state.below(mood.pause), state.steps >= self.plan.steps || state.broken.is_some())
            };
            if over {
                return;
            }
            sleep(Duration::from_millis(pause)).await;
            self.replace_the_fallen();
            self.something_happens(&mood);
        }
    }

    /// What this history is like.
    fn mood(&self) -> Mood {
        let mut state = self.world.state.lock();
        let mut often = |most: u64| if state.chance(400) { 0 } else { u32::try_from(state.below(most)).unwrap_or(0) };
        let weather = Weather { delay: u64::from(often(8)), stall: often(20), lost: often(30), repeat: often(30), engine_away: often(200) };
        let mood = Mood {
            pause: 1 + u64::from(often(400)),
            publish: 50 + often(400),
            wish: often(200),
            kill: often(100),
            freeze: often(60),
            cut: often(60),
            rival: often(60),
        };
        state.weather = weather;
        mood
    }

    fn something_happens(&mut self, mood: &Mood) {
        let crowd = self.world.state.lock().reference.unfinished().len() > 40;
        let state = self.world.state.clone();
        let happens = |often: u32| state.lock().chance(often);
        if !crowd && happens(mood.publish) {
            self.publish();
        }
        if happens(mood.wish) {
            self.somebody_wishes();
        }
        if happens(mood.kill) {
            self.kill();
        }
        if happens(mood.freeze) {
            self.freeze();
        }
        if happens(mood.cut) {
            self.cut();
        }
        if happens(mood.rival) {
            self.rival();
        }
        // Whoever holds the queue is found sooner or later.
        if happens(30) {
            self.resolve(3);
        }
    }

    fn publish(&mut self) {
        self.published = self.published.saturating_add(1);
        let (subject, body) = {
            let dice = &mut self.world.state.lock().dice;
            (people::subject(dice, self.published), self.cast.body(&self.stage, dice))
        };
        let people = Arc::clone(&self.people);
        tokio::spawn(async move {
            use orrery_queue::streams::Port as _;
            let _ = people.store(&subject, async_nats::HeaderMap::new(), body.into()).await;
        });
    }

    fn somebody_wishes(&self) {
        let (seq, wish) = {
            let mut state = self.world.state.lock();
            let wish = if state.chance(500) { Wish::Cancel } else { Wish::Retry };
            let unfinished = state.reference.unfinished();
            let place = state.below(u64::try_from(unfinished.len().min(4)).unwrap_or(0));
            let Some(seq) = usize::try_from(place).ok().and_then(|place| unfinished.get(place).copied()) else { return };
            (seq, wish)
        };
        tokio::spawn(people::wish(Arc::clone(&self.people), seq, wish));
    }

    /// Retries a head that has failed, and cancels it after so many attempts.
    fn resolve(&self, attempts: u32) {
        let failed = self.world.state.lock().reference.failed_head();
        if let Some((seq, attempt)) = failed {
            let wish = if attempt < attempts { Wish::Retry } else { Wish::Cancel };
            tokio::spawn(people::wish(Arc::clone(&self.people), seq, wish));
        }
    }

    fn any(&self) -> Option<usize> {
        let count = u64::try_from(self.processes.len()).unwrap_or(0);
        if count == 0 {
            return None;
        }
        usize::try_from(self.world.state.lock().below(count)).ok()
    }

    /// As SIGKILL would.
    fn kill(&mut self) {
        let Some(place) = self.any() else { return };
        let process = self.processes.swap_remove(place);
        process.task.abort();
        self.world.state.lock().happened(process.wire.process, "kill");
        self.kills = self.kills.saturating_add(1);
    }

    /// As SIGSTOP would, for up to a minute and a half.
    fn freeze(&mut self) {
        let Some(wire) = self.any().and_then(|place| self.processes.get(place)).map(|process| Arc::clone(&process.wire)) else { return };
        let length = {
            let mut state = self.world.state.lock();
            state.happened(wire.process, "freeze");
            if state.chance(500) { state.below(2000) } else { state.below(90_000) }
        };
        self.freezes = self.freezes.saturating_add(1);
        wire.frozen.set(true);
        tokio::spawn(async move {
            sleep(Duration::from_millis(length)).await;
            wire.frozen.set(false);
        });
    }

    /// Somebody's way to the broker: an executor's, or that of those who use the queue.
    fn any_way(&self) -> Arc<Wire> {
        let count = u64::try_from(self.processes.len()).unwrap_or(0);
        let place = usize::try_from(self.world.state.lock().below(count.saturating_add(1))).unwrap_or(0);
        Arc::clone(self.processes.get(place).map_or(&self.people, |process| &process.wire))
    }

    /// A connection to the broker breaks, and comes back.
    fn cut(&mut self) {
        let wire = self.any_way();
        let Link::Connected(count) = wire.link.get() else { return };
        let length = {
            let mut state = self.world.state.lock();
            state.happened(wire.process, "cut");
            if state.chance(700) { state.below(200) } else { state.below(20_000) }
        };
        self.cuts = self.cuts.saturating_add(1);
        wire.link.set(Link::Away("cut".to_owned()));
        tokio::spawn(async move {
            sleep(Duration::from_millis(length)).await;
            wire.link.set(Link::Connected(count.saturating_add(1)));
        });
    }

    /// A second executor of an engine, on a host that the lock does not reach.
    fn rival(&mut self) {
        let Some(engine) = self.any().and_then(|place| self.processes.get(place)).map(|process| process.engine) else { return };
        let taken: Vec<usize> = self.processes.iter().filter(|process| process.engine == engine).map(|process| process.host).collect();
        let Some(host) = (0..HOSTS).find(|host| !taken.contains(host)) else { return };
        self.world.state.lock().happened(0, "rival");
        self.rivals = self.rivals.saturating_add(1);
        self.start(engine, host);
    }

    /// A process that has ended is started again where none of its engine lives, as a supervisor would.
    fn replace_the_fallen(&mut self) {
        let (fallen, alive): (Vec<Process>, Vec<Process>) = self.processes.drain(..).partition(|process| process.task.is_finished());
        self.processes = alive;
        self.overtaken = self.overtaken.saturating_add(u64::try_from(fallen.len()).unwrap_or(0));
        for engine in ENGINES {
            let lives = self.processes.iter().any(|process| process.engine == engine);
            let host = usize::try_from(self.world.state.lock().below(3)).unwrap_or(0);
            if !lives && self.world.state.lock().chance(300) {
                self.start(engine, host);
            }
        }
    }

    /// The faults stop, and one executor of each engine lives: everything must end.
    async fn calm(&mut self) {
        {
            let mut state = self.world.state.lock();
            state.weather = Weather { delay: 2, ..Weather::default() };
        }
        for engine in ENGINES {
            let mut first = true;
            for process in self.processes.extract_if(.., |process| {
                let stays = process.engine != engine || std::mem::take(&mut first);
                !stays
            }) {
                process.task.abort();
            }
        }
        let began = tokio::time::Instant::now();
        loop {
            {
                let mut state = self.world.state.lock();
                let unfinished = state.reference.unfinished();
                if state.broken.is_some() || unfinished.is_empty() {
                    break;
                }
                if began.elapsed() > TO_THE_END {
                    let story = state.reference.story();
                    state.demand(Err(format!("an hour after the last fault these have not ended: {story}")));
                    break;
                }
            }
            self.replace_the_fallen();
            self.resolve(4);
            sleep(Duration::from_millis(500)).await;
        }
        // What was told a moment ago is on its way.
        sleep(Duration::from_secs(10)).await;
        for process in self.processes.drain(..) {
            process.task.abort();
        }
        if self.world.broken().is_none() {
            let settled = self.cast.settled(&self.stage, &self.world).await;
            self.world.state.lock().demand(settled);
        }
    }

    fn report(&self) -> Report {
        let state = self.world.state.lock();
        let (commands, done) = state.reference.counts();
        Report {
            seed: self.plan.seed,
            sums: Sums {
                histories: 1,
                steps: state.steps,
                commands,
                done,
                kills: self.kills,
                freezes: self.freezes,
                cuts: self.cuts,
                rivals: self.rivals,
                overtaken: self.overtaken,
                lost: state.lost,
            },
            trace: state.trace,
            broken: state.broken.clone(),
            story: state.story.clone().unwrap_or_default(),
        }
    }
}

/// How often what happens, in a thousand each time; and the longest pause between, in milliseconds.
#[derive(Debug)]
struct Mood {
    pause: u64,
    publish: u32,
    wish: u32,
    kill: u32,
    freeze: u32,
    cut: u32,
    rival: u32,
}
