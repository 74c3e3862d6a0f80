//! An engine in memory, and the executor of it: what a command does is written in its target's name. It observes before
//! it acts, as the real ones do, and what it makes has a name that can be there once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use orrery_contracts::command::Target;
use orrery_contracts::{CommandMessage, Engine, Rejection, StepOutcome};
use orrery_queue::{Accepted, Executor, JudgeError, Run, RunError, StepDone, StepFailure, StepSpec, StepState};

use crate::wire::Wire;

/// An effect, and who makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) seq: u64,
    pub(crate) what: String,
    pub(crate) attempt: u32,
    pub(crate) run: u32,
}

/// Something that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct There {
    /// Since which step of the simulation: its identity.
    pub(crate) since: u64,
    /// The attempt and run that made it.
    pub(crate) by: (u32, u32),
}

/// What is there, and how often what has failed.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) there: BTreeMap<(u64, String), There>,
    /// What an overtaken run took away with its last call.
    pub(crate) drifted: BTreeSet<(u64, String)>,
    pub(crate) failures: HashMap<(u64, String), u32>,
}

/// What a command does: groups of steps, those of a group side by side, and what befalls it.
///
/// Written as `2-1-f3-u`: two steps, then one; the last step fails three times; a failure is undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) groups: Vec<u32>,
    pub(crate) fails: u32,
    pub(crate) undoes: bool,
    pub(crate) rejected: bool,
    pub(crate) panics: u32,
    pub(crate) slow: bool,
}

impl Script {
    pub(crate) fn read(name: &str) -> Self {
        let mut script = Self::default();
        for word in name.split('-') {
            let number = |from: usize| word.get(from..).and_then(|digits| digits.parse::<u32>().ok());
            match word.as_bytes().first() {
                Some(b'f') => script.fails = number(1).unwrap_or_default(),
                Some(b'p') => script.panics = number(1).unwrap_or_default(),
                Some(b'u') => script.undoes = true,
                Some(b'x') => script.rejected = true,
                Some(b's') => script.slow = true,
                Some(_) | None => script.groups.extend(number(0)),
            }
        }
        script
    }

    /// The names of the steps, group by group.
    pub(crate) fn steps(&self) -> Vec<Vec<String>> {
        let names = |(group, count): (usize, &u32)| (0..*count).map(|step| format!("{group}.{step}")).collect();
        self.groups.iter().enumerate().map(names).collect()
    }
}

/// The executor of the engine in memory.
pub(crate) struct Toy {
    pub(crate) engine: Engine,
    pub(crate) wire: Arc<Wire>,
    /// Makes what an earlier run left open without looking: a control that the simulation must find.
    pub(crate) blind: bool,
    /// Makes what it got no answer about once more without looking: another control.
    pub(crate) hasty: bool,
}

impl Executor for Toy {
    type Job = Script;

    fn read(&self, body: &[u8]) -> Result<CommandMessage, Rejection> {
        match self.engine {
            Engine::Docker => CommandMessage::read(body),
            // Machines take the same words as stacks.
            Engine::Libvirt => CommandMessage::read(String::from_utf8_lossy(body).replacen("machine.", "stack.", 1).as_bytes()),
        }
    }

    async fn judge(&self, command: &Accepted) -> Result<Script, JudgeError> {
        if self.wire.engine_is_away().await {
            return Err(JudgeError::Transient("the engine is away".to_owned()));
        }
        let Target::Own(name) = &command.message.target else { return Err(Rejection("a name is wanted".to_owned()).into()) };
        let script = Script::read(name.as_str());
        if script.rejected { Err(Rejection("it wants to be rejected".to_owned()).into()) } else { Ok(script) }
    }

    async fn execute(&self, job: Script, run: &Run) -> Result<String, RunError> {
        let steps = job.steps();
        let last = steps.iter().flatten().next_back().cloned();
        let mut made = Vec::new();
        for group in &steps {
            let all = group.iter().map(|what| self.one(run, &job, what, last.as_ref() == Some(what)));
            for ended in futures::future::join_all(all).await {
                match ended {
                    Ok(()) => {}
                    Err(error @ (RunError::Failed(_) | RunError::Cancelled)) if job.undoes => {
                        made.extend(group.iter().cloned());
                        self.undo(run, &made).await?;
                        return Err(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            made.extend(group.iter().cloned());
        }
        Ok(format!("{} made", made.len()))
    }
}

impl Toy {
    async fn one(&self, run: &Run, script: &Script, what: &str, is_last: bool) -> Result<(), RunError> {
        let seq = run.command().seq;
        let open = run.earlier().iter().rev().find(|step| step.subject == what && step.state == StepState::Open);
        if !self.blind && self.wire.look(seq, what).await.is_some() {
            if let Some(open) = open {
                run.settle(open.n, StepOutcome::FoundDone, "found made").await?;
            }
            return Ok(());
        }
        let made = Made { seq, what: what.to_owned(), attempt: run.attempt(), run: run.run() };
        let effect = async |_| {
            if script.slow {
                tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            }
            if is_last && self.wire.fails(seq, "panic", script.panics) {
                std::panic::resume_unwind(Box::new("the script has it so"));
            }
            if is_last && self.wire.fails(seq, what, script.fails) {
                return Err(StepFailure::new("toy", "the script has it so"));
            }
            Ok(self.make(&made).await)
        };
        run.step(StepSpec::new("make", what), effect).await.map(drop)
    }

    /// Makes it; where no answer came, it looks before it makes it once more.
    async fn make(&self, made: &Made) -> StepDone {
        while self.wire.make(made).await.is_err() {
            if !self.hasty && self.wire.look(made.seq, &made.what).await.is_some() {
                return StepDone::found_done("found made");
            }
        }
        StepDone::done("made")
    }

    async fn undo(&self, run: &Run, made: &[String]) -> Result<(), RunError> {
        let seq = run.command().seq;
        for what in made.iter().rev() {
            let Some(seen) = self.wire.look(seq, what).await else { continue };
            let taken = Made { seq, what: what.clone(), attempt: run.attempt(), run: run.run() };
            let effect = async |_| {
                // What was seen is one thing: to take it away once more takes nothing else.
                while self.wire.unmake(&taken, seen).await.is_err() {}
                Ok(StepDone::done("unmade"))
            };
            run.step_back(StepSpec::new("unmake", what), effect).await?;
        }
        Ok(())
    }
}
