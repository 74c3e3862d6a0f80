//! The engine in memory at the end of a simulated way, and what may befall its actions.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use orrery_docker_executor::engine::memory::MemoryEngine;
use orrery_docker_executor::engine::{Act, Class, Effect, Engine, EngineError, NewContainer, Observed, Outcome, Probed, Say, Scope, Until};
use orrery_simulation::{Trap, Wire};

/// An engine's answers get lost so many times as often as the broker's: of a stack's calls few are the engine's.
const LOSES: u32 = 6;

/// What befalls the actions on the engine, by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    None,
    /// The process dies at this call, counted from the command's publication.
    Dies(Trap),
    /// This action is made twice.
    Twice(u64),
    /// This action is refused.
    Refused(u64),
    /// So many actions in a thousand find the engine busy.
    Busy(u32),
}

/// The engine in memory, at the end of a wire.
pub struct Wired {
    pub engine: Arc<MemoryEngine>,
    pub wire: Arc<Wire>,
    pub mischief: Mischief,
    /// Counts the actions.
    pub acts: Arc<AtomicU64>,
    /// Set when an action came from a run that had been overtaken in the middle of it.
    pub drifted: Arc<AtomicBool>,
}

impl Wired {
    /// What was asked is done, and now and then nobody hears of it.
    async fn answered<T>(&self, answer: Result<T, EngineError>) -> Result<T, EngineError> {
        if !self.wire.loses_the_answer(LOSES).await {
            return answer;
        }
        Err(if self.wire.chance(500) {
            EngineError::new(Class::Retry, "engine_slow", "the engine did not answer in time")
        } else {
            EngineError::new(Class::Wait, "engine_away", "the engine cannot be reached")
        })
    }

    /// A container was made: once by its run, and not beside another of the same command.
    fn made(&self, new: &NewContainer) {
        let key = |label: &str| new.body.labels.as_ref().and_then(|labels| labels.get(label)).cloned().unwrap_or_default();
        let place = format!(
            "container {}-{} of {}",
            key("com.docker.compose.service"),
            key("com.docker.compose.container-number"),
            key("io.orrery.stack")
        );
        self.wire.creates(&place);
        if let Some(twin) = self.engine.twin(new) {
            self.wire.finds_broken(format!("{} is made for command {} beside its {twin}", new.name, key("io.orrery.command")));
        }
    }
}

impl Engine for Wired {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        let observed = self.wire.call("observe", || self.engine.observe_now(scope)).await;
        self.answered(Ok(observed)).await
    }

    async fn act(&self, act: &Act, _say: Say<'_>) -> Result<Effect, EngineError> {
        let number = self.acts.fetch_add(1, Ordering::Relaxed);
        self.wire.must_not_know(act.word());
        if self.mischief == Mischief::Refused(number) {
            return Err(EngineError::new(Class::Refuse, "refused", "the engine does not want to"));
        }
        if self.mischief == Mischief::Twice(number) {
            let _ = self.wire.call(act.word(), || self.engine.act_now(act)).await;
        }
        if matches!(self.mischief, Mischief::Busy(often) if self.wire.chance(often)) {
            return Err(EngineError::new(Class::Retry, "busy", "the engine is busy"));
        }
        let acted = self.wire.call(act.word(), || {
            let late = self.wire.is_late();
            if late {
                self.drifted.store(true, Ordering::Relaxed);
            }
            let acted = self.engine.act_now(act);
            if let (Act::Create(new), Ok(Effect { already: false, .. })) = (act, &acted)
                && !late
            {
                self.made(new);
            }
            acted
        });
        let acted = acted.await;
        self.answered(acted).await
    }

    async fn wait(&self, id: &str, until: &Until) -> Result<Outcome, EngineError> {
        self.wire.call("wait", || ()).await;
        let outcome = self.engine.wait(id, until).await;
        self.wire.call("waited", || ()).await;
        self.answered(outcome).await
    }

    async fn tail(&self, id: &str, lines: u32) -> Vec<u8> {
        self.engine.tail(id, lines).await
    }

    async fn probes(&self, id: &str) -> Vec<Probed> {
        self.engine.probes(id).await
    }

    async fn mounted(&self) -> Result<BTreeSet<PathBuf>, EngineError> {
        self.engine.mounted().await
    }

    fn away(&self) -> Option<String> {
        None
    }

    async fn processors(&self) -> usize {
        2
    }
}
