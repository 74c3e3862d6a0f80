//! Where a command works: its engine, its ledger, and the rules of every single step — written ahead, retried while the
//! trouble is transient, told while it lasts.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use orrery_contracts::{Plan, ProgressLine, StepOutcome};
use orrery_queue::{RunError, StepDone, StepFailure, StepRecord, StepSpec, StepState};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::farewell::Farewell;
use super::ledger::{Ledger, Teller};
use super::numbers::Numbers;
use crate::engine::gate::{EXITED, UNHEALTHY};
use crate::engine::{Act, Class, Effect, Engine, EngineError, Observed, Outcome, Probed, Scope, Until};

/// How often a transient error is met with another try.
const TRIES: u32 = 6;
/// The first pause between two tries; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(200);
/// How long an engine that is away is waited for within one step.
const ENGINE_AWAY: Duration = Duration::from_secs(120);
/// How many of a failed container's last lines are kept.
const KEPT_LINES: u32 = 200;
/// How much of a probe's last line an error quotes, in characters.
const PROBE_LINE: usize = 300;

/// Why work stops.
#[derive(Debug)]
pub enum Halt {
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

/// An engine and a ledger, with what one command shares between its steps.
pub struct Site<'a, E, L> {
    engine: &'a E,
    ledger: &'a L,
    side_by_side: Semaphore,
    numbers: Mutex<Numbers>,
    abort: Mutex<CancellationToken>,
    pulled: Mutex<Vec<String>>,
    kept: Mutex<BTreeSet<String>>,
    unhooked: Mutex<BTreeSet<String>>,
}

impl<'a, E: Engine, L: Ledger> Site<'a, E, L> {
    /// A site; asks the engine how much it can do at once.
    pub async fn new(engine: &'a E, ledger: &'a L) -> Self {
        let at_once = engine.processors().await.saturating_mul(2).clamp(2, 32);
        Self {
            engine,
            ledger,
            side_by_side: Semaphore::new(at_once),
            numbers: Mutex::new(Numbers::after(ledger.earlier())),
            abort: Mutex::default(),
            pulled: Mutex::default(),
            kept: Mutex::default(),
            unhooked: Mutex::new(broken_off(ledger.earlier())),
        }
    }

    /// The images that were pulled here, by name.
    #[must_use]
    pub fn all_pulled(&self) -> Vec<String> {
        self.pulled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The containers whose start an earlier run of this command has begun, and not ended: which of their hooks have run, nobody knows.
    pub(super) fn unhooked(&self) -> BTreeSet<String> {
        self.unhooked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn pulled(&self, reference: &str) {
        self.pulled.lock().unwrap_or_else(PoisonError::into_inner).push(reference.to_owned());
    }

    /// Whether the last lines of this container lie with a step already.
    pub(super) fn has_kept(&self, id: &str) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    pub(super) fn ledger(&self) -> &L {
        self.ledger
    }

    /// Tells those who only wait that the others have failed.
    pub(super) fn abort(&self) {
        self.aborting().cancel();
    }

    pub(super) fn aborted(&self) -> bool {
        self.aborting().is_cancelled()
    }

    /// A new round: what broke off the one before is over.
    pub(super) fn begin_anew(&self) {
        *self.abort.lock().unwrap_or_else(PoisonError::into_inner) = CancellationToken::new();
    }

    pub(super) fn aborting(&self) -> CancellationToken {
        self.abort.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the plan, under numbers that its steps keep.
    pub(super) async fn show(&self, plan: &Plan) -> Result<(), RunError> {
        let plan = self.numbers.lock().unwrap_or_else(PoisonError::into_inner).give(plan);
        self.ledger.planned(&plan).await
    }

    fn spec(&self, action: &str, subject: &str) -> StepSpec {
        let plan = self.numbers.lock().unwrap_or_else(PoisonError::into_inner).find(action, subject);
        StepSpec { action: action.to_owned(), subject: subject.to_owned(), plan }
    }

    /// Looks at the engine; waits for it while it is away.
    pub(super) async fn observe(&self, scope: &Scope) -> Result<Observed, Halt> {
        let attempt = self.patiently(|| self.engine.observe(scope), drop);
        let observed = tokio::select! {
            biased;
            observed = attempt => observed,
            reason = self.ledger.interrupted() => return Err(reason.into()),
        };
        observed.map_err(|error| RunError::failed(error.code, format!("the engine cannot be looked at: {error}")).into())
    }

    /// Looks at the engine on the way back, where an interruption stops nothing.
    pub(super) async fn observe_regardless(&self, scope: &Scope) -> Result<Observed, Halt> {
        let observed = self.patiently(|| self.engine.observe(scope), drop).await;
        observed.map_err(|error| RunError::failed(error.code, format!("the engine cannot be looked at: {error}")).into())
    }

    /// One action, as a step.
    pub(super) async fn act(&self, subject: &str, act: Act) -> Result<Effect, Halt> {
        self.act_with(subject, act, None).await
    }

    /// One action with what is kept of the container that it removes.
    pub(super) async fn act_with(&self, subject: &str, act: Act, farewell: Option<Farewell>) -> Result<Effect, Halt> {
        if self.aborted() {
            return Err(Halt::Run(RunError::Cancelled));
        }
        self.step(subject, act, false, farewell).await
    }

    /// One action on the way back.
    pub(super) async fn act_back(&self, subject: &str, act: Act) -> Result<Effect, Halt> {
        self.step(subject, act, true, None).await
    }

    pub(super) async fn step(&self, subject: &str, act: Act, back: bool, farewell: Option<Farewell>) -> Result<Effect, Halt> {
        let spec = self.spec(act.word(), subject);
        let permit = self.side_by_side.acquire().await.map_err(|_| Halt::Replan)?;
        let mut came_to = None;
        let answer = &mut came_to;
        let act = &act;
        let effect = move |teller: Teller| -> BoxFuture<'_, Result<StepDone, StepFailure>> {
            Box::pin(async move {
                // The engine is free for the next step while this one's end is written.
                let _until_the_effect_is_made = permit;
                match self.told(act, &teller).await {
                    Ok(effect) => {
                        let done = done(&effect, farewell);
                        *answer = Some(Ok(effect));
                        Ok(done)
                    }
                    Err(error) if error.class == Class::Replan => {
                        let detail = format!("the engine has changed meanwhile: {error}");
                        *answer = Some(Err(Halt::Replan));
                        Ok(StepDone::skipped(detail))
                    }
                    Err(error) => Err(failure(subject, &error)),
                }
            })
        };
        let written = self.ledger.step(spec, back, Box::new(effect)).await;
        written?;
        if matches!(act, Act::Start { .. }) {
            self.unhooked.lock().unwrap_or_else(PoisonError::into_inner).remove(subject);
        }
        came_to.unwrap_or(Err(Halt::Replan))
    }

    /// The action with its progress told, tried again while the trouble is transient.
    async fn told(&self, act: &Act, teller: &Teller) -> Result<Effect, EngineError> {
        let (say, mut said) = mpsc::unbounded_channel::<ProgressLine>();
        let say = move |line| {
            let _ = say.send(line);
        };
        let tell = |text| say(ProgressLine::text(text));
        let mut work = std::pin::pin!(self.patiently(|| self.engine.act(act, &say), tell));
        loop {
            tokio::select! {
                biased;
                Some(line) = said.recv() => teller.tell(line).await,
                result = &mut work => {
                    while let Ok(line) = said.try_recv() {
                        teller.tell(line).await;
                    }
                    return result;
                }
            }
        }
    }

    /// Calls again while the trouble is transient and may pass, with growing pauses, each of which is told.
    async fn patiently<T, W>(&self, call: impl Fn() -> W, tell: impl Fn(String)) -> Result<T, EngineError>
    where
        W: Future<Output = Result<T, EngineError>>,
    {
        let began = tokio::time::Instant::now();
        let mut tries: u32 = 0;
        let mut pause = PAUSE;
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

    /// Waits, as a step, until a container is as it should be.
    pub(super) async fn gate(&self, subject: &str, id: &str, until: &Until) -> Result<(), Halt> {
        let spec = self.spec("container.wait", subject);
        let mut stopped = None;
        let reason = &mut stopped;
        let abort = self.aborting();
        let effect = move |_teller: Teller| -> BoxFuture<'_, Result<StepDone, StepFailure>> {
            Box::pin(async move {
                let away = AtomicBool::new(false);
                let wait = || async {
                    let waited = self.engine.wait(id, until).await;
                    away.fetch_or(matches!(&waited, Err(error) if error.class == Class::Wait), Ordering::Relaxed);
                    waited
                };
                let outcome = tokio::select! {
                    biased;
                    outcome = self.patiently(wait, drop) => outcome,
                    interrupted = self.ledger.interrupted() => {
                        *reason = Some(Halt::Run(interrupted));
                        return Ok(StepDone::skipped("the wait was broken off"));
                    }
                    () = abort.cancelled() => {
                        *reason = Some(Halt::Run(RunError::Cancelled));
                        return Ok(StepDone::skipped("the wait was broken off: another container has failed"));
                    }
                };
                match outcome {
                    Ok(Outcome::Met) => Ok(StepDone::done(held(until))),
                    // An engine that ended took its containers with it: that says nothing about this one.
                    Ok(Outcome::Failed { code: EXITED, .. }) if away.load(Ordering::Relaxed) => {
                        *reason = Some(Halt::Replan);
                        Ok(StepDone::skipped("the engine was away, and its containers have ended meanwhile"))
                    }
                    Ok(Outcome::Failed { code, why }) => Err(self.fallen(subject, id, code, &why).await),
                    Err(error) if error.class == Class::Replan => {
                        *reason = Some(Halt::Replan);
                        Ok(StepDone::skipped(format!("the engine has changed meanwhile: {error}")))
                    }
                    Err(error) => Err(failure(subject, &error)),
                }
            })
        };
        self.ledger.step(spec, false, Box::new(effect)).await?;
        stopped.map_or(Ok(()), Err)
    }
}

impl<E: Engine, L: Ledger> Site<'_, E, L> {
    /// Why a container did not pass, with its last words, and with what the probes said where it is they that failed it.
    async fn fallen(&self, subject: &str, id: &str, code: &'static str, why: &str) -> StepFailure {
        let mut message = format!("{} {why}", crate::definition::identity::settled_name(subject));
        let (log, last_probe) = self.last_words(id, code == UNHEALTHY).await;
        if let Some(last) = last_probe {
            message.push_str(&format!(": its probe {}", in_short(&last)));
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        StepFailure::new(code, message).with_log(log)
    }

    /// A container's last lines, and below them what the probes said that give it up; with the last of those.
    pub(super) async fn last_words(&self, id: &str, unhealthy: bool) -> (Vec<u8>, Option<Probed>) {
        let mut log = self.engine.tail(id, KEPT_LINES).await;
        let mut probes = if unhealthy { self.engine.probes(id).await } else { Vec::new() };
        for probe in &probes {
            let end = format!("\n--- a probe of its health ended with exit code {}\n{}\n", probe.exit_code, probe.output);
            log.extend_from_slice(end.as_bytes());
        }
        (log, probes.pop())
    }
}

/// The end of a probe on one line.
fn in_short(probe: &Probed) -> String {
    let line = probe.output.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let line: String = line.chars().take(PROBE_LINE).collect();
    match (probe.exit_code, line.is_empty()) {
        (code, true) => format!("ends with exit code {code}"),
        (code, false) => format!("ends with exit code {code} and says {line:?}"),
    }
}

fn held(until: &Until) -> &'static str {
    match until {
        Until::Ready { .. } => "it is ready",
        Until::Running => "it runs",
        Until::Finished => "it has ended with exit code 0",
    }
}

/// The subjects of starts that were begun, and of which nobody has said that they ended well.
fn broken_off(earlier: &[StepRecord]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for step in earlier.iter().filter(|step| step.action == "container.start") {
        match &step.state {
            StepState::Ended { outcome: StepOutcome::Done | StepOutcome::FoundDone, .. } => names.remove(&step.subject),
            StepState::Ended { .. } | StepState::Open => names.insert(step.subject.clone()),
        };
    }
    names
}

fn done(effect: &Effect, farewell: Option<Farewell>) -> StepDone {
    let words = farewell.as_ref().map(Farewell::words);
    let detail = effect.warnings.iter().cloned().chain(words).collect::<Vec<_>>().join("; ");
    let mut done = if effect.already { StepDone::found_done(detail) } else { StepDone::done(detail) };
    done.output = effect.id.as_ref().map(|id| json!({ "id": id }));
    done.log = effect.log.clone().or_else(|| farewell.map(|farewell| farewell.log).filter(|log| !log.is_empty()));
    done
}

fn failure(subject: &str, error: &EngineError) -> StepFailure {
    let failure = StepFailure::new(error.code, format!("{subject}: {error}"));
    match error.log() {
        Some(log) => failure.with_log(log.to_vec()),
        None => failure,
    }
}
