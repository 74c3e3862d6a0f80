//! One service on its way up: it waits for what it depends on, then each of its containers is swapped, started or left
//! as it is, and has to pass its gate. What holds already is not waited for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bollard::models::{ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use orrery_compose::model::Condition;
use orrery_contracts::Health;
use orrery_queue::RunError;
use tokio::sync::Notify;

use super::ledger::Ledger;
use super::site::{Halt, Site};
use super::swap::Stage;
use crate::definition::identity::OLD;
use crate::definition::{ContainerSpec, Desired, Facts, ServiceSpec};
use crate::engine::hooks::{self, Moment};
use crate::engine::{Act, Engine, Seen, State, Until};
use crate::plan::{SlotAction, SlotWork};

/// How far a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stride {
    Waiting,
    Started,
    Ready,
    Failed,
}

/// How far every service is, for those that wait for it. They wake in the order in which they came.
pub(super) struct Signals(HashMap<String, (Mutex<Stride>, Notify)>);

impl Signals {
    pub(super) fn new(desired: &Desired) -> Self {
        Self(desired.services.keys().map(|name| (name.clone(), (Mutex::new(Stride::Waiting), Notify::new()))).collect())
    }

    fn say(&self, service: &str, stride: Stride) {
        if let Some((now, changed)) = self.0.get(service) {
            *now.lock().unwrap_or_else(PoisonError::into_inner) = stride;
            changed.notify_waiters();
        }
    }

    /// Resolves when the service has come so far; false when it never will.
    async fn reached(&self, service: &str, stride: Stride) -> bool {
        let Some((now, changed)) = self.0.get(service) else { return true };
        loop {
            let mut heard = std::pin::pin!(changed.notified());
            heard.as_mut().enable();
            let reached = *now.lock().unwrap_or_else(PoisonError::into_inner);
            if reached >= stride {
                return reached != Stride::Failed;
            }
            heard.await;
        }
    }
}

pub(super) struct Bringing<'a, E, L> {
    pub(super) site: &'a Site<'a, E, L>,
    pub(super) stage: &'a Stage<'a>,
    pub(super) signals: &'a Signals,
    pub(super) service: &'a ServiceSpec,
}

impl<E: Engine, L: Ledger> Bringing<'_, E, L> {
    pub(super) async fn up(self) -> Result<(), Halt> {
        let result = self.bring().await;
        let stride = if result.is_ok() { Stride::Ready } else { Stride::Failed };
        self.signals.say(&self.service.name, stride);
        if result.is_err() {
            self.site.abort();
        }
        result
    }

    async fn bring(&self) -> Result<(), Halt> {
        let slots: Vec<&SlotWork> = self.stage.todo.slots.iter().filter(|slot| slot.service == self.service.name).collect();
        let idle = slots.iter().all(|slot| slot.what == SlotAction::Keep);
        if !idle {
            self.dependencies().await?;
        }
        let (rolling, together): (Vec<_>, Vec<_>) = slots.into_iter().partition(|slot| slot.what == SlotAction::Replace);
        try_join_all(together.iter().map(|slot| self.start(slot))).await?;
        if rolling.is_empty() {
            self.signals.say(&self.service.name, Stride::Started);
        }
        try_join_all(together.iter().map(|slot| self.pass(slot))).await?;
        self.roll(&rolling).await
    }

    /// Swaps so many at once; with a pause between them, one group after another.
    async fn roll(&self, rolling: &[&SlotWork]) -> Result<(), Halt> {
        let at_once = usize::try_from(self.service.parallelism).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
        if self.service.delay.is_zero() {
            let swaps: Vec<_> = rolling.iter().map(|slot| self.swap(slot)).collect();
            return stream::iter(swaps).buffer_unordered(at_once).try_collect().await;
        }
        let mut groups = rolling.chunks(at_once).peekable();
        while let Some(group) = groups.next() {
            try_join_all(group.iter().map(|slot| self.swap(slot))).await?;
            if groups.peek().is_some() {
                self.pause().await?;
            }
        }
        Ok(())
    }

    /// The pause between two swaps, unless there is a reason to stop.
    async fn pause(&self) -> Result<(), Halt> {
        let aborted = self.site.aborting();
        tokio::select! {
            biased;
            reason = self.site.ledger().interrupted() => Err(reason.into()),
            () = aborted.cancelled() => Err(Halt::Run(RunError::Cancelled)),
            () = tokio::time::sleep(self.service.delay) => Ok(()),
        }
    }

    /// Waits for what this service depends on, as far as it is of this version.
    async fn dependencies(&self) -> Result<(), Halt> {
        for need in &self.service.needs {
            let stride = if need.condition == Condition::ServiceStarted { Stride::Started } else { Stride::Ready };
            let fine = tokio::select! {
                biased;
                fine = self.signals.reached(&need.service, stride) => fine,
                reason = self.site.ledger().interrupted() => return Err(reason.into()),
            };
            if !fine && need.required {
                return Err(Halt::Run(RunError::Cancelled));
            }
        }
        if self.site.aborted() { Err(Halt::Run(RunError::Cancelled)) } else { Ok(()) }
    }

    fn spec(&self, slot: &SlotWork) -> Option<&ContainerSpec> {
        self.service.containers.iter().find(|spec| spec.number == slot.number)
    }

    fn id(&self, slot: &SlotWork) -> Result<&str, Halt> {
        self.stage.ids.get(&(slot.service.clone(), slot.number)).map(String::as_str).ok_or(Halt::Replan)
    }

    fn seen(&self, id: Option<&String>) -> Option<&Seen> {
        self.stage.observed.container(id?)
    }

    /// Everything but a swap, up to the start.
    async fn start(&self, slot: &SlotWork) -> Result<(), Halt> {
        let id = self.id(slot)?.to_owned();
        match slot.what {
            SlotAction::Keep | SlotAction::Replace => Ok(()),
            SlotAction::Create | SlotAction::Start => self.ensure_up(&slot.name, &id).await,
            SlotAction::Restart => {
                self.site.act(&slot.name, Act::Stop { id: id.clone(), grace: None }).await?;
                self.site.act(&slot.name, Act::Start { id }).await.map(drop)
            }
            SlotAction::Update => {
                if let Some(body) = self.spec(slot).map(|spec| update_body(&spec.facts)) {
                    self.site.act(&slot.name, Act::Update { id: id.clone(), body: Box::new(body) }).await?;
                }
                self.ensure_up(&slot.name, &id).await
            }
        }
    }

    async fn ensure_up(&self, name: &str, id: &str) -> Result<(), Halt> {
        let there = self.stage.observed.container(id);
        let up = there.is_some_and(|seen| matches!(seen.state, State::Running | State::Restarting));
        let finished = self.service.may_finish
            && there.is_some_and(|seen| {
                seen.state == State::Exited && seen.exit_code == 0 && seen.command == self.stage.desired.identity.command
            });
        if (up && !self.hooks_run_again(name, there)) || finished {
            return Ok(());
        }
        self.site.act(name, Act::Start { id: id.to_owned() }).await.map(drop)
    }

    /// Whether its start was broken off, and it has hooks.
    fn hooks_run_again(&self, name: &str, there: Option<&Seen>) -> bool {
        let hooked = there.is_some_and(|seen| !hooks::of_facts(&seen.facts, Moment::PostStart).is_empty());
        hooked && self.site.unhooked().contains(name)
    }

    /// The gate of a container that was not swapped, and its name.
    async fn pass(&self, slot: &SlotWork) -> Result<(), Halt> {
        let id = self.id(slot)?.to_owned();
        if self.holds_already(slot, &id) {
            return Ok(());
        }
        self.site.gate(&slot.name, &id, &self.until()).await?;
        if slot.what == SlotAction::Create { self.name(slot, &id).await } else { Ok(()) }
    }

    fn until(&self) -> Until {
        let awaited_end = self.stage.desired.services.values().any(|other| {
            let waits = |need: &crate::definition::Need| {
                need.service == self.service.name && need.condition == Condition::ServiceCompletedSuccessfully
            };
            other.needs.iter().any(waits)
        });
        if awaited_end { Until::Finished } else { Until::Ready { stable: self.service.stable, may_finish: self.service.may_finish } }
    }

    /// A container that is left as it is has to pass only where somebody waits for what it is not yet.
    fn holds_already(&self, slot: &SlotWork, id: &str) -> bool {
        if slot.what != SlotAction::Keep {
            return false;
        }
        let Some(seen) = self.stage.observed.container(id) else { return false };
        let working: Vec<&str> =
            self.stage.todo.slots.iter().filter(|slot| slot.what != SlotAction::Keep).map(|slot| slot.service.as_str()).collect();
        let awaited = |condition: Condition| {
            let waits = |other: &ServiceSpec| {
                working.contains(&other.name.as_str())
                    && other.needs.iter().any(|need| need.service == self.service.name && need.condition == condition)
            };
            self.stage.desired.services.values().any(waits)
        };
        let healthy = matches!(seen.health, Health::Healthy | Health::None) && seen.state == State::Running;
        let finished = seen.state == State::Exited && seen.exit_code == 0;
        (!awaited(Condition::ServiceHealthy) || healthy) && (!awaited(Condition::ServiceCompletedSuccessfully) || finished)
    }

    /// The new container takes the old one's place; the old one stays, stopped, until everything has passed.
    async fn swap(&self, slot: &SlotWork) -> Result<(), Halt> {
        let new = self.id(slot)?.to_owned();
        let old = self.seen(slot.current.as_ref());
        let name = self
            .seen(slot.fresh.as_ref())
            .map_or_else(|| format!("{}{}", slot.name, crate::definition::identity::NEW), |fresh| fresh.name.clone());
        if !self.service.start_first {
            self.stop_old(old).await?;
        }
        self.ensure_up(&name, &new).await?;
        self.site.gate(&name, &new, &self.until()).await?;
        if self.service.start_first {
            self.stop_old(old).await?;
        }
        if let Some(old) = old.filter(|old| !old.name.ends_with(OLD)) {
            let aside = format!("{}{OLD}", old.name);
            self.site.act(&old.name, Act::Rename { id: old.id.clone(), to: aside }).await?;
        }
        self.name(slot, &new).await
    }

    async fn stop_old(&self, old: Option<&Seen>) -> Result<(), Halt> {
        let Some(old) = old.filter(|old| old.state.is_up() && !self.stage.early.contains(&old.id)) else { return Ok(()) };
        self.site.act(&old.name, Act::Stop { id: old.id.clone(), grace: None }).await.map(drop)
    }

    /// A container gets the name of its place, where it has another one.
    async fn name(&self, slot: &SlotWork, id: &str) -> Result<(), Halt> {
        let there = self.stage.observed.container(id);
        let made_aside = slot.current.is_some() || self.stage.observed.named(&slot.name).is_some_and(|seen| seen.id != id);
        let has_it = there.map_or(!made_aside, |seen| seen.name == slot.name);
        if has_it {
            return Ok(());
        }
        let holder = self.stage.observed.named(&slot.name).filter(|seen| seen.id != id && Some(&seen.id) != slot.current.as_ref());
        if let Some(holder) = holder {
            let aside = format!("{}{OLD}", holder.name);
            self.site.act(&holder.name, Act::Rename { id: holder.id.clone(), to: aside }).await?;
        }
        let from = format!("{}{}", slot.name, crate::definition::identity::NEW);
        self.site.act(&from, Act::Rename { id: id.to_owned(), to: slot.name.clone() }).await.map(drop)
    }
}

/// What can be changed in place, as the engine takes it.
pub(super) fn update_body(facts: &Facts) -> ContainerUpdateBody {
    let number = |path: &str| facts.get(path).and_then(serde_json::Value::as_i64);
    ContainerUpdateBody {
        memory: number("mem_limit"),
        memory_reservation: number("mem_reservation"),
        // A swap limit below the new memory limit would be refused; the engine's own rule is twice the memory.
        memory_swap: number("memswap_limit").or_else(|| number("mem_limit").map(|limit| limit.saturating_mul(2))),
        nano_cpus: number("cpus"),
        cpu_shares: number("cpu_shares"),
        cpu_quota: number("cpu_quota"),
        cpu_period: number("cpu_period"),
        cpuset_cpus: facts.get("cpuset").and_then(serde_json::Value::as_str).map(str::to_owned),
        pids_limit: number("pids_limit"),
        blkio_weight: number("blkio_config.weight").and_then(|weight| u16::try_from(weight).ok()),
        restart_policy: Some(restart_policy(facts.get("restart").and_then(serde_json::Value::as_str))),
        ..ContainerUpdateBody::default()
    }
}

fn restart_policy(text: Option<&str>) -> RestartPolicy {
    let (name, count) = match text.and_then(|text| text.split_once(':')) {
        Some((name, count)) => (Some(name), count.parse().ok()),
        None => (text, None),
    };
    let name = match name {
        Some("always") => RestartPolicyNameEnum::ALWAYS,
        Some("unless-stopped") => RestartPolicyNameEnum::UNLESS_STOPPED,
        Some("on-failure") => RestartPolicyNameEnum::ON_FAILURE,
        Some(_) | None => RestartPolicyNameEnum::NO,
    };
    RestartPolicy { name: Some(name), maximum_retry_count: count }
}
