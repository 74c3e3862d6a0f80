//! A scripted executor: what a command does is written in its target's name, and its engine is a list that the test
//! can look at. It observes before it acts, as a real executor does.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use orrery_contracts::command::Target;
use orrery_contracts::{CommandMessage, Engine, Failure, Rejection, StepOutcome};
use orrery_queue::{Accepted, Executor, JudgeError, Run, RunError, StepDone, StepFailure, StepSpec, StepState};
use tokio::sync::Semaphore;

/// One effect on the toy engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) by: &'static str,
    pub(crate) seq: u64,
    pub(crate) attempt: u32,
    pub(crate) run: u32,
    pub(crate) what: String,
}

/// What the engine was told, and what the tests tell it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToyEngine(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    effects: Mutex<Vec<Effect>>,
    made: Mutex<BTreeSet<(u64, String)>>,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    entered: Mutex<Vec<Effect>>,
    failing: Mutex<HashMap<String, u32>>,
    away: Mutex<u32>,
}

impl ToyEngine {
    pub(crate) fn effects(&self) -> Vec<Effect> {
        self.0.effects.lock().unwrap().clone()
    }

    /// The effects of one command, in order.
    pub(crate) fn effects_of(&self, seq: u64) -> Vec<String> {
        self.effects().into_iter().filter(|effect| effect.seq == seq).map(|effect| effect.what).collect()
    }

    /// Effects that were begun: the gate of a slow one may not be open yet.
    pub(crate) fn entered(&self) -> Vec<Effect> {
        self.0.entered.lock().unwrap().clone()
    }

    /// Lets so many slow effects of this name go on.
    pub(crate) fn open(&self, what: &str, times: usize) {
        self.gate(what).add_permits(times);
    }

    /// Has the step of this name fail so many times.
    pub(crate) fn fail(&self, what: &str, times: u32) {
        self.0.failing.lock().unwrap().insert(what.to_owned(), times);
    }

    /// Has the engine be away for so many judgements.
    pub(crate) fn away(&self, times: u32) {
        *self.0.away.lock().unwrap() = times;
    }

    fn gate(&self, what: &str) -> Arc<Semaphore> {
        let mut gates = self.0.gates.lock().unwrap();
        Arc::clone(gates.entry(what.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))))
    }

    fn fails(&self, what: &str) -> bool {
        let mut failing = self.0.failing.lock().unwrap();
        let Some(times) = failing.get_mut(what).filter(|times| **times > 0) else { return false };
        *times -= 1;
        true
    }

    async fn make(&self, effect: Effect) -> Result<StepDone, StepFailure> {
        self.0.entered.lock().unwrap().push(effect.clone());
        let what = effect.what.clone();
        if what.starts_with("slow") {
            self.gate(&what).acquire().await.unwrap().forget();
        }
        assert!(!what.starts_with("panic"), "the toy was told to panic");
        if self.fails(&what) {
            return Err(StepFailure::new("toy", format!("{what} was told to fail")).with_log(b"the toy's log".to_vec()));
        }
        self.0.made.lock().unwrap().insert((effect.seq, what.clone()));
        self.0.effects.lock().unwrap().push(effect);
        Ok(StepDone::done(format!("{what} made")).with_output(serde_json::json!({ "made": what })))
    }

    fn is_made(&self, seq: u64, what: &str) -> bool {
        self.0.made.lock().unwrap().contains(&(seq, what.to_owned()))
    }
}

/// The executor; `by` tells two of them apart.
#[derive(Debug)]
pub(crate) struct Toy {
    pub(crate) by: &'static str,
    pub(crate) engine: Engine,
    pub(crate) world: ToyEngine,
}

impl Executor for Toy {
    type Job = Vec<String>;

    fn read(&self, body: &[u8]) -> Result<CommandMessage, Rejection> {
        match self.engine {
            Engine::Docker => CommandMessage::read(body),
            // The toy's machines take the same words as its stacks.
            Engine::Libvirt => CommandMessage::read(String::from_utf8_lossy(body).replacen("machine.", "stack.", 1).as_bytes()),
        }
    }

    async fn judge(&self, command: &Accepted) -> Result<Vec<String>, JudgeError> {
        {
            let mut away = self.world.0.away.lock().unwrap();
            if *away > 0 {
                *away -= 1;
                return Err(JudgeError::Transient("the toy's engine is away".into()));
            }
        }
        let Target::Own(name) = &command.message.target else { return Err(Rejection("the toy wants a name".into()).into()) };
        if name.as_str() == "missing" {
            return Err(Rejection("there is no stack missing".into()).into());
        }
        Ok(name.as_str().split("--").filter(|what| *what != "nothing").map(str::to_owned).collect())
    }

    async fn execute(&self, job: Vec<String>, run: &Run) -> Result<String, RunError> {
        let seq = run.command().seq;
        for what in &job {
            let open = run.earlier().iter().find(|step| step.subject == *what && step.state == StepState::Open);
            if self.world.is_made(seq, what) {
                if let Some(open) = open {
                    run.settle(open.n, StepOutcome::FoundDone, "found made").await?;
                }
                continue;
            }
            let effect = Effect { by: self.by, seq, attempt: run.attempt(), run: run.run(), what: what.clone() };
            let stepped = run.step(StepSpec::new("make", what), |_| self.world.make(effect.clone())).await;
            if let Err(RunError::Failed(Failure { .. }) | RunError::Cancelled) = &stepped
                && what.ends_with("undo")
            {
                let undo = Effect { what: format!("un-{what}"), ..effect };
                run.step_back(StepSpec::new("undo", what), |_| self.world.make(undo)).await?;
            }
            stepped?;
        }
        Ok(format!("{} made", job.len()))
    }
}
