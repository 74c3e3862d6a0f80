//! An engine in memory: the same answers as the real one as far as convergence can tell, proved by the conformance suite
//! that both pass. What a container does is written in its environment variable `BEHAVE`.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use orrery_contracts::{Health, StackId};
use tokio::sync::Notify;

use self::world::World;
use super::error::EngineError;
use super::gate::{Outcome, Until, Verdict, judge};
use super::observed::{Observed, Scope, SeenImage, State};
use super::{Act, Effect, Engine, NewContainer, Probed, Say};

/// An engine in memory.
#[derive(Default)]
pub struct MemoryEngine {
    world: Mutex<World>,
    changed: Notify,
}

impl MemoryEngine {
    /// An engine that has these images.
    #[must_use]
    pub fn with_images(names: &[&str]) -> Self {
        let engine = Self::default();
        for name in names {
            engine.lock().images.insert((*name).to_owned(), image(format!("sha256:{name}")));
        }
        engine
    }

    /// Gives an image another content.
    pub fn rebuild(&self, name: &str, id: &str) {
        self.lock().images.insert(name.to_owned(), image(id.to_owned()));
    }

    /// What was done, one line an action.
    #[must_use]
    pub fn acts(&self) -> Vec<String> {
        self.lock().acts.clone()
    }

    /// Every container: name, state and how often it was started; sorted by name.
    #[must_use]
    pub fn all(&self) -> Vec<(String, State, u32)> {
        let mut all: Vec<_> = self.lock().containers.iter().map(|one| (one.name.clone(), one.state, one.starts)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Everything there is, a line each and sorted; ids and counts left out, so that two engines can be compared.
    #[must_use]
    pub fn inventory(&self) -> Vec<String> {
        self.lock().inventory()
    }

    /// What is there, at once.
    #[must_use]
    pub fn observe_now(&self, scope: &Scope) -> Observed {
        self.lock().observe(scope)
    }

    /// One action, at once.
    ///
    /// # Errors
    /// As the engine would answer.
    pub fn act_now(&self, act: &Act) -> Result<Effect, EngineError> {
        let result = self.lock().act(act);
        self.changed.notify_waiters();
        result
    }

    /// Ids by name of the containers that are up.
    #[must_use]
    pub fn up(&self) -> BTreeMap<String, String> {
        let world = self.lock();
        world.containers.iter().filter(|one| one.state.is_up()).map(|one| (one.name.clone(), one.id.clone())).collect()
    }

    /// Names of the containers of a stack that are up.
    #[must_use]
    pub fn up_of(&self, stack: StackId) -> Vec<String> {
        self.lock().up_of(stack)
    }

    /// The name of another container that the same command has for the same place of the same stack.
    #[must_use]
    pub fn twin(&self, new: &NewContainer) -> Option<String> {
        self.lock().twin(new)
    }

    /// A person's hand: a container ends by itself.
    pub fn end(&self, name: &str, exit_code: i64) {
        if let Some(one) = self.lock().containers.iter_mut().find(|one| one.name == name) {
            one.state = State::Exited;
            one.exit_code = exit_code;
        }
        self.changed.notify_waiters();
    }

    /// The fate of a container that runs: its health check gives it up.
    pub fn sicken(&self, name: &str) {
        if let Some(one) = self.lock().containers.iter_mut().find(|one| one.name == name) {
            one.health = Health::Unhealthy;
        }
        self.changed.notify_waiters();
    }

    /// The fate of a container that runs: it ends for want of memory.
    pub fn starve(&self, name: &str) {
        self.end(name, 137);
        if let Some(one) = self.lock().containers.iter_mut().find(|one| one.name == name) {
            one.oom_killed = true;
        }
    }

    /// A person's hand: once so many actions were made, this container is gone.
    pub fn vanish(&self, after: usize, name: &str) {
        self.lock().vanish = Some((after, name.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn image(id: String) -> SeenImage {
    SeenImage { id, probed: false, platform: "linux/amd64".to_owned(), digest: None }
}

impl Engine for MemoryEngine {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        Ok(self.observe_now(scope))
    }

    async fn act(&self, act: &Act, _say: Say<'_>) -> Result<Effect, EngineError> {
        tokio::task::yield_now().await;
        self.act_now(act)
    }

    async fn wait(&self, id: &str, until: &Until) -> Result<Outcome, EngineError> {
        loop {
            let changed = self.changed.notified();
            let glimpse = self.lock().glimpse(id)?;
            let pause = match judge(until, &glimpse) {
                Verdict::Over(outcome) => return Ok(outcome),
                Verdict::Later(pause) => pause.unwrap_or(Duration::from_secs(3600)),
            };
            let _ = tokio::time::timeout(pause, changed).await;
        }
    }

    async fn tail(&self, id: &str, _lines: u32) -> Vec<u8> {
        let world = self.lock();
        world
            .containers
            .iter()
            .find(|one| one.id == id)
            .map(|one| format!("the last words of {}\n", one.name).into_bytes())
            .unwrap_or_default()
    }

    async fn probes(&self, id: &str) -> Vec<Probed> {
        let world = self.lock();
        let sick = world.containers.iter().any(|one| one.id == id && one.health == Health::Unhealthy);
        if sick { vec![Probed { exit_code: 1, output: "it does not answer".to_owned() }] } else { Vec::new() }
    }

    async fn mounted(&self) -> Result<BTreeSet<PathBuf>, EngineError> {
        Ok(BTreeSet::new())
    }

    fn away(&self) -> Option<String> {
        None
    }

    async fn processors(&self) -> usize {
        2
    }
}
