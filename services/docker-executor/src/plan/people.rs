//! The plan as a person reads it: numbered actions with a reason, what differs, and what each waits for.

use std::collections::BTreeMap;

use orrery_contracts::{FieldChange, Plan, PlanAction, PlanKept, PlanNote};

use super::{SlotAction, SlotWork, Todo};
use crate::definition::Desired;
use crate::definition::facts::IMAGE_ID;

/// Numbers of actions by what they are about.
#[derive(Default)]
struct Draft {
    actions: Vec<PlanAction>,
    kept: Vec<PlanKept>,
    images: BTreeMap<String, u32>,
    resources: BTreeMap<String, u32>,
    services: BTreeMap<String, Vec<u32>>,
}

impl Draft {
    fn add(&mut self, action: &str, subject: &str, service: Option<&str>, reason: &str) -> &mut PlanAction {
        let n = u32::try_from(self.actions.len()).unwrap_or(u32::MAX).saturating_add(1);
        let action = PlanAction {
            n,
            action: action.to_owned(),
            subject: subject.to_owned(),
            service: service.map(str::to_owned),
            reason: reason.to_owned(),
            changes: Vec::new(),
            after: Vec::new(),
        };
        self.actions.push(action);
        // An element was pushed just now.
        let last = self.actions.len().saturating_sub(1);
        &mut self.actions[last]
    }
}

pub(super) fn shown(todo: &Todo, desired: &Desired) -> Plan {
    let mut draft = Draft::default();
    for image in &todo.images {
        let word = if image.build { "image.build" } else { "image.pull" };
        let n = draft.add(word, &image.reference, Some(&image.service), &image.reason).n;
        draft.images.insert(image.reference.clone(), n);
    }
    for name in &todo.networks {
        let n = draft.add("network.create", name, None, "it does not exist").n;
        draft.resources.insert(format!("network {name}"), n);
    }
    for name in &todo.volumes {
        let n = draft.add("volume.create", name, None, "it does not exist").n;
        draft.resources.insert(format!("volume {name}"), n);
    }
    for slot in &todo.slots {
        add_slot(&mut draft, slot, desired);
    }
    let before: Vec<u32> = draft.actions.iter().map(|action| action.n).collect();
    for removal in &todo.removals {
        draft.add("container.remove", &removal.name, Some(&removal.service), &removal.reason).after = before.clone();
    }
    let before: Vec<u32> = draft.actions.iter().map(|action| action.n).collect();
    for name in &todo.stale_networks {
        draft.add("network.remove", name, None, "this version has no such network").after = before.clone();
    }
    let notes = todo.refusals.iter().map(|refusal| PlanNote::error(&refusal.message)).chain(todo.notes.iter().cloned()).collect();
    Plan { empty: todo.is_empty(), actions: draft.actions, kept: draft.kept, notes }
}

fn add_slot(draft: &mut Draft, slot: &SlotWork, desired: &Desired) {
    let word = match slot.what {
        SlotAction::Keep => {
            let (subject, service, reason) = (slot.name.clone(), slot.service.clone(), slot.reason.clone());
            draft.kept.push(PlanKept { subject, service, reason });
            return;
        }
        SlotAction::Create => "container.create",
        SlotAction::Replace => "container.replace",
        SlotAction::Start => "container.start",
        SlotAction::Restart => "container.restart",
        SlotAction::Update => "container.update",
    };
    let after = waits_for(draft, slot, desired);
    let action = draft.add(word, &slot.name, Some(&slot.service), &slot.reason);
    action.changes = slot.changes.iter().filter(|change| told(change, &slot.changes)).cloned().collect();
    action.after = after;
    let n = action.n;
    draft.services.entry(slot.service.clone()).or_default().push(n);
}

/// The image's id tells a person nothing beside its name.
fn told(change: &FieldChange, all: &[FieldChange]) -> bool {
    change.path != IMAGE_ID || !all.iter().any(|other| other.path == "image")
}

fn waits_for(draft: &Draft, slot: &SlotWork, desired: &Desired) -> Vec<u32> {
    let Some(service) = desired.services.get(&slot.service) else { return Vec::new() };
    let mut after: Vec<u32> = draft.images.get(service.image.wanted()).copied().into_iter().collect();
    if let Some(spec) = service.containers.iter().find(|spec| spec.number == slot.number) {
        let networks = spec.networks.iter().map(|(name, _)| format!("network {name}"));
        let mounts = spec.body.host_config.iter().flat_map(|host| host.mounts.iter().flatten());
        let volumes = mounts.filter_map(|mount| mount.source.as_ref()).map(|name| format!("volume {name}"));
        after.extend(networks.chain(volumes).filter_map(|key| draft.resources.get(&key).copied()));
    }
    for need in &service.needs {
        after.extend(draft.services.get(&need.service).into_iter().flatten());
    }
    after.sort_unstable();
    after.dedup();
    after
}
