//! Stopping, restarting and deleting a stack: dependents first, and no definition needed to stop or delete.

use std::collections::{BTreeMap, BTreeSet};

use orrery_contracts::Plan;
use orrery_queue::{RunError, StepDone, StepRecord, StepSpec};

use super::before::{self, Before};
use super::farewell::failure;
use super::ledger::Ledger;
use super::site::{Halt, Site};
use super::{Apply, back, cleanup, resume};
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
    let Some(before) = stop_noting(site, identity).await? else { return Ok((BTreeSet::new(), "nothing to do".to_owned())) };
    let ids = before.up();
    let summary = format!("containers: {} stopped", ids.len());
    Ok((ids, summary))
}

/// Stops every container, and answers what ran before; none where nothing does.
async fn stop_noting<E: Engine, L: Ledger>(site: &Site<'_, E, L>, identity: &Identity) -> Result<Option<Before>, RunError> {
    let before = resume::take_up(site, identity).await?;
    let observed = look(site, identity, before.is_some()).await?;
    let shown = stop_plan(&observed);
    if shown.empty && before.is_none() {
        return Ok(None);
    }
    bring_to_rest(site, identity, before, &observed, &shown).await.map(Some)
}

/// Stops everything, and answers what ran before; when it cannot be done, that runs again.
async fn bring_to_rest<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    identity: &Identity,
    before: Option<Before>,
    observed: &Observed,
    shown: &Plan,
) -> Result<Before, RunError> {
    let shown = site.show(shown).await;
    run_back(site, identity, before.as_ref(), shown).await?;
    let before = match before {
        Some(before) => before,
        None => note(site, observed, identity).await?,
    };
    match stop_all(site, observed).await {
        Err(Halt::Replan) => Err(RunError::failed("unstable", "the engine changes while the stack is being stopped")),
        stopped => run_back(site, identity, Some(&before), run_error(stopped)).await.map(|()| before),
    }
}

/// A failure or a cancel has all that ran before run again.
async fn run_back<T, E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    identity: &Identity,
    before: Option<&Before>,
    result: Result<T, RunError>,
) -> Result<T, RunError> {
    match (result, before) {
        (Err(error @ (RunError::Failed(_) | RunError::Cancelled)), Some(before)) => {
            Err(back::bring_back(site, identity, before, error).await)
        }
        (result, _) => result,
    }
}

/// Looks at the stack. A run that was taken up looks also when it was cancelled meanwhile: it has something to bring back.
async fn look<E: Engine, L: Ledger>(site: &Site<'_, E, L>, identity: &Identity, taken_up: bool) -> Result<Observed, RunError> {
    let scope = scope(identity);
    run_error(if taken_up { site.observe_regardless(&scope).await } else { site.observe(&scope).await })
}

/// Stops everything that runs, then starts the version in order.
///
/// # Errors
/// Why it could not be done; then what ran before runs again.
pub async fn restart<E: Engine, L: Ledger>(site: &Site<'_, E, L>, apply: &Apply<'_>) -> Result<String, RunError> {
    let identity = &apply.desired.identity;
    let stopped = site.ledger().earlier().iter().find(|step| step.action == ALL_STOPPED && step.state != orrery_queue::StepState::Open);
    let (ids, before) = match stopped.map(|step| &step.state) {
        Some(orrery_queue::StepState::Ended { output: Some(output), .. }) => {
            (serde_json::from_value(output.clone()).unwrap_or_default(), None)
        }
        Some(orrery_queue::StepState::Ended { output: None, .. } | orrery_queue::StepState::Open) | None => {
            let before = stop_noting(site, identity).await?;
            let ids = before.as_ref().map(Before::up).unwrap_or_default();
            let done = StepDone::done("").with_output(serde_json::to_value(&ids).unwrap_or_default());
            let step = StepSpec::new(ALL_STOPPED, &identity.project);
            let written = site.ledger().step(step, false, Box::new(|_| Box::pin(async { Ok(done) }))).await;
            run_back(site, identity, before.as_ref(), written).await?;
            (ids, before)
        }
    };
    let started = Apply { stopped: ids, pulled: BTreeMap::new(), context: apply.context, should_run: true, refresh: false, ..*apply };
    super::apply_after(site, &started, before).await
}

/// Stops everything, then removes every container and network, and the volumes too when told. Until everything has stopped
/// a failure or a cancel has all run again; from then on there is no way back, and a cancel comes too late. `stopped` are
/// containers that a stop stopped.
///
/// # Errors
/// Why it could not be done; what is removed stays removed.
pub async fn delete<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    identity: &Identity,
    stopped: &BTreeSet<String>,
    volumes: bool,
) -> Result<String, RunError> {
    let before = resume::take_up(site, identity).await?;
    let committed = cleanup::committed(site);
    let observed = look(site, identity, before.is_some() || committed).await?;
    let shown = delete_plan(&observed, volumes);
    if !committed && (!shown.empty || before.is_some()) {
        let before = bring_to_rest(site, identity, before, &observed, &shown).await?;
        let commit = cleanup::commit(site, identity, "everything has stopped; what is removed now stays removed").await;
        run_back(site, identity, Some(&before), run_error(commit)).await?;
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
        let removals = layer.into_iter().map(|seen| site.remove_with(seen, failure(seen, by_us(seen)), volumes));
        for result in futures::future::join_all(removals).await {
            result?;
        }
    }
    for name in stack.networks {
        site.act_back(name, Act::RemoveNetwork { name: name.to_owned() }).await?;
    }
    for name in stack.volumes.iter().filter(|_| volumes) {
        site.act_back(name, Act::RemoveVolume { name: (*name).to_owned() }).await?;
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
