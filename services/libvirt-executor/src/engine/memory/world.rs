//! What libvirt in memory holds, and what each act does to it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use uuid::Uuid;

use super::Behaviour;
use crate::engine::error::{Class, EngineError};
use crate::engine::events::Change;
use crate::engine::observed::{SeenNetwork, SeenSnapshot, SeenVolume, State};
use crate::engine::{Act, DomainRef, Effect, Kind, NewVolume, xml};

/// A domain.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) domain: DomainRef,
    pub(super) name: String,
    pub(super) definition: String,
    pub(super) metadata: Option<String>,
    pub(super) state: State,
    pub(super) reason: &'static str,
    pub(super) persistent: bool,
    pub(super) autostart: bool,
    pub(super) vcpus: u32,
    pub(super) memory: u64,
    pub(super) shares: u64,
    pub(super) snapshots: Vec<(SeenSnapshot, Past)>,
    /// How often a person has edited it.
    pub(super) edits: u32,
}

/// What a snapshot brings back.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) state: State,
    definition: String,
    metadata: Option<String>,
    figures: (u32, u64, u64, u32),
}

impl Kept {
    fn now(&self) -> Past {
        let (definition, metadata) = (self.definition.clone(), self.metadata.clone());
        Past { state: self.state, definition, metadata, figures: (self.vcpus, self.memory, self.shares, self.edits) }
    }

    fn go_back(&mut self, past: Past) {
        let Past { state, definition, metadata, figures } = past;
        (self.state, self.reason, self.definition, self.metadata) = (state, "from snapshot", definition, metadata);
        (self.vcpus, self.memory, self.shares, self.edits) = figures;
    }
}

/// What an act did to domains.
pub(super) type Events = Vec<(DomainRef, Change)>;

/// Everything.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) domains: BTreeMap<DomainRef, Kept>,
    pub(super) behaviours: BTreeMap<Uuid, Behaviour>,
    pub(super) pools: BTreeMap<String, PathBuf>,
    pub(super) volumes: BTreeMap<(String, String), SeenVolume>,
    pub(super) networks: BTreeMap<String, SeenNetwork>,
    pub(super) acts: Vec<String>,
    /// After so many acts this domain is gone.
    pub(super) vanish: Option<(usize, Uuid)>,
    clock: i64,
}

pub(super) fn no(what: &str, name: &str) -> EngineError {
    EngineError::gone(format!("{what} not found: {name}"))
}

impl World {
    pub(super) fn of(&mut self, uuid: Uuid) -> Option<&mut Kept> {
        self.domains.values_mut().find(|kept| kept.domain.uuid == uuid)
    }

    pub(super) fn find(&mut self, domain: DomainRef) -> Result<&mut Kept, EngineError> {
        self.domains.get_mut(&domain).ok_or_else(|| no("Domain", &domain.uuid.to_string()))
    }

    pub(super) fn act(&mut self, act: &Act) -> (Result<Effect, EngineError>, Events) {
        let mut events = Events::new();
        let result = self.carry_out(act, &mut events);
        if result.as_ref().is_ok_and(|effect| !effect.already) {
            self.acts.push(format!("{} {}", act.word(), self.subject(act)));
            if let Some((_, uuid)) = self.vanish.take_if(|(after, _)| self.acts.len() >= *after) {
                self.domains.retain(|domain, _| domain.uuid != uuid);
            }
        }
        (result, events)
    }

    fn subject(&self, act: &Act) -> String {
        match act {
            Act::EnsurePool { name, .. }
            | Act::CreateVolume(NewVolume { name, .. })
            | Act::Upload { name, .. }
            | Act::ResizeVolume { name, .. }
            | Act::RemoveVolume { name, .. }
            | Act::EnsureNetwork { name, .. }
            | Act::RemoveNetwork { name } => name.clone(),
            Act::Reserve { reservation, .. } => reservation.mac.clone(),
            Act::Release { mac, .. } => mac.clone(),
            Act::Define { xml, .. } => xml::parse(xml).ok().and_then(|document| xml::text_at(&document, &["name"])).unwrap_or_default(),
            Act::Undefine { domain }
            | Act::Start { domain, .. }
            | Act::Shutdown { domain, .. }
            | Act::Destroy { domain }
            | Act::Reboot { domain, .. }
            | Act::Suspend { domain }
            | Act::Resume { domain }
            | Act::SetAutostart { domain, .. }
            | Act::SetMetadata { domain, .. }
            | Act::SetVcpus { domain, .. }
            | Act::SetMemory { domain, .. }
            | Act::SetShares { domain, .. }
            | Act::SnapshotCreate { domain, .. }
            | Act::SnapshotRevert { domain, .. }
            | Act::SnapshotDelete { domain, .. }
            | Act::ForgetSaved { domain } => self.domains.get(domain).map_or_else(|| domain.uuid.to_string(), |kept| kept.name.clone()),
        }
    }

    fn carry_out(&mut self, act: &Act, events: &mut Events) -> Result<Effect, EngineError> {
        match act {
            Act::EnsurePool { name, path } => self.ensure_pool(name, path),
            Act::CreateVolume(new) => self.create_volume(new),
            Act::Upload { pool, name, size, .. } => self.upload(pool, name, *size),
            Act::ResizeVolume { pool, name, capacity } => {
                let volume = self.volume(pool, name)?;
                let already = volume.capacity >= *capacity;
                volume.capacity = volume.capacity.max(*capacity);
                Ok(Effect { already, ..Effect::default() })
            }
            Act::RemoveVolume { pool, name } => {
                self.pool(pool)?;
                Ok(done(self.volumes.remove(&(pool.clone(), name.clone())).is_some()))
            }
            Act::EnsureNetwork { name, xml } => self.ensure_network(name, xml),
            Act::RemoveNetwork { name } => Ok(done(self.networks.remove(name).is_some())),
            Act::Reserve { network, reservation } => self.reserve(network, reservation),
            Act::Release { network, mac } => {
                let Some(network) = self.networks.get_mut(network) else { return Ok(Effect::found()) };
                let before = network.reservations.len();
                network.reservations.retain(|one| !one.mac.eq_ignore_ascii_case(mac));
                Ok(done(network.reservations.len() != before))
            }
            Act::Define { kind, xml } => self.define(*kind, xml, events),
            Act::Undefine { domain } => Ok(self.undefine(*domain, events)),
            Act::Start { domain, paused } => self.start(*domain, *paused, events),
            Act::Shutdown { domain, .. } => self.stop(*domain, "shutdown", events),
            Act::Destroy { domain } => self.stop(*domain, "destroyed", events),
            Act::Reboot { domain, .. } => {
                let domain = self.up(*domain)?.domain;
                events.push((domain, Change::Rebooted));
                Ok(Effect::done())
            }
            Act::Suspend { domain } => self.hold(*domain, true, events),
            Act::Resume { domain } => self.hold(*domain, false, events),
            Act::SetAutostart { domain, on } => self.set(*domain, |kept| std::mem::replace(&mut kept.autostart, *on) != *on),
            Act::SetMetadata { domain, json } => self.set(*domain, |kept| kept.metadata.replace(json.clone()).as_ref() != Some(json)),
            Act::SetVcpus { domain, count } => self.set(*domain, |kept| std::mem::replace(&mut kept.vcpus, *count) != *count),
            Act::SetMemory { domain, bytes } => self.set(*domain, |kept| std::mem::replace(&mut kept.memory, *bytes) != *bytes),
            Act::SetShares { domain, shares } => self.set(*domain, |kept| std::mem::replace(&mut kept.shares, *shares) != *shares),
            Act::SnapshotCreate { domain, name, description, .. } => self.snapshot(*domain, name, description),
            Act::SnapshotRevert { domain, name } => self.revert(*domain, name, events),
            Act::SnapshotDelete { domain, name } => self.set(*domain, |kept| {
                let before = kept.snapshots.len();
                kept.snapshots.retain(|(one, _)| one.name != *name);
                kept.snapshots.len() != before
            }),
            Act::ForgetSaved { domain } => self.set(*domain, |_| false),
        }
    }

    fn set(&mut self, domain: DomainRef, change: impl FnOnce(&mut Kept) -> bool) -> Result<Effect, EngineError> {
        self.find(domain).map(|kept| done(change(kept)))
    }

    fn define(&mut self, kind: Kind, definition: &str, events: &mut Events) -> Result<Effect, EngineError> {
        let document = xml::parse(definition)?;
        let text = |name: &str| xml::text_at(&document, &[name]).unwrap_or_default();
        let invalid = |what: &str| EngineError::refuse("invalid", format!("XML error: {what}"));
        let uuid: Uuid =
            text("uuid").parse().map_err(|_| invalid("the definition has no <uuid>: without one, defining it twice would fail"))?;
        let name = Some(text("name")).filter(|name| !name.is_empty()).ok_or_else(|| invalid("missing name"))?;
        if let Some(other) = self.domains.values().find(|kept| kept.name == name && kept.domain.uuid != uuid) {
            let message = format!("domain '{name}' already exists with uuid {}", other.domain.uuid);
            return Err(EngineError::new(Class::Replan, "name_taken", message));
        }
        let memory = xml::at(&document, &["memory"]).and_then(|node| xml::bytes_of(node, 1024)).ok_or_else(|| invalid("missing memory"))?;
        let vcpu = xml::at(&document, &["vcpu"]);
        let vcpus = vcpu.and_then(|node| node.attribute("current").or_else(|| node.text())?.trim().parse().ok()).unwrap_or(1);
        let domain = DomainRef { kind, uuid };
        let hash = xml::hash(definition)?;
        let metadata = xml::metadata_in(&document);
        let before = self.domains.remove(&domain);
        let same = |kept: &Kept| {
            kept.persistent
                && kept.edits == 0
                && kept.metadata == metadata
                && xml::hash(&kept.definition).is_ok_and(|before| before == hash)
        };
        let already = before.as_ref().is_some_and(|kept| same(kept) && (kept.vcpus, kept.memory) == (vcpus, memory));
        let (state, reason) = before.as_ref().map_or((State::Off, "unknown"), |kept| (kept.state, kept.reason));
        let shares = xml::text_at(&document, &["cputune", "shares"]).and_then(|shares| shares.parse().ok()).unwrap_or(1024);
        let (autostart, snapshots) = before.map_or((false, Vec::new()), |kept| (kept.autostart, kept.snapshots));
        let definition = definition.to_owned();
        let persistent = true;
        let kept =
            Kept { domain, name, definition, metadata, state, reason, persistent, autostart, vcpus, memory, shares, snapshots, edits: 0 };
        self.domains.insert(domain, kept);
        events.push((domain, Change::lifecycle(0, i32::from(already))));
        Ok(Effect { already, ..Effect::made(uuid.to_string()) })
    }

    fn undefine(&mut self, domain: DomainRef, events: &mut Events) -> Effect {
        let Some(kept) = self.domains.get_mut(&domain) else { return Effect::found() };
        kept.persistent = false;
        if !kept.state.is_up() {
            self.domains.remove(&domain);
        }
        events.push((domain, Change::lifecycle(1, 0)));
        Effect::done()
    }

    /// Whether everything is there that a definition refers to.
    fn startable(&self, kept: &Kept) -> Result<(), EngineError> {
        let document = xml::parse(&kept.definition)?;
        for source in document.descendants().filter(|node| node.has_tag_name("source")) {
            let Some(parent) = source.parent_element() else { continue };
            if parent.has_tag_name("interface")
                && let Some(network) = source.attribute("network")
                && !self.networks.contains_key(network)
            {
                return Err(no("Network", network));
            }
            if parent.has_tag_name("disk")
                && let Some(file) = source.attribute("file")
                && !self.volumes.values().any(|volume| volume.path == file)
            {
                return Err(EngineError::refuse("file_missing", format!("Cannot access storage file '{file}': No such file or directory")));
            }
        }
        Ok(())
    }

    fn start(&mut self, domain: DomainRef, paused: bool, events: &mut Events) -> Result<Effect, EngineError> {
        let kept = self.find(domain)?.clone();
        match kept.state {
            State::Paused if !paused => return self.hold(domain, false, events),
            State::Running | State::Paused | State::ShuttingDown | State::Asleep => {
                return Ok(Effect { already: true, ..Effect::made(domain.uuid) });
            }
            State::Off | State::Crashed | State::Unknown => {}
        }
        if paused && domain.kind == Kind::Container {
            return Err(EngineError::refuse("invalid", "unsupported flags (0x1) in function lxcDomainCreateWithFiles"));
        }
        self.startable(&kept)?;
        let kept = self.find(domain)?;
        (kept.state, kept.reason) = if paused { (State::Paused, "starting up") } else { (State::Running, "booted") };
        events.push((domain, Change::lifecycle(2, 0)));
        Ok(Effect::made(domain.uuid))
    }

    fn up(&mut self, domain: DomainRef) -> Result<&mut Kept, EngineError> {
        let kept = self.find(domain)?;
        if kept.state.is_up() {
            return Ok(kept);
        }
        Err(EngineError::new(Class::Replan, "conflict", "Requested operation is not valid: domain is not running"))
    }

    fn stop(&mut self, domain: DomainRef, reason: &'static str, events: &mut Events) -> Result<Effect, EngineError> {
        let kept = self.find(domain)?;
        if !kept.state.is_up() {
            return Ok(Effect::found());
        }
        (kept.state, kept.reason) = (State::Off, reason);
        if !kept.persistent {
            self.domains.remove(&domain);
        }
        events.push((domain, Change::lifecycle(5, 0)));
        Ok(Effect::done())
    }

    fn hold(&mut self, domain: DomainRef, still: bool, events: &mut Events) -> Result<Effect, EngineError> {
        let kept = self.up(domain)?;
        let wanted = if still { (State::Paused, "user") } else { (State::Running, "unpaused") };
        if kept.state == wanted.0 {
            return Ok(Effect::found());
        }
        (kept.state, kept.reason) = wanted;
        events.push((domain, Change::lifecycle(if still { 3 } else { 4 }, 0)));
        Ok(Effect::done())
    }

    fn snapshot(&mut self, domain: DomainRef, name: &str, description: &str) -> Result<Effect, EngineError> {
        if domain.kind == Kind::Container {
            return Err(EngineError::refuse("snapshot_unsupported", "libvirt takes no snapshots of containers"));
        }
        self.clock = self.clock.saturating_add(1);
        let taken_at = self.clock;
        let kept = self.find(domain)?;
        if kept.snapshots.iter().any(|(one, _)| one.name == name) {
            return Ok(Effect { already: true, ..Effect::made(name) });
        }
        let state = if kept.state.is_up() { "running" } else { "shutoff" };
        for (one, _) in &mut kept.snapshots {
            one.current = false;
        }
        let (name, description, state) = (name.to_owned(), description.to_owned(), state.to_owned());
        let id = name.clone();
        let taken = SeenSnapshot { name, description, taken_at, state, external: false, current: true };
        let past = kept.now();
        kept.snapshots.push((taken, past));
        Ok(Effect::made(id))
    }

    fn revert(&mut self, domain: DomainRef, name: &str, events: &mut Events) -> Result<Effect, EngineError> {
        let kept = self.find(domain)?;
        let found = kept.snapshots.iter().find(|(one, _)| one.name == name).map(|(_, past)| past.clone());
        let past = found.ok_or_else(|| no("Domain snapshot", name))?;
        let state = past.state;
        kept.go_back(past);
        for (one, _) in &mut kept.snapshots {
            one.current = one.name == name;
        }
        events.push((domain, Change::lifecycle(if state.is_up() { 2 } else { 5 }, 0)));
        Ok(Effect::done())
    }
}

/// Done, or found done.
fn done(changed: bool) -> Effect {
    Effect { already: !changed, ..Effect::default() }
}
