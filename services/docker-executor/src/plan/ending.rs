//! Plans that need no definition: stopping and removing what is there, dependents first. The order is read from the
//! labels, so that a stack can be removed whose definition can no longer be read.

use std::collections::{BTreeMap, BTreeSet};

use orrery_contracts::{Plan, PlanAction, PlanNote};

use crate::engine::{Observed, Seen};

/// What there is of a stack on its engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stack<'a> {
    /// Its containers, in layers: each depends on nothing in an earlier one's place.
    pub layers: Vec<Vec<&'a Seen>>,
    /// Its networks.
    pub networks: Vec<&'a str>,
    /// Its volumes.
    pub volumes: Vec<&'a str>,
}

/// Sorts out what there is.
#[must_use]
pub fn stack_of(observed: &Observed) -> Stack<'_> {
    Stack {
        layers: layers(&observed.containers),
        networks: observed.networks.iter().filter(|(_, seen)| seen.ours).map(|(name, _)| name.as_str()).collect(),
        volumes: observed.volumes.iter().filter(|(_, seen)| seen.ours || seen.kept).map(|(name, _)| name.as_str()).collect(),
    }
}

/// Containers in layers, dependents first: whatever is in a layer is needed by nothing in a later one.
#[must_use]
pub fn layers(containers: &[Seen]) -> Vec<Vec<&Seen>> {
    let needs: BTreeMap<&str, BTreeSet<&str>> = containers.iter().map(|seen| (seen.service.as_str(), needed(seen))).collect();
    let mut waiting: BTreeSet<&str> = needs.keys().copied().collect();
    let mut layers = Vec::new();
    while !waiting.is_empty() {
        let is_needed =
            |service: &&str| waiting.iter().any(|other| other != service && needs.get(other).is_some_and(|needs| needs.contains(service)));
        let mut layer: BTreeSet<&str> = waiting.iter().copied().filter(|service| !is_needed(service)).collect();
        if layer.is_empty() {
            layer.clone_from(&waiting);
        }
        waiting.retain(|service| !layer.contains(service));
        layers.push(containers.iter().filter(|seen| layer.contains(seen.service.as_str())).collect());
    }
    layers
}

fn needed(seen: &Seen) -> BTreeSet<&str> {
    seen.depends_on.split(',').filter_map(|entry| entry.split(':').next()).filter(|name| !name.is_empty()).collect()
}

fn action(actions: &mut Vec<PlanAction>, word: &str, subject: &str, service: Option<&str>, reason: &str, after: Vec<u32>) -> u32 {
    let n = u32::try_from(actions.len()).unwrap_or(u32::MAX).saturating_add(1);
    let (action, subject) = (word.to_owned(), subject.to_owned());
    actions.push(PlanAction {
        n,
        action,
        subject,
        service: service.map(str::to_owned),
        reason: reason.to_owned(),
        changes: Vec::new(),
        after,
    });
    n
}

/// What a stop would do.
#[must_use]
pub fn stop_plan(observed: &Observed) -> Plan {
    let mut actions = Vec::new();
    let mut before = Vec::new();
    for layer in layers(&observed.containers) {
        let up = layer.into_iter().filter(|seen| seen.state.is_up());
        let now: Vec<u32> = up
            .map(|seen| action(&mut actions, "container.stop", &seen.name, Some(&seen.service), "the stack is stopped", before.clone()))
            .collect();
        if !now.is_empty() {
            before = now;
        }
    }
    Plan { empty: actions.is_empty(), actions, ..Plan::default() }
}

/// What a delete would do.
#[must_use]
pub fn delete_plan(observed: &Observed, volumes: bool) -> Plan {
    let stack = stack_of(observed);
    let mut actions = Vec::new();
    let mut before = Vec::new();
    for layer in stack.layers {
        before = layer
            .into_iter()
            .map(|seen| action(&mut actions, "container.remove", &seen.name, Some(&seen.service), "the stack is deleted", before.clone()))
            .collect();
    }
    let all: Vec<u32> = actions.iter().map(|action| action.n).collect();
    for name in stack.networks {
        action(&mut actions, "network.remove", name, None, "the stack is deleted", all.clone());
    }
    if volumes {
        for name in &stack.volumes {
            action(&mut actions, "volume.remove", name, None, "the stack is deleted with its volumes", all.clone());
        }
    }
    let kept = !volumes && !stack.volumes.is_empty();
    let notes = if kept { vec![PlanNote::note(format!("volumes stay: {}", stack.volumes.join(", ")))] } else { Vec::new() };
    Plan { empty: actions.is_empty(), actions, notes, ..Plan::default() }
}
