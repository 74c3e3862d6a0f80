//! The write-ahead log of steps, as convergence sees it: the queue's run, or one in memory for tests, which can fail,
//! cancel or die at any step. Nothing else may stand between a plan and an effect.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use orrery_contracts::{Plan, ProgressLine, StepOutcome};
use orrery_queue::{Run, RunError, StepDone, StepFailure, StepHandle, StepRecord, StepSpec, StepState};

/// Tells progress of a step.
#[derive(Clone, Debug)]
pub enum Teller {
    /// To the queue.
    Queue(Box<StepHandle>),
    /// To nobody.
    Nobody,
}

impl Teller {
    /// One line.
    pub async fn tell(&self, line: ProgressLine) {
        match self {
            Self::Queue(handle) => handle.progress(line).await,
            Self::Nobody => {}
        }
    }
}

/// What a step does, once it is written.
pub type Effect<'a> = Box<dyn FnOnce(Teller) -> BoxFuture<'a, Result<StepDone, StepFailure>> + Send + 'a>;

/// Where steps are written before they are made.
pub trait Ledger: Send + Sync {
    /// Whether an earlier run of this attempt has begun.
    fn resumed(&self) -> bool;

    /// The steps that earlier runs of this attempt wrote.
    fn earlier(&self) -> &[StepRecord];

    /// Records the plan.
    fn planned(&self, plan: &Plan) -> impl Future<Output = Result<(), RunError>> + Send;

    /// Writes a step, makes its effect, writes how it ended. `back`: on the way back, where a cancel stops nothing.
    fn step<'a>(&'a self, what: StepSpec, back: bool, effect: Effect<'a>) -> BoxFuture<'a, Result<StepDone, RunError>>;

    /// Ends a step that an earlier run left open.
    fn settle(&self, n: u32, outcome: StepOutcome, detail: &str) -> impl Future<Output = Result<(), RunError>> + Send;

    /// Whether to go on.
    fn checkpoint(&self) -> impl Future<Output = Result<(), RunError>> + Send;

    /// Resolves when there is a reason to stop.
    fn interrupted(&self) -> impl Future<Output = RunError> + Send;
}

impl Ledger for Run {
    fn resumed(&self) -> bool {
        self.run() > 1
    }

    fn earlier(&self) -> &[StepRecord] {
        Run::earlier(self)
    }

    async fn planned(&self, plan: &Plan) -> Result<(), RunError> {
        Run::planned(self, plan).await
    }

    fn step<'a>(&'a self, what: StepSpec, back: bool, effect: Effect<'a>) -> BoxFuture<'a, Result<StepDone, RunError>> {
        let effect = |handle: StepHandle| effect(Teller::Queue(Box::new(handle)));
        if back { Box::pin(Run::step_back(self, what, effect)) } else { Box::pin(Run::step(self, what, effect)) }
    }

    async fn settle(&self, n: u32, outcome: StepOutcome, detail: &str) -> Result<(), RunError> {
        Run::settle(self, n, outcome, detail).await
    }

    async fn checkpoint(&self) -> Result<(), RunError> {
        Run::checkpoint(self).await
    }

    async fn interrupted(&self) -> RunError {
        Run::interrupted(self).await
    }
}

/// What happens to a run in memory, by the number of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Nothing out of the ordinary.
    Smooth,
    /// The process dies before the effect of this step.
    DieBefore(u32),
    /// The process dies after the effect of this step, before it is written down.
    DieAfter(u32),
    /// A cancel is seen before this step.
    Cancel(u32),
    /// The effect of this step fails.
    Fail(u32),
}

/// A ledger in memory.
#[derive(Debug)]
pub struct Memory {
    script: Script,
    earlier: Vec<StepRecord>,
    run: u32,
    now: Mutex<Vec<StepRecord>>,
    plans: Mutex<Vec<Plan>>,
    logs: Mutex<Vec<Vec<u8>>>,
}

impl Memory {
    /// The first run of an attempt.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script, earlier: Vec::new(), run: 1, now: Mutex::default(), plans: Mutex::default(), logs: Mutex::default() }
    }

    /// The next run of the same attempt.
    #[must_use]
    pub fn next_run(&self, script: Script) -> Self {
        let mut earlier = self.earlier.clone();
        earlier.extend(self.steps());
        Self { earlier, run: self.run.saturating_add(1), ..Self::new(script) }
    }

    /// The steps of this run.
    #[must_use]
    pub fn steps(&self) -> Vec<StepRecord> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The plans that were recorded.
    #[must_use]
    pub fn plans(&self) -> Vec<Plan> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The logs that steps kept.
    #[must_use]
    pub fn logs(&self) -> Vec<Vec<u8>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open(&self, what: &StepSpec) -> u32 {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let n = u32::try_from(self.earlier.len().saturating_add(now.len())).unwrap_or(u32::MAX).saturating_add(1);
        let (action, subject) = (what.action.clone(), what.subject.clone());
        now.push(StepRecord { n, run: self.run, action, subject, plan: what.plan, state: StepState::Open });
        n
    }

    fn end(&self, n: u32, outcome: StepOutcome, output: Option<serde_json::Value>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = now.iter_mut().find(|record| record.n == n) {
            record.state = StepState::Ended { outcome, output };
        }
    }

    fn next(&self) -> u32 {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner).len();
        u32::try_from(self.earlier.len().saturating_add(now)).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn dead(&self) -> bool {
        match self.script {
            Script::DieBefore(at) => self.next() > at,
            Script::DieAfter(at) => self.next() > at,
            Script::Smooth | Script::Cancel(_) | Script::Fail(_) => false,
        }
    }
}

impl Ledger for Memory {
    fn resumed(&self) -> bool {
        self.run > 1
    }

    fn earlier(&self) -> &[StepRecord] {
        &self.earlier
    }

    async fn planned(&self, plan: &Plan) -> Result<(), RunError> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan.clone());
        Ok(())
    }

    fn step<'a>(&'a self, what: StepSpec, back: bool, effect: Effect<'a>) -> BoxFuture<'a, Result<StepDone, RunError>> {
        Box::pin(self.write(what, back, effect))
    }

    async fn settle(&self, _n: u32, _outcome: StepOutcome, _detail: &str) -> Result<(), RunError> {
        Ok(())
    }

    async fn checkpoint(&self) -> Result<(), RunError> {
        if self.dead() { Err(RunError::ShuttingDown) } else { Ok(()) }
    }

    async fn interrupted(&self) -> RunError {
        std::future::pending().await
    }
}

impl Memory {
    async fn write(&self, what: StepSpec, back: bool, effect: Effect<'_>) -> Result<StepDone, RunError> {
        if self.dead() {
            return Err(RunError::ShuttingDown);
        }
        if matches!(self.script, Script::Cancel(at) if self.next() >= at) && !back {
            return Err(RunError::Cancelled);
        }
        let n = self.open(&what);
        match self.script {
            Script::DieBefore(at) if n >= at => return Err(RunError::ShuttingDown),
            Script::Fail(at) if n == at => {
                self.end(n, StepOutcome::Failed, None);
                return Err(RunError::failed("scripted", format!("step {n} ({} {}) fails", what.action, what.subject)));
            }
            Script::Smooth | Script::DieBefore(_) | Script::DieAfter(_) | Script::Cancel(_) | Script::Fail(_) => {}
        }
        let result = effect(Teller::Nobody).await;
        if matches!(self.script, Script::DieAfter(at) if n >= at) {
            return Err(RunError::ShuttingDown);
        }
        match result {
            Ok(done) => {
                self.end(n, done.outcome, done.output.clone());
                self.logs.lock().unwrap_or_else(PoisonError::into_inner).extend(done.log.clone());
                Ok(done)
            }
            Err(failed) => {
                self.end(n, StepOutcome::Failed, None);
                self.logs.lock().unwrap_or_else(PoisonError::into_inner).extend(failed.log);
                Err(RunError::Failed(failed.failure))
            }
        }
    }
}
