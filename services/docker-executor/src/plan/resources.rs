//! Networks and volumes: made when they are missing, taken as they are when they agree, and refused with words when
//! they do not. One that differs is never destroyed.

use orrery_contracts::FieldChange;

use super::{Refusal, Todo};
use crate::definition::{Desired, Facts, NetworkSpec, VolumeSpec};
use crate::engine::{Observed, SeenNetwork, SeenVolume};

pub(super) fn plan(desired: &Desired, observed: &Observed, todo: &mut Todo) {
    for (name, spec) in &desired.networks {
        network(name, spec, observed.networks.get(name), todo);
    }
    for (name, spec) in &desired.volumes {
        volume(name, spec, observed.volumes.get(name), &desired.identity.owner, todo);
    }
    let stale = observed.networks.iter().filter(|(name, seen)| seen.ours && !desired.networks.contains_key(*name));
    todo.stale_networks.extend(stale.map(|(name, _)| name.clone()));
}

fn network(name: &str, spec: &NetworkSpec, seen: Option<&SeenNetwork>, todo: &mut Todo) {
    match (spec.external, seen) {
        (true, None) => todo.refusals.push(missing("network", name)),
        (true, Some(_)) => {}
        (false, None) => todo.networks.push(name.to_owned()),
        (false, Some(seen)) if !seen.ours => todo.refusals.push(foreign("network", name, seen.project.as_deref())),
        (false, Some(seen)) => {
            if let Some(difference) = difference(seen.facts.as_ref(), &spec.facts) {
                todo.refusals.push(differs("network", name, &difference));
            }
        }
    }
}

fn volume(name: &str, spec: &VolumeSpec, seen: Option<&SeenVolume>, owner: &str, todo: &mut Todo) {
    match (spec.external, seen) {
        (true, None) => todo.refusals.push(missing("volume", name)),
        (true, Some(_)) => {}
        (false, None) => todo.volumes.push(name.to_owned()),
        (false, Some(seen)) if !seen.ours && seen.owner.as_deref() != Some(owner) => {
            todo.refusals.push(foreign("volume", name, seen.project.as_deref()));
        }
        (false, Some(seen)) => {
            if !seen.ours {
                todo.notes.push(format!("volume {name} was kept from an earlier stack, and is used again with what is in it"));
            }
            if let Some(difference) = difference(seen.facts.as_ref(), &spec.facts) {
                todo.refusals.push(differs("volume", name, &difference));
            }
        }
    }
}

/// Labels can differ without harm; everything else cannot be changed on something that exists.
fn difference(seen: Option<&Facts>, wanted: &Facts) -> Option<FieldChange> {
    seen?.changes_to(wanted).into_iter().find(|change| !change.path.starts_with("labels."))
}

fn missing(kind: &str, name: &str) -> Refusal {
    let message = format!("{kind} {name} is declared external, and does not exist; make it, or leave `external` out");
    Refusal { code: "external_missing", message }
}

fn foreign(kind: &str, name: &str, project: Option<&str>) -> Refusal {
    let whose = project.map_or_else(|| "and is not this stack's".to_owned(), |project| format!("and belongs to project {project}"));
    let message = format!("{kind} {name} exists already {whose}; give yours another `name`, or declare it `external: true`");
    Refusal { code: "name_taken", message }
}

fn differs(kind: &str, name: &str, change: &FieldChange) -> Refusal {
    let text = |value: &Option<serde_json::Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let message = format!(
        "{kind} {name} was made with {} {} and should have {}; an existing {kind} cannot be changed, and is not destroyed here: give it another `name`, or delete the stack{} first",
        change.path,
        text(&change.from),
        text(&change.to),
        if kind == "volume" { " with its volumes" } else { "" },
    );
    Refusal { code: if kind == "volume" { "volume_differs" } else { "network_differs" }, message }
}
