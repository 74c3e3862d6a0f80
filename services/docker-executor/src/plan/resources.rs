//! Networks and volumes: made when they are missing, taken as they are when they agree, and refused with words when
//! they do not. One that differs is never destroyed.

use orrery_compose::{Place, Problem};
use orrery_contracts::{FieldChange, PlanNote};
use serde_json::Value;

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
    let what = Subject { kind: "network", name, place: &spec.place };
    match (spec.external, seen) {
        (true, None) => todo.refusals.push(what.missing()),
        (true, Some(_)) => {}
        (false, None) => todo.networks.push(name.to_owned()),
        (false, Some(seen)) if !seen.ours => todo.refusals.push(what.foreign(seen.project.as_deref())),
        (false, Some(seen)) => what.compare(seen.facts.as_ref(), &spec.facts, todo),
    }
}

fn volume(name: &str, spec: &VolumeSpec, seen: Option<&SeenVolume>, owner: &str, todo: &mut Todo) {
    let what = Subject { kind: "volume", name, place: &spec.place };
    match (spec.external, seen) {
        (true, None) => todo.refusals.push(what.missing()),
        (true, Some(_)) => {}
        (false, None) => todo.volumes.push(name.to_owned()),
        (false, Some(seen)) if !seen.ours && seen.owner.as_deref() != Some(owner) => {
            todo.refusals.push(what.foreign(seen.project.as_deref()));
        }
        (false, Some(seen)) => {
            if !seen.ours {
                let message = format!("volume {name} was kept from an earlier stack, and is used again with what is in it");
                todo.notes.push(PlanNote::note(message));
            }
            what.compare(seen.facts.as_ref(), &spec.facts, todo);
        }
    }
}

/// What is told of: a network or a volume, and where it is declared.
struct Subject<'a> {
    kind: &'static str,
    name: &'a str,
    place: &'a Place,
}

impl Subject<'_> {
    /// Labels can differ without harm, and are told; everything else cannot be changed on something that exists.
    fn compare(&self, seen: Option<&Facts>, wanted: &Facts, todo: &mut Todo) {
        let changes = seen.map(|seen| seen.changes_to(wanted)).unwrap_or_default();
        let (labels, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.path.starts_with("labels."));
        if let Some(change) = others.first() {
            todo.refusals.push(self.differs(change));
        } else if let Some(label) = labels.first() {
            let Self { kind, name, place } = self;
            let message = format!("{} of {kind} {name} stays as it is: labels are given when it is made", label.path);
            todo.notes.push(PlanNote::note(Problem::note(place, message).to_string()));
        }
    }

    fn refusal(&self, code: &'static str, message: String, hint: String) -> Refusal {
        Refusal { code, message: Problem::refused(self.place, message).hint(hint).to_string() }
    }

    fn missing(&self) -> Refusal {
        let Self { kind, name, .. } = self;
        let message = format!("{kind} {name} is declared external, and does not exist.");
        self.refusal("external_missing", message, "Make it, or leave external out.".to_owned())
    }

    fn foreign(&self, project: Option<&str>) -> Refusal {
        let Self { kind, name, .. } = self;
        let whose = project.map_or_else(|| "is not this stack's".to_owned(), |project| format!("belongs to project {project}"));
        let message = format!("{kind} {name} exists already and {whose}.");
        self.refusal("name_taken", message, "Give yours another name:, or declare it external: true.".to_owned())
    }

    fn differs(&self, change: &FieldChange) -> Refusal {
        let Self { kind, name, .. } = self;
        let text = |value: &Option<Value>| match value {
            None => "nothing".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let path = change.path.strip_prefix("options.").map_or_else(|| change.path.clone(), |option| format!("driver_opts.{option}"));
        let (from, to) = (text(&change.from), text(&change.to));
        let message = format!(
            "{kind} {name} was made with {path} {from} and should have {to}; one that exists cannot be changed, and is not destroyed here."
        );
        let first = if *kind == "volume" { "delete the stack with its volumes first" } else { "delete the stack first (its volumes stay)" };
        let code = if *kind == "volume" { "volume_differs" } else { "network_differs" };
        self.refusal(code, message, format!("Give it another name:, or {first}."))
    }
}
