//! Which container holds which place of a version, and what has to become of it.

use std::collections::{BTreeMap, BTreeSet};

use orrery_contracts::FieldChange;
use serde_json::Value;

use super::{Circumstances, Removal, SlotAction, SlotWork, Todo, does_its_work};
use crate::definition::facts::{self, IMAGE_ID};
use crate::definition::identity::{NEW, OLD};
use crate::definition::{ContainerSpec, Desired, ServiceSpec};
use crate::engine::hooks::{self, Moment};
use crate::engine::{Observed, Seen, State};

/// What commands that broke off left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Containers to remove: id and name.
    pub remove: Vec<(String, String)>,
    /// Containers that get their name back: id, name now, name in place.
    pub rename: Vec<(String, String, String)>,
    /// Containers in places where something was left: they ran before, whatever they do now.
    pub ran: BTreeSet<String>,
}

impl Leftovers {
    /// Whether everything is in its place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.rename.is_empty()
    }
}

/// The containers of one place, told apart.
#[derive(Default)]
struct Place<'a> {
    current: Option<&'a Seen>,
    fresh: Option<&'a Seen>,
    begun: Option<&'a Seen>,
    garbage: Vec<&'a Seen>,
}

type Places<'a> = BTreeMap<(&'a str, u32), Vec<&'a Seen>>;

fn places(observed: &Observed) -> Places<'_> {
    let mut places = Places::new();
    for seen in &observed.containers {
        places.entry((seen.service.as_str(), seen.number)).or_default().push(seen);
    }
    places
}

fn is_new(seen: &Seen) -> bool {
    seen.name.ends_with(NEW)
}

fn is_old(seen: &Seen) -> bool {
    seen.name.ends_with(OLD)
}

/// Without anything under way: what is in place, and what a command that broke off has left. A container that was put
/// aside is in place again when its successor's command never ended well.
fn settled<'a>(mine: &[&'a Seen], converged: u64) -> Place<'a> {
    let old = mine.iter().copied().find(|seen| is_old(seen));
    let canonical = mine.iter().copied().filter(|seen| !is_new(seen) && !is_old(seen)).max_by_key(|seen| seen.command);
    let current = match (old, canonical) {
        (Some(old), Some(next)) if next.command > converged => Some(old),
        (Some(old), None) => Some(old),
        (Some(_) | None, canonical) => canonical,
    };
    let garbage = mine.iter().copied().filter(|seen| Some(&seen.id) != current.map(|seen| &seen.id)).collect();
    Place { current, garbage, ..Place::default() }
}

/// With a command under way: what it made, and what was in place before it.
fn under_way<'a>(mine: &[&'a Seen], command: u64, wanted: Option<&ContainerSpec>, observed: &Observed, desired: &Desired) -> Place<'a> {
    let right = |seen: &&&Seen| seen.command == command && wanted.is_some_and(|spec| differences(seen, spec, observed, desired).is_empty());
    let fresh = mine.iter().find(right).copied();
    let before = |seen: &&&Seen| seen.command != command;
    let current = mine.iter().filter(before).find(|seen| is_old(seen)).or_else(|| mine.iter().find(before)).copied();
    let half = |seen: &&&Seen| seen.command == command && wanted.is_some_and(|spec| half_made(seen, spec, observed, desired));
    let begun = mine.iter().find(half).copied().filter(|_| fresh.is_none());
    let taken = |seen: &Seen| [fresh, current, begun].into_iter().flatten().any(|other| other.id == seen.id);
    let garbage = mine.iter().copied().filter(|seen| !taken(seen)).collect();
    Place { current, fresh, begun, garbage }
}

/// Whether nothing is wrong with it but that it was not attached to all its networks yet: engines before API 1.44 attach a
/// new container to one, and to each other one by a call of its own.
fn half_made(seen: &Seen, spec: &ContainerSpec, observed: &Observed, desired: &Desired) -> bool {
    let lacking =
        |change: &FieldChange| change.path.strip_prefix("networks.").is_some_and(|name| seen.lacks.iter().any(|lacks| lacks == name));
    seen.state == State::Created && !seen.lacks.is_empty() && differences(seen, spec, observed, desired).iter().all(lacking)
}

/// What commands that broke off left behind in this stack.
#[must_use]
pub fn leftovers(observed: &Observed, converged: u64) -> Leftovers {
    let mut left = Leftovers::default();
    for mine in places(observed).values() {
        let place = settled(mine, converged);
        left.remove.extend(place.garbage.iter().map(|seen| (seen.id.clone(), seen.name.clone())));
        let Some(current) = place.current else { continue };
        if let Some(name) = current.name.strip_suffix(OLD) {
            left.rename.push((current.id.clone(), current.name.clone(), name.to_owned()));
        }
        if !place.garbage.is_empty() || is_old(current) {
            left.ran.insert(current.id.clone());
        }
    }
    left
}

pub(super) fn plan(desired: &Desired, observed: &Observed, circumstances: &Circumstances, todo: &mut Todo) {
    let mut places = places(observed);
    let mut changed: BTreeSet<&str> = BTreeSet::new();
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for (service, spec) in desired.containers() {
        let mine = places.remove(&(spec.service.as_str(), spec.number)).unwrap_or_default();
        let place = match circumstances.resuming {
            Some(command) => under_way(&mine, command, Some(spec), observed, desired),
            None => settled(&mine, circumstances.converged),
        };
        let context = Context { desired, observed, circumstances, changed: &changed, first: &first };
        let work = context.work(service, spec, &place);
        if matches!(work.what, SlotAction::Create | SlotAction::Replace | SlotAction::Restart) {
            changed.insert(&spec.service);
        }
        if let Some(current) = place.fresh.or(place.current).filter(|_| spec.number == 1) {
            first.insert(&spec.service, &current.id);
        }
        // It is finished where a container is to be made; where none is, it goes like everything that was left over.
        let unwanted = place.begun.filter(|_| !matches!(work.what, SlotAction::Create | SlotAction::Replace));
        todo.slots.push(work);
        todo.removals.extend(unwanted.map(|seen| removal(seen, "left over from a command that broke off")));
        todo.removals.extend(place.garbage.iter().map(|seen| removal(seen, "left over from a command that broke off")));
    }
    for ((service, number), mine) in places {
        let wanted = desired.services.get(service).map(|service| service.containers.len());
        let reason = match wanted {
            Some(count) => format!("{service} has {count} containers in this version, and this is number {number}"),
            None => format!("this version has no service {service}"),
        };
        todo.removals.extend(mine.into_iter().map(|seen| removal(seen, &reason)));
    }
}

fn removal(seen: &Seen, reason: &str) -> Removal {
    Removal { id: seen.id.clone(), name: seen.name.clone(), service: seen.service.clone(), reason: reason.to_owned() }
}

/// The fields in which a container differs from what is wanted; the image's id only where it is known.
fn differences(seen: &Seen, spec: &ContainerSpec, observed: &Observed, desired: &Desired) -> Vec<FieldChange> {
    let need = desired.services.get(&spec.service).map(|service| &service.image);
    let found = need.and_then(|need| need.among(&observed.images)).map(|image| &image.id);
    let known = found.or_else(|| need.and_then(|need| need.locked.as_ref()).map(|locked| &locked.id));
    match known {
        Some(id) => seen.facts.changes_to(&spec.facts_with(id)),
        None => {
            let mut now = seen.facts.clone();
            now.unset(IMAGE_ID);
            now.changes_to(&spec.facts)
        }
    }
}

struct Context<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    circumstances: &'a Circumstances,
    changed: &'a BTreeSet<&'a str>,
    first: &'a BTreeMap<&'a str, &'a str>,
}

impl Context<'_> {
    fn work(&self, service: &ServiceSpec, spec: &ContainerSpec, place: &Place<'_>) -> SlotWork {
        let (what, reason, changes) = self.decide(service, spec, place);
        SlotWork {
            service: spec.service.clone(),
            number: spec.number,
            name: spec.name.clone(),
            what,
            current: place.current.map(|seen| seen.id.clone()),
            fresh: place.fresh.map(|seen| seen.id.clone()),
            begun: place.begun.map(|seen| seen.name.clone()),
            reason,
            changes,
        }
    }

    fn decide(&self, service: &ServiceSpec, spec: &ContainerSpec, place: &Place<'_>) -> (SlotAction, String, Vec<FieldChange>) {
        let plain = |what: SlotAction, reason: &str| (what, reason.to_owned(), Vec::new());
        if let Some(fresh) = place.fresh {
            return self.decide_fresh(service, spec, fresh, place.current);
        }
        let Some(current) = place.current else { return plain(SlotAction::Create, "it does not exist") };
        let changes = differences(current, spec, self.observed, self.desired);
        if current.state == State::Dead {
            return plain(SlotAction::Replace, "it is dead");
        }
        if current.name != spec.name && !is_old(current) && !is_new(current) {
            let change = FieldChange {
                path: "container_name".into(),
                from: Some(Value::from(current.name.clone())),
                to: Some(Value::from(spec.name.clone())),
            };
            return (SlotAction::Replace, format!("its name changed from {} to {}", current.name, spec.name), vec![change]);
        }
        if changes.is_empty() {
            return self.decide_unchanged(service, current);
        }
        if facts::updatable(&changes) {
            return (SlotAction::Update, why(&changes), changes);
        }
        (SlotAction::Replace, why(&changes), changes)
    }

    /// What an earlier run of this command made is gone on with, until nothing of the old one is left.
    fn decide_fresh(
        &self,
        service: &ServiceSpec,
        spec: &ContainerSpec,
        fresh: &Seen,
        current: Option<&Seen>,
    ) -> (SlotAction, String, Vec<FieldChange>) {
        let in_place = fresh.name == spec.name && current.is_none();
        if in_place && !self.is_unhooked(fresh) && does_its_work(fresh, service.may_finish, self.circumstances) {
            return (SlotAction::Keep, "it is as the version says".to_owned(), Vec::new());
        }
        let what = if current.is_some() { SlotAction::Replace } else { SlotAction::Create };
        (what, "an earlier run of this command has begun it".to_owned(), Vec::new())
    }

    /// Whether it has hooks of which nobody knows that they have run.
    fn is_unhooked(&self, seen: &Seen) -> bool {
        self.circumstances.unhooked.contains(&seen.name) && !hooks::of_facts(&seen.facts, Moment::PostStart).is_empty()
    }

    fn decide_unchanged(&self, service: &ServiceSpec, current: &Seen) -> (SlotAction, String, Vec<FieldChange>) {
        let plain = |what: SlotAction, reason: String| (what, reason, Vec::new());
        if let Some(host) = service.joins.iter().find(|host| self.changed.contains(host.as_str())) {
            return plain(SlotAction::Replace, format!("it lives in the name spaces of {host}, which is replaced"));
        }
        let strayed = |host: &&String| {
            self.first.get(host.as_str()).is_some_and(|id| !current.joins.is_empty() && !current.joins.iter().any(|joined| joined == id))
        };
        if let Some(host) = service.joins.iter().find(strayed) {
            return plain(SlotAction::Replace, format!("it lives in the name spaces of an earlier container of {host}"));
        }
        if current.state == State::Paused {
            return plain(SlotAction::Start, "it is paused".to_owned());
        }
        if !does_its_work(current, service.may_finish, self.circumstances) {
            let reason = match current.state {
                State::Exited => format!("it does not run (exit code {})", current.exit_code),
                State::Created | State::Running | State::Paused | State::Restarting | State::Dead => "it was never started".to_owned(),
            };
            return plain(SlotAction::Start, reason);
        }
        if self.is_unhooked(current) {
            return plain(SlotAction::Start, "its start was broken off: its hooks run again".to_owned());
        }
        let restarts = service.needs.iter().find(|need| need.restart && self.changed.contains(need.service.as_str()));
        match restarts {
            Some(need) if current.state.is_up() => {
                plain(SlotAction::Restart, format!("{}, on which it depends, is replaced", need.service))
            }
            Some(_) | None => plain(SlotAction::Keep, "it is as the version says".to_owned()),
        }
    }
}

/// The first and most telling change in words, and how many more there are.
fn why(changes: &[FieldChange]) -> String {
    let told = changes
        .iter()
        .find(|change| change.path == "image")
        .or_else(|| changes.iter().find(|change| change.path != IMAGE_ID))
        .or_else(|| changes.first());
    let Some(change) = told else { return String::new() };
    let text = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => shortened(text),
        Some(other) => shortened(&other.to_string()),
    };
    let hidden = changes.iter().filter(|other| other.path != change.path && other.path != IMAGE_ID).count();
    let more = if hidden == 0 { String::new() } else { format!(", and {hidden} more") };
    let what = match change.path.as_str() {
        IMAGE_ID => "the content of its image".to_owned(),
        path => path.to_owned(),
    };
    if change.path.starts_with("volumes.") && change.from.is_some() && change.to.is_some() {
        return format!("{what} changed{more}");
    }
    format!("{what} changed from {} to {}{more}", text(&change.from), text(&change.to))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { format!("{}…", text.chars().take(60).collect::<String>()) }
}
