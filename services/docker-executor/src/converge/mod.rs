//! Carries a plan out, step by step, and brings everything back when it cannot be done: a failed apply never takes down
//! what ran. It decides nothing that [`crate::plan`] can decide.

mod back;
mod before;
mod cleanup;
mod farewell;
mod images;
pub mod ledger;
pub mod lifecycle;
mod make;
mod numbers;
mod resume;
mod service;
mod site;
mod swap;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use orrery_queue::RunError;

use crate::definition::{BuildOrder, Desired};
use crate::engine::{Engine, Observed, Scope};
use crate::plan::{self, Circumstances, SlotAction, Todo};

pub use before::Before;
pub use ledger::{Ledger, Memory, Script, Teller};
pub use site::{Halt, Site};

/// What an apply says that found everything as it should be.
pub const NOTHING: &str = "nothing to do";
/// How often the engine may turn out different from what was observed before that is a failure.
const ROUNDS: u32 = 6;
/// The first pause before it is looked at again; each further one is twice as long.
const SETTLING: Duration = Duration::from_millis(100);

/// What an apply works with.
pub struct Apply<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// The last command that converged this stack and ended well.
    pub converged: u64,
    /// Whether the stack should have been running before.
    pub should_run: bool,
    /// Containers that a stop stopped.
    pub stopped: BTreeSet<String>,
    /// How long ago images were pulled, by name.
    pub pulled: BTreeMap<String, Duration>,
    /// Ask registries and builders again where the policy says "always".
    pub refresh: bool,
    /// Makes the archive of a build's context.
    pub context: &'a (dyn Fn(&BuildOrder) -> Bytes + Send + Sync),
}

/// Converges to a version. Answers one line for a person.
///
/// # Errors
/// Why it could not be done; then everything that ran before runs again, unless the process ends or is stale.
pub async fn apply<E: Engine, L: Ledger>(site: &Site<'_, E, L>, apply: &Apply<'_>) -> Result<String, RunError> {
    apply_after(site, apply, None).await
}

/// The same, where this command has noted already what ran before it.
async fn apply_after<E: Engine, L: Ledger>(site: &Site<'_, E, L>, apply: &Apply<'_>, noted: Option<Before>) -> Result<String, RunError> {
    let before = resume::take_up(site, &apply.desired.identity).await?;
    let resumed = before.is_some();
    let before = before.or(noted);
    let committed = cleanup::committed(site);
    let mut work = Work { site, apply, before, resumed, committed, done: Counts::default() };
    match work.rounds().await {
        Ok(()) => Ok(work.done.summary()),
        Err(error) => Err(work.give_up(error).await),
    }
}

struct Work<'a, E, L> {
    site: &'a Site<'a, E, L>,
    apply: &'a Apply<'a>,
    before: Option<Before>,
    resumed: bool,
    /// Every gate has passed, and old containers go: there is no way back any more.
    committed: bool,
    done: Counts,
}

impl<E: Engine, L: Ledger> Work<'_, E, L> {
    async fn rounds(&mut self) -> Result<(), RunError> {
        for round in 0..ROUNDS {
            match self.round(round == 0).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // What a run that died has asked for, the engine may still be making: it is given time to finish.
                Err(Halt::Replan) => tokio::time::sleep(SETTLING * 2_u32.pow(round)).await,
                Err(Halt::Run(error)) => return Err(error),
            }
        }
        Err(RunError::failed("unstable", "the engine changes while it is being changed: something else works on this stack's containers"))
    }

    /// One look and what follows from it; true when there was nothing left to do.
    async fn round(&mut self, first: bool) -> Result<bool, Halt> {
        let observed = self.observe().await?;
        let todo = self.plan(&observed, first && self.apply.refresh);
        if let Some(refusal) = todo.refusals.first() {
            return Err(RunError::failed(refusal.code, refusal.message.clone()).into());
        }
        if todo.is_empty() {
            return Ok(true);
        }
        if first && !self.committed {
            let shown = todo.shown(self.apply.desired);
            self.site.show(&shown).await?;
        }
        if first && self.committed {
            // Its plan was shown by the run that committed it, and a cancel comes too late.
            cleanup::after(self.site, &observed, &cleanup::finished(&todo, &observed), self.before.as_ref()).await?;
            return Ok(false);
        }
        let observed = self.begin(observed).await?;
        images::get(self.site, self.apply, &todo).await?;
        let observed = if todo.images.is_empty() { observed } else { self.observe().await? };
        make::resources(self.site, self.apply.desired, &self.plan(&observed, false)).await?;
        let todo = self.plan(&observed, false);
        swap::containers(self.site, self.apply.desired, &observed, &todo).await?;
        self.done.count(&todo);
        if cleanup::needed(&todo) && !self.committed {
            cleanup::commit(self.site, &self.apply.desired.identity, "every gate has passed; what was replaced goes now").await?;
            self.committed = true;
        }
        cleanup::after(self.site, &observed, &todo, self.before.as_ref()).await?;
        Ok(false)
    }

    /// Writes down what runs, once an attempt, and puts right what earlier commands left behind.
    async fn begin(&mut self, observed: Observed) -> Result<Observed, Halt> {
        if self.before.is_some() {
            return Ok(observed);
        }
        let left = plan::leftovers(&observed, self.apply.converged);
        let before = Before::of(&observed, &left, self.apply.should_run, &self.apply.stopped, &self.apply.desired.identity);
        before::write_down(self.site, &before).await?;
        self.before = Some(before);
        if left.is_empty() {
            return Ok(observed);
        }
        cleanup::put_right(self.site, &observed, &left).await?;
        self.observe().await
    }

    async fn observe(&self) -> Result<Observed, Halt> {
        let scope = Scope::of(self.apply.desired);
        if self.committed { self.site.observe_regardless(&scope).await } else { self.site.observe(&scope).await }
    }

    fn plan(&self, observed: &Observed, refresh: bool) -> Todo {
        let circumstances = Circumstances {
            converged: self.apply.converged,
            resuming: (self.resumed || self.before.is_some()).then_some(self.apply.desired.identity.command),
            refresh,
            stopped: self.apply.stopped.clone(),
            pulled: self.apply.pulled.clone(),
            unhooked: self.site.unhooked(),
            // Judging has looked, and the kernel says the rest.
            machines: Vec::new(),
        };
        plan::plan(self.apply.desired, observed, &circumstances)
    }

    async fn give_up(&self, error: RunError) -> RunError {
        match (&error, self.before.as_ref().filter(|_| !self.committed)) {
            (RunError::Failed(_) | RunError::Cancelled, Some(before)) => {
                back::bring_back(self.site, &self.apply.desired.identity, before, error).await
            }
            (RunError::Failed(_) | RunError::Cancelled, None) | (RunError::Stale | RunError::ShuttingDown | RunError::BrokerAway, _) => {
                error
            }
        }
    }
}

/// What was done, for the summary.
#[derive(Default)]
struct Counts {
    made: usize,
    replaced: usize,
    started: usize,
    updated: usize,
    removed: usize,
    /// Something was done, though to no container.
    touched: bool,
}

impl Counts {
    fn count(&mut self, todo: &Todo) {
        self.touched = true;
        for slot in &todo.slots {
            let count = match slot.what {
                SlotAction::Keep => continue,
                SlotAction::Create => &mut self.made,
                SlotAction::Replace => &mut self.replaced,
                SlotAction::Start | SlotAction::Restart => &mut self.started,
                SlotAction::Update => &mut self.updated,
            };
            *count = count.saturating_add(1);
        }
        self.removed = self.removed.saturating_add(todo.removals.len());
    }

    fn summary(&self) -> String {
        let parts = [
            (self.made, "created"),
            (self.replaced, "replaced"),
            (self.started, "started"),
            (self.updated, "updated"),
            (self.removed, "removed"),
        ];
        let told: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        match (told.is_empty(), self.touched) {
            (true, false) => NOTHING.to_owned(),
            (true, true) => "images, networks and volumes are as the version says".to_owned(),
            (false, _) => format!("containers: {}", told.join(", ")),
        }
    }
}
