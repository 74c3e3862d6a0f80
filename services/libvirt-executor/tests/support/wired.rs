//! The engine in memory at the end of a simulated way, and what may befall its acts.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use orrery_libvirt_executor::engine::{
    Act, Capabilities, Class, Console, DomainEvent, DomainRef, Effect, EngineError, Figures, Hypervisor, MemoryEngine, Observed, Outcome,
    Picture, Say, Scope, Until,
};
use orrery_simulation::{Trap, Wire};
use tokio::sync::broadcast;

/// What befalls the acts on the engine, by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    None,
    /// The process dies at this call, counted from the command's publication.
    Dies(Trap),
    /// This act is made twice.
    Twice(u64),
    /// This act is refused.
    Refused(u64),
}

/// The engine in memory, at the end of a wire.
pub struct Wired {
    pub engine: Arc<MemoryEngine>,
    pub wire: Arc<Wire>,
    pub mischief: Mischief,
    /// Counts the acts.
    pub acts: Arc<AtomicU64>,
}

impl Wired {
    async fn made(&self, act: &Act, say: Say<'_>) -> Result<Effect, EngineError> {
        // Asking a guest to end takes its time, in which a process may die as well.
        if matches!(act, Act::Shutdown { .. }) {
            self.wire.call(act.word(), || ()).await;
            let effect = self.engine.act(act, say).await;
            self.wire.call("has ended", || ()).await;
            return effect;
        }
        self.wire.call(act.word(), || self.engine.act_now(act)).await
    }
}

impl Hypervisor for Wired {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        Ok(self.wire.call("observe", || self.engine.observe_now(scope)).await)
    }

    async fn act(&self, act: &Act, say: Say<'_>) -> Result<Effect, EngineError> {
        let number = self.acts.fetch_add(1, Ordering::Relaxed);
        self.wire.must_not_know(act.word());
        if self.mischief == Mischief::Refused(number) {
            return Err(EngineError::new(Class::Refuse, "refused", "the engine does not want to"));
        }
        if self.mischief == Mischief::Twice(number) {
            let _ = self.made(act, say).await;
        }
        self.made(act, say).await
    }

    async fn wait(&self, domain: DomainRef, until: Until, deadline: Duration) -> Result<Outcome, EngineError> {
        self.wire.call("wait", || ()).await;
        let outcome = self.engine.wait(domain, until, deadline).await;
        self.wire.call("waited", || ()).await;
        outcome
    }

    async fn figures(&self, domains: &[DomainRef]) -> Result<Vec<Figures>, EngineError> {
        self.engine.figures(domains).await
    }

    async fn console(&self, domain: DomainRef) -> Result<Console, EngineError> {
        self.wire.call("console", || ()).await;
        self.engine.console(domain).await
    }

    async fn screenshot(&self, domain: DomainRef) -> Result<Picture, EngineError> {
        self.engine.screenshot(domain).await
    }

    async fn graphics(&self, domain: DomainRef) -> Result<OwnedFd, EngineError> {
        self.engine.graphics(domain).await
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        self.wire.call("capabilities", || ()).await;
        self.engine.capabilities().await
    }

    fn events(&self) -> broadcast::Receiver<DomainEvent> {
        self.engine.events()
    }

    fn away(&self) -> Option<String> {
        None
    }
}
