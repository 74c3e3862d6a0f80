//! Taking a command up again after its executor died: each step that was begun and not ended is looked at and settled,
//! and the work goes on from what is found.

use std::collections::BTreeSet;

use orrery_contracts::StepOutcome;
use orrery_queue::{RunError, StepRecord, StepState};

use super::before::Before;
use super::ledger::Ledger;
use super::site::{Halt, Site};
use crate::definition::Identity;
use crate::engine::hooks::{self, Moment};
use crate::engine::{Engine, Observed, Scope};

/// Settles what earlier runs left open. Answers what ran before the attempt, when a run got so far as to write it down.
/// A cancel that came meanwhile is seen by what follows, which knows the way back.
pub(super) async fn take_up<E: Engine, L: Ledger>(site: &Site<'_, E, L>, identity: &Identity) -> Result<Option<Before>, RunError> {
    if !site.ledger().resumed() {
        return Ok(None);
    }
    let open: Vec<&StepRecord> = site.ledger().earlier().iter().filter(|step| step.state == StepState::Open).collect();
    if !open.is_empty() {
        let scope = Scope { identity: identity.clone(), images: images(&open), ..Scope::default() };
        let observed = match site.observe_regardless(&scope).await {
            Ok(observed) => observed,
            Err(Halt::Run(error)) => return Err(error),
            Err(Halt::Replan) => Observed::default(),
        };
        for step in open {
            let (outcome, detail) = settle(step, &observed, identity);
            site.ledger().settle(step.n, outcome, detail).await?;
        }
    }
    Ok(Before::read(site.ledger().earlier()))
}

fn images(open: &[&StepRecord]) -> BTreeSet<String> {
    open.iter().filter(|step| step.action.starts_with("image.")).map(|step| step.subject.clone()).collect()
}

fn settle(step: &StepRecord, observed: &Observed, identity: &Identity) -> (StepOutcome, &'static str) {
    let named = observed.named(&step.subject);
    let made = match step.action.as_str() {
        "container.create" => named.is_some_and(|seen| seen.command == identity.command && seen.lacks.is_empty()),
        // Whether its hooks have run, nobody can see: they run again.
        "container.start" => named.is_some_and(|seen| seen.state.is_up() && hooks::of_facts(&seen.facts, Moment::PostStart).is_empty()),
        "container.stop" => named.is_none_or(|seen| !seen.state.is_up()),
        "container.remove" => named.is_none(),
        "network.create" => observed.networks.contains_key(&step.subject),
        "network.remove" => !observed.networks.contains_key(&step.subject),
        "volume.create" => observed.volumes.contains_key(&step.subject),
        "volume.remove" => !observed.volumes.contains_key(&step.subject),
        "image.pull" | "image.build" => observed.images.contains_key(&step.subject),
        _ => false,
    };
    if made { (StepOutcome::FoundDone, "found done") } else { (StepOutcome::Skipped, "not found done; done again if it is still needed") }
}
