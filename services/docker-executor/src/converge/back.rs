//! The way back: what the command made goes, and everything that ran before runs again.

use orrery_contracts::Failure;
use orrery_queue::RunError;

use super::before::{Before, Was, limits};
use super::farewell::failure;
use super::ledger::Ledger;
use super::service::update_body;
use super::site::{Halt, Site};
use crate::definition::{Facts, Identity};
use crate::engine::{Act, Engine, Observed, Scope, Seen};
use crate::plan::layers;

/// Brings everything back, and answers the error with what became of that.
pub(super) async fn bring_back<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    identity: &Identity,
    before: &Before,
    error: RunError,
) -> RunError {
    let mut trouble = Vec::new();
    let outcome = way_back(site, identity, before, &mut trouble).await;
    match outcome {
        Err(Halt::Run(stop @ (RunError::Stale | RunError::ShuttingDown | RunError::BrokerAway))) => return stop,
        Err(Halt::Run(RunError::Failed(failure))) => trouble.push(failure.message),
        Err(Halt::Run(RunError::Cancelled) | Halt::Replan) | Ok(()) => {}
    }
    match error {
        RunError::Failed(failure) => {
            let ran = before.containers.iter().any(|was| was.up);
            let message = match (trouble.is_empty(), ran) {
                (true, true) => format!("{}. What ran before runs again.", failure.message),
                (true, false) => failure.message,
                (false, _) => format!("{}. Not everything that ran before could be brought back: {}", failure.message, trouble.join("; ")),
            };
            RunError::Failed(Failure { message, ..failure })
        }
        other @ (RunError::Cancelled | RunError::Stale | RunError::ShuttingDown | RunError::BrokerAway) => other,
    }
}

async fn way_back<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    identity: &Identity,
    before: &Before,
    trouble: &mut Vec<String>,
) -> Result<(), Halt> {
    let scope = Scope { identity: identity.clone(), ..Scope::default() };
    let observed = observe(site, &scope).await?;
    let made = |seen: &Seen| seen.command == identity.command && !before.containers.iter().any(|was| was.id == seen.id);
    for layer in layers(&observed.containers) {
        for seen in layer.into_iter().filter(|seen| made(seen)) {
            if seen.state.is_up() {
                bear(site.act_back(&seen.name, Act::Stop { id: seen.id.clone(), grace: None }).await.map(drop), trouble)?;
            }
            bear(site.remove_back(seen, failure(seen, false)).await, trouble)?;
        }
    }
    restore(site, &observed, before, trouble).await?;
    for (name, _) in observed.networks.iter().filter(|(_, seen)| seen.ours && seen.command == identity.command) {
        bear(site.act_back(name, Act::RemoveNetwork { name: name.clone() }).await.map(drop), trouble)?;
    }
    Ok(())
}

/// Dependencies first: names, limits, and whether it is up.
async fn restore<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    observed: &Observed,
    before: &Before,
    trouble: &mut Vec<String>,
) -> Result<(), Halt> {
    let mut ordered: Vec<&Seen> = layers(&observed.containers).into_iter().flatten().collect();
    ordered.reverse();
    for was in before.containers.iter().filter(|was| observed.container(&was.id).is_none()) {
        trouble.push(format!("{} is gone", was.name));
    }
    let pairs: Vec<(&Seen, &Was)> =
        ordered.iter().filter_map(|seen| Some((*seen, before.containers.iter().find(|was| was.id == seen.id)?))).collect();
    for (seen, was) in &pairs {
        if seen.state.is_up() && !was.up {
            bear(site.act_back(&was.name, Act::Stop { id: was.id.clone(), grace: None }).await.map(drop), trouble)?;
        }
    }
    for (seen, was) in pairs {
        if seen.name != was.name {
            bear(site.act_back(&seen.name, Act::Rename { id: was.id.clone(), to: was.name.clone() }).await.map(drop), trouble)?;
        }
        if limits(seen) != was.limits {
            let mut facts = Facts::default();
            for (path, value) in &was.limits {
                facts.set(path, value.clone());
            }
            bear(
                site.act_back(&was.name, Act::Update { id: was.id.clone(), body: Box::new(update_body(&facts)) }).await.map(drop),
                trouble,
            )?;
        }
        if was.up && !seen.state.is_up() {
            bear(site.act_back(&was.name, Act::Start { id: was.id.clone() }).await.map(drop), trouble)?;
        }
    }
    Ok(())
}

/// A failure on the way back is told and does not keep the rest from being brought back.
fn bear(result: Result<(), Halt>, trouble: &mut Vec<String>) -> Result<(), Halt> {
    match result {
        Err(Halt::Run(RunError::Failed(failure))) => {
            trouble.push(failure.message);
            Ok(())
        }
        Err(Halt::Replan) => Ok(()),
        other => other,
    }
}

/// Looks although the run was interrupted: this is the way back.
async fn observe<E: Engine, L: Ledger>(site: &Site<'_, E, L>, scope: &Scope) -> Result<Observed, Halt> {
    site.observe_regardless(scope).await
}
