//! Stopping, restarting and deleting a stack: dependents first, and no definition needed to stop or delete.

use std::collections::{BTreeMap, BTreeSet};

use orrery_queue::{RunError, StepDone, StepRecord, StepSpec};

use super::before::{self, Before};
use super::farewell::failure;
use super::ledger::Ledger;
use super::site::{Halt, Site};
use super::{Apply, back, resume};
use crate::definition::Identity;
use crate::engine::{Act, Engine, Observed, Scope, Seen};
use crate::plan::{self, delete_plan, layers, stop_plan};

/// The step after which a restart only starts.
const ALL_STOPPED: &str = "stack.stopped";

/// Stops every container. Answers the ids of those that it stopped, and one line for a person.
///
/// # Errors
/// Why it could not be done; then what ran before runs again.
pub async fn stop<E: Engine, L: Ledger>(site: &Site<'_, E, L>, identity: &Identity) -> Result<(BTreeSet<String>, String), RunError> {
    let before = resume::take_up(site, identity).await?;
    let observed = run_error(site.observe(&scope(identity)).await)?;
    let shown = stop_plan(&observed);
    if shown.empty && before.is_none() {
        return Ok((BTreeSet::new(), "nothing to do".to_owned()));
    }
    let before = match (site.show(&shown).await, before) {
        (Ok(()), Some(before)) => before,
        (Ok(()), None) => note(site, &observed, identity).await?,
        (Err(error @ (RunError::Failed(_) | RunError::Cancelled)), Some(before)) => {
            return Err(back::bring_back(site, identity, &before, error).await);
        }
        (Err(error), _) => return Err(error),
    };
    let ids: BTreeSet<String> = before.containers.iter().filter(|was| was.up).map(|was| was.id.clone()).collect();
    match stop_all(site, &observed).await {
        Ok(()) => Ok((ids.clone(), format!("containers: {} stopped", ids.len()))),
        Err(Halt::Replan) => Err(RunError::failed("unstable", "the engine changes while the stack is being stopped")),
        Err(Halt::Run(error @ (RunError::Failed(_) | RunError::Cancelled))) => Err(back::bring_back(site, identity, &before, error).await),
        Err(Halt::Run(error)) => Err(error),
    }
}

/// Stops everything that runs, then starts the version in order.
///
/// # Errors
/// Why it could not be done; then what ran before runs again.
pub async fn restart<E: Engine, L: Ledger>(site: &Site<'_, E, L>, apply: &Apply<'_>) -> Result<String, RunError> {
    let identity = &apply.desired.identity;
    let stopped = site.ledger().earlier().iter().find(|step| step.action == ALL_STOPPED && step.state != orrery_queue::StepState::Open);
    let ids: BTreeSet<String> = match stopped.map(|step| &step.state) {
        Some(orrery_queue::StepState::Ended { output: Some(output), .. }) => serde_json::from_value(output.clone()).unwrap_or_default(),
        Some(orrery_queue::StepState::Ended { output: None, .. } | orrery_queue::StepState::Open) | None => {
            let (ids, _) = stop(site, identity).await?;
            let done = StepDone::done("").with_output(serde_json::to_value(&ids).unwrap_or_default());
            site.ledger().step(StepSpec::new(ALL_STOPPED, &identity.project), false, Box::new(|_| Box::pin(async { Ok(done) }))).await?;
            ids
        }
    };
    let started = Apply { stopped: ids, pulled: BTreeMap::new(), context: apply.context, should_run: true, refresh: false, ..*apply };
    super::apply(site, &started).await
}

/// Removes every container and network, and the volumes too when told. `stopped` are containers that a stop stopped.
///
/// # Errors
/// Why it could not be done; what is removed stays removed.
pub async fn delete<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    identity: &Identity,
    stopped: &BTreeSet<String>,
    volumes: bool,
) -> Result<String, RunError> {
    resume::take_up(site, identity).await?;
    let observed = run_error(site.observe(&scope(identity)).await)?;
    let shown = delete_plan(&observed, volumes);
    if !shown.empty {
        site.show(&shown).await?;
    }
    run_error(remove_all(site, &observed, stopped, volumes).await)?;
    let gone = format!("{} containers removed", observed.containers.len());
    let kept = observed.volumes.iter().filter(|(_, seen)| (seen.ours || seen.kept) && !volumes).count();
    Ok(if kept == 0 { gone } else { format!("{gone}, {kept} volumes kept") })
}

fn scope(identity: &Identity) -> Scope {
    Scope { identity: identity.clone(), ..Scope::default() }
}

async fn note<E: Engine, L: Ledger>(site: &Site<'_, E, L>, observed: &Observed, identity: &Identity) -> Result<Before, RunError> {
    let before = Before::of(observed, &plan::Leftovers::default(), false, &BTreeSet::new(), identity);
    before::write_down(site, &before).await?;
    Ok(before)
}

async fn stop_all<E: Engine, L: Ledger>(site: &Site<'_, E, L>, observed: &Observed) -> Result<(), Halt> {
    for layer in layers(&observed.containers) {
        let up = layer.into_iter().filter(|seen| seen.state.is_up());
        let stops = up.map(|seen| site.act(&seen.name, Act::Stop { id: seen.id.clone(), grace: None }));
        for result in futures::future::join_all(stops).await {
            result?;
        }
    }
    Ok(())
}

async fn remove_all<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    observed: &Observed,
    stopped: &BTreeSet<String>,
    volumes: bool,
) -> Result<(), Halt> {
    let by_us = |seen: &Seen| stopped.contains(&seen.id) || was_stopped(site.ledger().earlier(), seen);
    let stack = plan::stack_of(observed);
    for layer in stack.layers {
        let removals = layer.into_iter().map(|seen| async {
            if seen.state.is_up() {
                site.act(&seen.name, Act::Stop { id: seen.id.clone(), grace: None }).await?;
            }
            site.remove_with(seen, failure(seen, by_us(seen)), volumes).await
        });
        for result in futures::future::join_all(removals).await {
            result?;
        }
    }
    for name in stack.networks {
        site.act(name, Act::RemoveNetwork { name: name.to_owned() }).await?;
    }
    for name in stack.volumes.iter().filter(|_| volumes) {
        site.act(name, Act::RemoveVolume { name: (*name).to_owned() }).await?;
    }
    Ok(())
}

/// Whether an earlier run of this attempt has stopped a container.
fn was_stopped(earlier: &[StepRecord], seen: &Seen) -> bool {
    earlier.iter().any(|step| step.action == "container.stop" && step.subject == seen.name)
}

fn run_error<T>(result: Result<T, Halt>) -> Result<T, RunError> {
    result.map_err(|halt| match halt {
        Halt::Run(error) => error,
        Halt::Replan => RunError::failed("unstable", "the engine changes while the stack is being worked on; retry"),
    })
}
