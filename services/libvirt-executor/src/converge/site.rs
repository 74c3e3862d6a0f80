//! Where a command works: its engine, its steps, and the rules of every single step: written ahead, tried again while the trouble
//! is transient, told while it lasts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use orrery_contracts::{Plan, ProgressLine, StepOutcome};
use orrery_queue::{Run, RunError, StepDone, StepFailure, StepSpec, StepState};
use serde_json::json;
use tokio::sync::mpsc;

use crate::console::Consoles;
use crate::definition::Pool;
use crate::engine::{Act, Class, Effect, EngineError, Hypervisor, Observed, Scope};

/// How often a transient error is met with another try.
const TRIES: u32 = 5;
/// The first pause between two tries; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a daemon that is away is waited for within one step.
const ENGINE_AWAY: Duration = Duration::from_secs(120);

/// What a step says that was left in the middle.
pub(crate) const BROKEN_OFF: &str = "it was broken off";

/// Why work stops.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The run ends.
    Run(RunError),
    /// The engine is not what was observed: look again.
    Replan,
}

impl From<RunError> for Halt {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

/// An engine and a run.
pub(crate) struct Site<'a, E> {
    pub(crate) engine: &'a E,
    pub(crate) consoles: &'a Consoles,
    pub(crate) pool: &'a Pool,
    pub(crate) run: &'a Run,
    numbers: Mutex<HashMap<String, u32>>,
}

impl<'a, E: Hypervisor> Site<'a, E> {
    pub(crate) fn new(engine: &'a E, consoles: &'a Consoles, pool: &'a Pool, run: &'a Run) -> Self {
        let earlier = run.earlier().iter().filter_map(|step| Some((step.subject.clone(), step.plan?)));
        Self { engine, consoles, pool, run, numbers: Mutex::new(earlier.collect()) }
    }

    /// Ends what an earlier run left open: every act finds its own effect, so that what is still needed is done again.
    pub(crate) async fn take_up(&self) -> Result<(), RunError> {
        for step in self.run.earlier().iter().filter(|step| step.state == StepState::Open) {
            self.run.settle(step.n, StepOutcome::Skipped, "its executor ended in the middle; done again if it is still needed").await?;
        }
        Ok(())
    }

    /// Records the plan; its steps carry its numbers.
    pub(crate) async fn show(&self, plan: &Plan) -> Result<(), RunError> {
        let numbers = plan.actions.iter().map(|action| (action.subject.clone(), action.n));
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).extend(numbers);
        self.run.planned(plan).await
    }

    /// A step of this name, with its number in the plan where it has one: for what is no act.
    pub(crate) fn spec(&self, action: &str, subject: &str) -> StepSpec {
        let plan = self.numbers.lock().unwrap_or_else(PoisonError::into_inner).get(subject).copied();
        StepSpec { action: action.to_owned(), subject: subject.to_owned(), plan }
    }

    /// Looks at everything; waits for the daemon while it is away.
    pub(crate) async fn observe(&self, scope: &Scope) -> Result<Observed, RunError> {
        let looked = tokio::select! {
            biased;
            looked = self.patiently(|| self.engine.observe(scope), drop) => looked,
            reason = self.run.interrupted() => return Err(reason),
        };
        looked.map_err(not_seen)
    }

    /// Looks on the way back, where an interruption stops nothing.
    pub(crate) async fn observe_regardless(&self, scope: &Scope) -> Result<Observed, RunError> {
        self.patiently(|| self.engine.observe(scope), drop).await.map_err(not_seen)
    }

    /// One act, as a step.
    pub(crate) async fn act(&self, subject: &str, act: Act) -> Result<Effect, Halt> {
        self.step(subject, &act, false).await
    }

    /// One act on the way back, which a cancel does not stop.
    pub(crate) async fn act_back(&self, subject: &str, act: Act) -> Result<Effect, Halt> {
        self.step(subject, &act, true).await
    }

    async fn step(&self, subject: &str, act: &Act, back: bool) -> Result<Effect, Halt> {
        let mut came_to = None;
        let answer = &mut came_to;
        let spec = self.spec(act.word(), subject);
        let effect = |handle: orrery_queue::StepHandle| async move {
            let told = tokio::select! {
                biased;
                told = self.told(act, &handle) => told,
                why = self.broken_off(act, back) => {
                    *answer = Some(Err(Halt::Run(why)));
                    return Ok(StepDone::skipped(BROKEN_OFF));
                }
            };
            match told {
                Ok(effect) => {
                    let detail = effect.warnings.join("; ");
                    let mut done = if effect.already { StepDone::found_done(detail) } else { StepDone::done(detail) };
                    done.output = effect.id.as_ref().map(|id| json!({ "id": id }));
                    *answer = Some(Ok(effect));
                    Ok(done)
                }
                Err(error) if error.class == Class::Replan => {
                    *answer = Some(Err(Halt::Replan));
                    Ok(StepDone::skipped(format!("libvirt has changed meanwhile: {error}")))
                }
                Err(error) => Err(StepFailure::new(error.code, format!("{subject}: {error}"))),
            }
        };
        if back {
            self.run.step_back(spec, effect).await?
        } else {
            self.run.step(spec, effect).await?
        };
        came_to.unwrap_or(Err(Halt::Replan))
    }

    /// Resolves when there is a reason to stop, for an act that takes long and may end in the middle.
    async fn broken_off(&self, act: &Act, back: bool) -> RunError {
        if matches!(act, Act::Upload { .. }) && !back { self.run.interrupted().await } else { std::future::pending().await }
    }

    /// The act with its progress told, tried again while the trouble is transient.
    async fn told(&self, act: &Act, handle: &orrery_queue::StepHandle) -> Result<Effect, EngineError> {
        let (say, mut said) = mpsc::unbounded_channel::<ProgressLine>();
        let say = move |line| {
            let _ = say.send(line);
        };
        let tell = |text| say(ProgressLine::text(text));
        let mut work = std::pin::pin!(self.patiently(|| self.engine.act(act, &say), tell));
        loop {
            tokio::select! {
                biased;
                Some(line) = said.recv() => handle.progress(line).await,
                result = &mut work => return result,
            }
        }
    }

    /// Calls again while the trouble is transient and may pass, with growing pauses, each of which is told.
    pub(crate) async fn patiently<T, W>(&self, call: impl Fn() -> W, tell: impl Fn(String)) -> Result<T, EngineError>
    where
        W: Future<Output = Result<T, EngineError>>,
    {
        let began = tokio::time::Instant::now();
        let (mut tries, mut pause) = (0_u32, PAUSE);
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            tries = tries.saturating_add(1);
            let again = match error.class {
                Class::Retry => tries < TRIES,
                Class::Wait => began.elapsed() < ENGINE_AWAY,
                Class::Replan | Class::Refuse => false,
            };
            if !again {
                return Err(error);
            }
            tracing::info!(code = error.code, tries, "tries again: {error}");
            tell(format!("{error}; tried again in {} ms", pause.as_millis()));
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(Duration::from_secs(3));
        }
    }
}

fn not_seen(error: EngineError) -> RunError {
    RunError::failed(error.code, format!("libvirt cannot be looked at: {error}"))
}
