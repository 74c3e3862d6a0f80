//! What ran before a command touched anything: written down as the first step of an attempt, and what everything is
//! brought back to when the command cannot be carried out.

use std::collections::{BTreeMap, BTreeSet};

use orrery_queue::{RunError, StepDone, StepRecord, StepSpec, StepState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::farewell::failure;
use super::ledger::Ledger;
use super::site::Site;
use crate::definition::facts::updatable_paths;
use crate::definition::identity::{Identity, settled_name};
use crate::engine::{Engine, Observed, Seen};
use crate::plan::Leftovers;

/// The step that writes it down.
const ACTION: &str = "stack.before";

/// The containers of a stack, as they were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// The stack's project; what the step is about.
    pub project: String,
    /// Each container.
    pub containers: Vec<Was>,
}

/// One container, as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Was {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it was up.
    pub up: bool,
    /// What the engine can change in place.
    pub limits: BTreeMap<String, Value>,
    /// How it had failed, where it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Before {
    /// The ids of what ran.
    pub(super) fn up(&self) -> BTreeSet<String> {
        self.containers.iter().filter(|was| was.up).map(|was| was.id.clone()).collect()
    }

    /// What there is now, without what broken commands left. What they stopped counts as up when the stack should run, and
    /// neither that nor what a stop stopped has failed.
    #[must_use]
    pub fn of(observed: &Observed, left: &Leftovers, should_run: bool, stopped: &BTreeSet<String>, identity: &Identity) -> Self {
        let goes = |seen: &&Seen| left.remove.iter().any(|(id, _)| *id == seen.id);
        let was = |seen: &Seen| Was {
            id: seen.id.clone(),
            name: settled_name(&seen.name).to_owned(),
            up: seen.state.is_up() || (should_run && left.ran.contains(&seen.id)),
            limits: limits(seen),
            failed: failure(seen, left.ran.contains(&seen.id) || stopped.contains(&seen.id)),
        };
        let containers = observed.containers.iter().filter(|seen| !goes(seen)).map(was).collect();
        Self { project: identity.project.clone(), containers }
    }

    /// How a container had failed before the command began; one that was not there then is judged by what is seen of it.
    pub(super) fn failure(&self, seen: &Seen) -> Option<String> {
        match self.containers.iter().find(|was| was.id == seen.id) {
            Some(was) => was.failed.clone(),
            None => failure(seen, false),
        }
    }

    /// What an earlier run of this attempt wrote down. One that died while it wrote is no witness; the next one's word counts.
    #[must_use]
    pub fn read(steps: &[StepRecord]) -> Option<Self> {
        steps.iter().filter(|step| step.action == ACTION).find_map(|written| match &written.state {
            StepState::Ended { output: Some(output), .. } => serde_json::from_value(output.clone()).ok(),
            StepState::Ended { output: None, .. } | StepState::Open => None,
        })
    }
}

/// What the engine can change in place, as it is now.
pub(super) fn limits(seen: &Seen) -> BTreeMap<String, Value> {
    updatable_paths().filter_map(|path| Some((path.to_owned(), seen.facts.get(path)?.clone()))).collect()
}

pub(super) async fn write_down<E: Engine, L: Ledger>(site: &Site<'_, E, L>, before: &Before) -> Result<(), RunError> {
    let output = serde_json::to_value(before).unwrap_or_default();
    let up = before.containers.iter().filter(|was| was.up).count();
    let done = StepDone::done(format!("{} containers, {up} of them up", before.containers.len())).with_output(output);
    site.ledger().step(StepSpec::new(ACTION, &before.project), false, Box::new(|_| Box::pin(async { Ok(done) }))).await.map(drop)
}
