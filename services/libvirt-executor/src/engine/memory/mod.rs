//! libvirt in memory: the same answers as the real one as far as convergence can tell, proved by the conformance suite that
//! both pass. What a guest does is set by [`MemoryEngine::behave`]; what befalls the engine, by its failpoints.

mod holdings;
mod looks;
mod streams;
mod world;

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use orrery_contracts::ProgressLine;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;
use uuid::Uuid;

use self::world::{Kept, World};
use super::error::EngineError;
use super::events::{Change, DomainEvent, EventHub};
use super::gate::{Glimpse, Outcome, Until, Verdict, judge};
use super::observed::{Accelerator, Capabilities, DiskTraffic, Figures, HostSize, Observed, Scope, SnapshotKinds, State};
use super::{Act, Console, DomainRef, Effect, Hypervisor, Kind, Picture, Say};

/// How often a guest is asked to end.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What a guest does when it is asked to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// It ends.
    #[default]
    Obeys,
    /// It ends when it has been asked so many times.
    ObeysAt(u32),
    /// It never ends.
    Deaf,
}

/// What goes wrong once, at the next act with a word.
#[derive(Debug)]
enum Failpoint {
    /// It is not done, and this is the answer.
    Fails(EngineError),
    /// It is done, and the answer is lost.
    LosesAnswer,
}

/// libvirt in memory.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    world: Mutex<World>,
    hub: EventHub,
    changed: Notify,
    failpoints: Mutex<Vec<(String, Failpoint)>>,
    away: Mutex<Option<String>>,
}

impl MemoryEngine {
    /// An engine with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was done, one line an act; what was found done is left out.
    #[must_use]
    pub fn acts(&self) -> Vec<String> {
        self.lock().acts.clone()
    }

    /// Everything there is, a line each and sorted, so that two engines can be compared.
    #[must_use]
    pub fn inventory(&self) -> Vec<String> {
        self.lock().inventory()
    }

    /// How a guest behaves from now on.
    pub fn behave(&self, uuid: Uuid, behaviour: Behaviour) {
        self.lock().behaviours.insert(uuid, behaviour);
    }

    /// Whether the next act with this word fails, with nothing done.
    pub fn fail_next(&self, word: &str, error: EngineError) {
        self.failpoints().push((word.to_owned(), Failpoint::Fails(error)));
    }

    /// The next act with this word is done, and its answer lost.
    pub fn lose_answer(&self, word: &str) {
        self.failpoints().push((word.to_owned(), Failpoint::LosesAnswer));
    }

    /// A person's hand: once so many acts were made, this domain is gone.
    pub fn vanish(&self, after: usize, uuid: Uuid) {
        self.lock().vanish = Some((after, uuid));
    }

    /// A person's hand: a domain's definition is edited.
    pub fn edit(&self, uuid: Uuid) {
        if let Some(kept) = self.lock().of(uuid) {
            kept.edits = kept.edits.saturating_add(1);
        }
    }

    /// A guest ends by itself, or crashes.
    pub fn end(&self, uuid: Uuid, crashed: bool) {
        let told = self.lock().of(uuid).map(|kept| {
            (kept.state, kept.reason) = if crashed { (State::Crashed, "panicked") } else { (State::Off, "shutdown") };
            kept.domain
        });
        if let Some(domain) = told {
            self.tell(domain, Change::lifecycle(if crashed { 8 } else { 5 }, 0));
        }
    }

    /// The daemon goes away; every call waits for it.
    pub fn go_away(&self) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = Some("libvirt in memory, which has gone away".to_owned());
        self.hub.tell(DomainEvent::Lost(Kind::Vm));
    }

    /// It is there again.
    pub fn come_back(&self) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.hub.tell(DomainEvent::Connected(Kind::Vm));
    }

    /// What is there, at once.
    #[must_use]
    pub fn observe_now(&self, scope: &Scope) -> Observed {
        self.lock().observe(scope)
    }

    /// One act, at once.
    ///
    /// # Errors
    /// As the engine would answer.
    pub fn act_now(&self, act: &Act) -> Result<Effect, EngineError> {
        self.there()?;
        let failpoint = {
            let mut failpoints = self.failpoints();
            let at = failpoints.iter().position(|(word, _)| word == act.word());
            at.map(|at| failpoints.remove(at).1)
        };
        if let Some(Failpoint::Fails(error)) = failpoint {
            return Err(error);
        }
        let (result, events) = self.lock().act(act);
        for (domain, change) in events {
            self.tell(domain, change);
        }
        match failpoint {
            Some(Failpoint::LosesAnswer) => Err(EngineError::away("the answer was lost")),
            Some(Failpoint::Fails(_)) | None => result,
        }
    }

    fn tell(&self, domain: DomainRef, change: Change) {
        self.hub.tell(DomainEvent::Happened { domain, change });
        self.changed.notify_waiters();
    }

    fn there(&self) -> Result<(), EngineError> {
        self.away().map_or(Ok(()), |away| Err(EngineError::away(away)))
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failpoints(&self) -> MutexGuard<'_, Vec<(String, Failpoint)>> {
        self.failpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A domain that runs, for what only such have.
    fn running(&self, domain: DomainRef) -> Result<Kept, EngineError> {
        self.there()?;
        let kept = self.lock().find(domain)?.clone();
        if !kept.state.is_up() {
            return Err(EngineError::new(super::Class::Replan, "conflict", "Requested operation is not valid: domain is not running"));
        }
        Ok(kept)
    }

    async fn shutdown(&self, domain: DomainRef, grace: Duration) -> Result<Effect, EngineError> {
        let deadline = Instant::now().checked_add(grace).unwrap_or_else(Instant::now);
        for asked in 1_u32.. {
            if Instant::now() >= deadline {
                break;
            }
            let behaviour = {
                let mut world = self.lock();
                let state = world.find(domain)?.state;
                if !state.is_up() {
                    return Ok(if asked == 1 { Effect::found() } else { Effect::done() });
                }
                world.behaviours.get(&domain.uuid).copied().unwrap_or_default()
            };
            let obeys = match behaviour {
                Behaviour::Obeys => true,
                Behaviour::ObeysAt(times) => asked >= times,
                Behaviour::Deaf => false,
            };
            if obeys {
                return self.act_now(&Act::Shutdown { domain, grace });
            }
            let again = Instant::now().checked_add(ASK_AGAIN).unwrap_or(deadline).min(deadline);
            let _ = tokio::time::timeout_at(again, self.wait(domain, Until::Off, ASK_AGAIN)).await;
        }
        let effect = self.act_now(&Act::Destroy { domain })?;
        let why = format!("the guest did not end within {} s, so it was switched off, its disks written out", grace.as_secs());
        Ok(if effect.already { effect } else { effect.but(why) })
    }
}

impl Hypervisor for MemoryEngine {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        self.there()?;
        Ok(self.observe_now(scope))
    }

    async fn act(&self, act: &Act, say: Say<'_>) -> Result<Effect, EngineError> {
        tokio::task::yield_now().await;
        if let Act::Shutdown { domain, grace } = act {
            self.there()?;
            return self.shutdown(*domain, *grace).await;
        }
        let effect = self.act_now(act)?;
        if let Act::Upload { name, size, .. } = act
            && !effect.already
        {
            let (current, total) = (Some(*size), Some(*size));
            say(ProgressLine { text: "Uploading".to_owned(), source: Some(name.clone()), current, total });
        }
        Ok(effect)
    }

    async fn wait(&self, domain: DomainRef, until: Until, deadline: Duration) -> Result<Outcome, EngineError> {
        let over = Instant::now().checked_add(deadline).unwrap_or_else(Instant::now);
        loop {
            let changed = self.changed.notified();
            self.there()?;
            let glimpse = {
                let mut world = self.lock();
                let addressed = !world.addresses(domain).is_empty();
                let kept = world.find(domain)?;
                Glimpse { state: kept.state, reason: kept.reason, addressed, answers: false }
            };
            if let Verdict::Over(outcome) = judge(until, &glimpse) {
                return Ok(outcome);
            }
            if tokio::time::timeout_at(over, changed).await.is_err() {
                return Ok(Outcome::Late);
            }
        }
    }

    async fn figures(&self, domains: &[DomainRef]) -> Result<Vec<Figures>, EngineError> {
        self.there()?;
        let world = self.lock();
        let running = domains.iter().filter_map(|domain| world.domains.get(domain)).filter(|kept| kept.state.is_up());
        Ok(running
            .map(|kept| Figures {
                cpu_time: 1_000_000,
                vcpus: kept.vcpus,
                memory: kept.memory,
                resident: kept.memory,
                disks: (kept.domain.kind == Kind::Vm).then(DiskTraffic::default),
                ..Figures::none(kept.domain)
            })
            .collect())
    }

    async fn console(&self, domain: DomainRef) -> Result<Console, EngineError> {
        Ok(streams::console(&self.running(domain)?.name))
    }

    async fn screenshot(&self, domain: DomainRef) -> Result<Picture, EngineError> {
        streams::has_screen(domain)?;
        self.running(domain).map(|_| streams::picture())
    }

    async fn graphics(&self, domain: DomainRef) -> Result<OwnedFd, EngineError> {
        streams::has_screen(domain)?;
        self.running(domain)?;
        streams::screen()
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        self.there()?;
        Ok(Capabilities {
            host: HostSize { cpus: 2, memory: 4 << 30 },
            version: 9_000_000,
            hypervisor: 7_002_000,
            accelerator: Accelerator::Tcg,
            uefi: true,
            containers: true,
            passt: false,
            snapshots: SnapshotKinds::of(9_000_000),
        })
    }

    fn events(&self) -> broadcast::Receiver<DomainEvent> {
        self.hub.listen()
    }

    fn away(&self) -> Option<String> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
