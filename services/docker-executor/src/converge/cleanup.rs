//! What goes once every gate has passed, and what broken commands left behind. From here on there is no way back, so
//! something that cannot be removed is told and left to the next look, and fails nothing.

use std::collections::BTreeSet;

use orrery_queue::{RunError, StepDone, StepSpec, StepState};

use super::before::Before;
use super::farewell::failure;
use super::ledger::Ledger;
use super::site::{Halt, Site};
use crate::definition::Identity;
use crate::engine::{Act, Engine, Observed};
use crate::plan::{Leftovers, SlotAction, SlotWork, Todo};

/// The step after which there is no way back.
const COMMITTED: &str = "stack.settled";

/// Whether an earlier run of this attempt has passed the point of no return.
pub(super) fn committed<E: Engine, L: Ledger>(site: &Site<'_, E, L>) -> bool {
    site.ledger().earlier().iter().any(|step| step.action == COMMITTED && step.state != StepState::Open)
}

/// Whether something goes.
pub(super) fn needed(todo: &Todo) -> bool {
    !todo.removals.is_empty() || !todo.stale_networks.is_empty() || todo.slots.iter().any(|slot| slot.what == SlotAction::Replace)
}

/// Writes down that there is no way back from here, before anything goes that would be needed on it.
pub(super) async fn commit<E: Engine, L: Ledger>(site: &Site<'_, E, L>, identity: &Identity, why: &str) -> Result<(), Halt> {
    let done = StepDone::done(why);
    site.ledger().step(StepSpec::new(COMMITTED, &identity.project), false, Box::new(|_| Box::pin(async { Ok(done) }))).await?;
    Ok(())
}

/// What was left to remove when an earlier run died behind the point of no return: only the places that are finished.
pub(super) fn finished(todo: &Todo, observed: &Observed) -> Todo {
    let in_place =
        |slot: &&SlotWork| slot.fresh.as_ref().and_then(|id| observed.container(id)).is_some_and(|fresh| fresh.name == slot.name);
    Todo { slots: todo.slots.iter().filter(in_place).cloned().collect(), ..todo.clone() }
}

/// Removes what was replaced and what the version does not have. A cancel does not stop it any more: the new version
/// runs already.
pub(super) async fn after<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    observed: &Observed,
    todo: &Todo,
    before: Option<&Before>,
) -> Result<(), Halt> {
    let replaced = todo.slots.iter().filter(|slot| slot.what == SlotAction::Replace).filter_map(|slot| slot.current.clone());
    let removed = todo.removals.iter().map(|removal| removal.id.clone());
    let all: BTreeSet<String> = replaced.chain(removed).collect();
    for layer in crate::plan::layers(&observed.containers) {
        let going = layer.into_iter().filter(|seen| all.contains(&seen.id));
        let work = going.map(|seen| async {
            if seen.state.is_up() && todo.removals.iter().any(|removal| removal.id == seen.id) {
                forgiving(site.act_back(&seen.name, Act::Stop { id: seen.id.clone(), grace: None }).await.map(drop))?;
            }
            let failed = before.map_or_else(|| failure(seen, false), |before| before.failure(seen));
            forgiving(site.remove_back(seen, failed).await)
        });
        futures::future::try_join_all(work).await?;
    }
    for name in &todo.stale_networks {
        forgiving(site.act_back(name, Act::RemoveNetwork { name: name.clone() }).await.map(drop))?;
    }
    Ok(())
}

fn forgiving(result: Result<(), Halt>) -> Result<(), Halt> {
    match result {
        Err(Halt::Run(RunError::Failed(failure))) => {
            tracing::warn!(code = %failure.code, "something that is not needed any more stays: {}", failure.message);
            Ok(())
        }
        other => other,
    }
}

/// Puts right what commands that broke off left behind.
pub(super) async fn put_right<E: Engine, L: Ledger>(site: &Site<'_, E, L>, observed: &Observed, left: &Leftovers) -> Result<(), Halt> {
    for seen in left.remove.iter().filter_map(|(id, _)| observed.container(id)) {
        site.act(&seen.name, Act::Stop { id: seen.id.clone(), grace: None }).await?;
        site.remove(seen, failure(seen, false)).await?;
    }
    for (id, now, name) in &left.rename {
        site.act(now, Act::Rename { id: id.clone(), to: name.clone() }).await?;
    }
    Ok(())
}
