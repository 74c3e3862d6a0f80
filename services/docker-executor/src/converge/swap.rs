//! The containers of a version, brought up in the order of dependency: everything new is made first, beside what runs;
//! then each service follows its dependencies, independent ones side by side.

use std::collections::BTreeSet;

use futures::stream::{FuturesUnordered, StreamExt};
use orrery_contracts::PublishedPort;
use orrery_queue::RunError;

use super::ledger::Ledger;
use super::make::{self, Ids};
use super::service::{Bringing, Signals};
use super::site::{Halt, Site};
use crate::definition::{ContainerSpec, Desired};
use crate::engine::{Act, Engine, Observed, Seen};
use crate::plan::{SlotAction, Todo};

/// What bringing up works with.
pub(super) struct Stage<'a> {
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    pub(super) todo: &'a Todo,
    pub(super) ids: Ids,
    /// Containers that were stopped early, because another one needs their ports.
    pub(super) early: BTreeSet<String>,
}

pub(super) async fn containers<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    desired: &Desired,
    observed: &Observed,
    todo: &Todo,
) -> Result<(), Halt> {
    if todo.slots.iter().all(|slot| slot.what == SlotAction::Keep) {
        return Ok(());
    }
    site.begin_anew();
    let ids = make::containers(site, desired, observed, todo).await?;
    let early = stop_early(site, desired, observed, todo).await?;
    let stage = Stage { desired, observed, todo, ids, early };
    let signals = Signals::new(desired);
    let mut works: FuturesUnordered<_> =
        desired.services.values().map(|service| Bringing { site, stage: &stage, signals: &signals, service }.up()).collect();
    // All are heard to their end: a step that has begun is never dropped in the middle.
    let mut first = None;
    while let Some(result) = works.next().await {
        if let Err(halt) = result {
            site.abort();
            first = Some(worse(first, halt));
        }
    }
    first.map_or(Ok(()), Err)
}

/// The more telling of two reasons: an error, then a changed engine, then a cancel (which may only be the others' echo).
fn worse(first: Option<Halt>, next: Halt) -> Halt {
    let weight = |halt: &Halt| match halt {
        Halt::Run(RunError::Cancelled) => 0,
        Halt::Replan => 1,
        Halt::Run(RunError::Failed(_)) => 2,
        Halt::Run(RunError::Stale | RunError::ShuttingDown | RunError::BrokerAway) => 3,
    };
    match first {
        Some(first) if weight(&first) >= weight(&next) => first,
        Some(_) | None => next,
    }
}

/// A port that moves from one service to another is free before the other one starts.
async fn stop_early<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    desired: &Desired,
    observed: &Observed,
    todo: &Todo,
) -> Result<BTreeSet<String>, Halt> {
    let mut stopped = BTreeSet::new();
    for seen in observed.containers.iter().filter(|seen| seen.state.is_up() && goes(seen, todo)) {
        if needed_elsewhere(seen, desired, todo) {
            site.act(&seen.name, Act::Stop { id: seen.id.clone(), grace: None }).await?;
            stopped.insert(seen.id.clone());
        }
    }
    Ok(stopped)
}

fn goes(seen: &Seen, todo: &Todo) -> bool {
    let replaced = todo.slots.iter().any(|slot| slot.what == SlotAction::Replace && slot.current.as_ref() == Some(&seen.id));
    replaced || todo.removals.iter().any(|removal| removal.id == seen.id)
}

fn needed_elsewhere(seen: &Seen, desired: &Desired, todo: &Todo) -> bool {
    let starts = todo.slots.iter().filter(|slot| matches!(slot.what, SlotAction::Create | SlotAction::Replace | SlotAction::Start));
    let others = starts.filter(|slot| slot.current.as_ref() != Some(&seen.id));
    let ports = others.filter_map(|slot| desired.services.get(&slot.service)?.containers.iter().find(|spec| spec.number == slot.number));
    let wanted: Vec<PublishedPort> = ports.flat_map(ContainerSpec::published).collect();
    wanted.iter().any(|port| seen.ports.iter().any(|held| crate::plan::collide(port, held)))
}
