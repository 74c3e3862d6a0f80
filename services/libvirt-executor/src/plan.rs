//! What an apply has to do, from what is wanted and what there is. Pure.

use orrery_contracts::{FieldChange, Plan, PlanAction, PlanKept, PlanNote};
use orrery_machine::model::Carrier;
use orrery_machine::{Applies, Machine, applies_to, diff};
use orrery_queue::ports::{Held, PORT_TAKEN, taken};

use crate::definition::{Desired, Pool, Record, is_seed};
use crate::engine::{NewVolume, Observed, Reservation, Seen, State};

/// What the guest takes while it runs. The format says more (`applies_to`); whatever is not here takes another boot.
const LIVE: [&str; 6] = ["description", "labels", "autostart", "ready", "stop_grace_period", "shares.cpu"];

/// What is known besides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Circumstances<'a> {
    /// The definition that the domain was made for, when it is known.
    pub old: Option<&'a Machine>,
    /// Who else holds ports of the host that the version wants.
    pub held: &'a [Held],
}

/// What is to be done with the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainAction {
    /// It is as it should be, and runs.
    Keep,
    /// It is as it should be, and does not run.
    Start,
    /// It stands still, and should go on.
    Resume,
    /// There is none.
    Create,
    /// Its definition becomes another one, and the guest notices nothing.
    Redefine,
    /// Its definition becomes another one, and the guest boots again.
    Restart,
}

/// Why an apply cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A stable code.
    pub code: &'static str,
    /// What is in the way, and what to do.
    pub message: String,
}

/// Everything that an apply has to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Todo {
    /// Whether the pool must be made first.
    pub pool: bool,
    /// Networks that are not there.
    pub networks: Vec<String>,
    /// Addresses that are to be reserved, by network.
    pub reserve: Vec<(String, Reservation)>,
    /// Addresses that were reserved for it, and are not any more.
    pub release: Vec<(String, Reservation)>,
    /// Volumes that are not there.
    pub volumes: Vec<NewVolume>,
    /// Whether the root filesystem must be unpacked.
    pub root: bool,
    /// Volumes that are too small, and how much they should hold.
    pub grow: Vec<(String, u64)>,
    /// Whether the seed disk must be made.
    pub seed: bool,
    /// Seed disks of other versions, which nothing reads any more once the domain is as it should be.
    pub stale: Vec<String>,
    /// What is to be done with the domain.
    pub domain: DomainAction,
    /// Why.
    pub reason: String,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// Whether its start with the host is to be set.
    pub autostart: bool,
    /// What is in the way.
    pub refusals: Vec<Refusal>,
}

/// Compares.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, circumstances: &Circumstances<'_>) -> Todo {
    let seen = observed.domain(desired.identity.machine.uuid());
    let changes = fields(desired, circumstances);
    let volumes: Vec<NewVolume> = desired.disks.iter().filter(|disk| observed.volume(&disk.name).is_none()).cloned().collect();
    let grow = desired.disks.iter().filter(|disk| observed.volume(&disk.name).is_some_and(|there| there.capacity < disk.capacity));
    let grow: Vec<(String, u64)> = grow.map(|disk| (disk.name.clone(), disk.capacity)).collect();
    let (domain, reason) = match domain(desired, seen, &changes, circumstances.old) {
        (DomainAction::Keep | DomainAction::Redefine, _) if !grow.is_empty() && seen.is_some_and(|seen| seen.state.is_up()) => {
            (DomainAction::Restart, "a disk grows, which it does while nobody uses it".to_owned())
        }
        decided => decided,
    };
    let seed = desired.seed.as_ref().is_some_and(|seed| !observed.volume(&seed.volume).is_some_and(|there| there.uploaded));
    let root = desired.root.as_ref().is_some_and(|root| observed.volume(&root.volume).is_none());
    let down = |name: &&String| observed.network(name).is_none_or(|network| !network.active);
    Todo {
        pool: (!volumes.is_empty() || seed) && observed.volumes.is_empty(),
        networks: desired.networks.keys().filter(down).cloned().collect(),
        reserve: desired.reservations().into_iter().filter(|(network, one)| !reserved(observed, network, one)).collect(),
        release: released(desired, observed),
        volumes,
        root,
        grow,
        seed,
        stale: stale(desired, observed, seen),
        domain,
        reason,
        autostart: seen.is_none_or(|seen| seen.autostart != desired.machine.autostart) && (seen.is_some() || desired.machine.autostart),
        refusals: ports(desired, circumstances.held).chain(refusals(desired, observed, seen, &changes)).collect(),
        changes,
    }
}

fn reserved(observed: &Observed, network: &str, one: &Reservation) -> bool {
    observed.network(network).is_some_and(|network| network.active && network.reservations.contains(one))
}

/// What its networks keep for it by its name, and the definition does not ask for.
fn released(desired: &Desired, observed: &Observed) -> Vec<(String, Reservation)> {
    let wanted = desired.reservations();
    let all = observed.networks.iter().flat_map(|network| network.reservations.iter().map(|one| (network.name.clone(), one.clone())));
    let its = |one: &Reservation| one.name == desired.identity.domain;
    // One whose address differs is replaced when the new one is reserved.
    all.filter(|(network, one)| its(one) && !wanted.iter().any(|(of, other)| of == network && other.mac == one.mac)).collect()
}

/// The seeds of other versions. A snapshot names the seed of its time, so that all stay while there is one.
fn stale(desired: &Desired, observed: &Observed, seen: Option<&Seen>) -> Vec<String> {
    if seen.is_some_and(|seen| !seen.snapshots.is_empty()) {
        return Vec::new();
    }
    let now = desired.seed.as_ref().map(|seed| seed.volume.as_str());
    let names = observed.volumes.iter().map(|volume| volume.name.as_str());
    names.filter(|name| is_seed(desired.identity.machine, name) && Some(*name) != now).map(str::to_owned).collect()
}

fn fields(desired: &Desired, circumstances: &Circumstances<'_>) -> Vec<FieldChange> {
    let Some(old) = circumstances.old else { return Vec::new() };
    let changes = diff(old, &desired.machine).into_iter();
    changes.map(|change| FieldChange { path: change.path, from: change.from, to: change.to }).collect()
}

fn domain(desired: &Desired, seen: Option<&Seen>, changes: &[FieldChange], old: Option<&Machine>) -> (DomainAction, String) {
    let Some(seen) = seen else { return (DomainAction::Create, "it does not exist".to_owned()) };
    let record = Record::read(&seen.metadata);
    let same = record.as_ref().is_some_and(|record| record.definition == desired.definition);
    let untouched = record.as_ref().is_some_and(|record| record.taken.is_some() && record.taken == seen.hash);
    let up = seen.state.is_up();
    // What passt carries stands in the definition of the domain; what we carry is none of the guest's business.
    let carried = [Some(&desired.machine), old].into_iter().flatten().flat_map(|machine| &machine.ports);
    let ports_are_ours = carried.into_iter().all(|forward| forward.by == Carrier::Executor);
    let live = |change: &FieldChange| {
        let below = |key: &str| change.path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        LIVE.iter().any(|key| below(key)) || below("ports") && ports_are_ours
    };
    let boots = changes.is_empty() || !changes.iter().all(live);
    let version = record.as_ref().map(|record| record.version);
    match (same, untouched) {
        // What differs is not in libvirt's definition; the record beside it says which version it is of.
        (true, true) if version != Some(desired.identity.version) => (DomainAction::Redefine, format!("{} differ", named(changes))),
        (true, true) if seen.state == State::Paused => (DomainAction::Resume, "it stands still".to_owned()),
        (true, true) if up => (DomainAction::Keep, "it runs as the version says".to_owned()),
        (true, true) => (DomainAction::Start, format!("it is {} ({})", seen.state.word(), seen.reason)),
        (true, false) if up => (DomainAction::Restart, "its definition was changed outside of Orrery".to_owned()),
        (true, false) => (DomainAction::Redefine, "its definition was changed outside of Orrery".to_owned()),
        (false, _) if up && boots => (DomainAction::Restart, format!("{} take effect when it boots again", named(changes))),
        (false, _) => (DomainAction::Redefine, format!("{} differ", named(changes))),
    }
}

fn named(changes: &[FieldChange]) -> String {
    let paths: Vec<&str> = changes.iter().take(3).map(|change| change.path.as_str()).collect();
    match (paths.as_slice(), changes.len()) {
        ([], _) => "parts of its definition".to_owned(),
        (some, all) if all > some.len() => format!("{} and {} more", some.join(", "), all.saturating_sub(some.len())),
        (some, _) => some.join(", "),
    }
}

/// The ports that the version wants and somebody else holds.
pub(crate) fn ports<'a>(desired: &Desired, held: &'a [Held]) -> impl Iterator<Item = Refusal> + use<'a> {
    let of = format!("machine {}", desired.identity.domain);
    held.iter().map(move |held| Refusal { code: PORT_TAKEN, message: taken(&held.port, &of, &held.holder) })
}

fn refusals(desired: &Desired, observed: &Observed, seen: Option<&Seen>, changes: &[FieldChange]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if let Some(other) = observed.others.iter().find(|other| other.name == desired.identity.domain && seen.is_none()) {
        let message = format!("a domain named {} is there already, and Orrery did not make it; rename or remove it", other.name);
        refusals.push(Refusal { code: "name_taken", message });
    }
    refusals.extend(addresses_outside(desired, observed));
    for change in changes.iter().filter(|_| seen.is_some()) {
        let (code, message) = match applies_to(&change.path) {
            Applies::Live | Applies::NextBoot => continue,
            Applies::NewDisk => (
                "new_disk",
                format!(
                    "{} differs, which takes a new disk, and what is on the old one would be lost: make another machine, or delete this one with its disks and apply again",
                    change.path
                ),
            ),
            Applies::Never => ("another_machine", format!("{} cannot change: make another machine", change.path)),
        };
        refusals.push(Refusal { code, message });
    }
    refusals
}

/// An address that its network does not have.
fn addresses_outside(desired: &Desired, observed: &Observed) -> Vec<Refusal> {
    let outside = |(name, one): (String, Reservation)| {
        let (network, std::net::IpAddr::V4(ip)) = (observed.network(&name)?, one.ip) else { return None };
        if network.subnets.is_empty() || network.subnets.iter().any(|subnet| subnet.has(ip)) {
            return None;
        }
        let has: Vec<String> = network.subnets.iter().map(ToString::to_string).collect();
        let message = format!("{ip} is no address for a guest of the network {name}, which has {}: take another one", has.join(", "));
        Some(Refusal { code: "address_outside", message })
    };
    desired.reservations().into_iter().filter_map(outside).collect()
}

impl Todo {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_met() && self.release.is_empty() && self.stale.is_empty()
    }

    /// Whether the machine is as it should be, whatever of an older version lies beside it.
    #[must_use]
    pub fn is_met(&self) -> bool {
        let nothing_around = self.networks.is_empty() && self.volumes.is_empty() && self.grow.is_empty() && !self.seed && !self.root;
        let nothing_around = nothing_around && self.reserve.is_empty() && !self.autostart;
        nothing_around && self.domain == DomainAction::Keep
    }

    /// As a person reads it.
    #[must_use]
    pub fn shown(&self, desired: &Desired) -> Plan {
        let mut actions: Vec<PlanAction> = Vec::new();
        let mut add = |action: &str, subject: &str, reason: String, changes: Vec<FieldChange>| {
            let n = u32::try_from(actions.len()).unwrap_or(u32::MAX).saturating_add(1);
            let after = (1..n).collect();
            let (action, subject) = (action.to_owned(), subject.to_owned());
            actions.push(PlanAction { n, action, subject, service: None, reason, changes, after });
        };
        if self.pool {
            add("pool.ensure", Pool::NAME, "volumes need a place".to_owned(), Vec::new());
        }
        for network in &self.networks {
            add("network.ensure", network, "it is not up".to_owned(), Vec::new());
        }
        for (network, one) in &self.reserve {
            add("address.reserve", &format!("{} on {network}", one.ip), "it is kept for the machine".to_owned(), Vec::new());
        }
        for volume in &self.volumes {
            let reason = if volume.backing.is_some() { "a disk over its box" } else { "an empty disk" };
            add("volume.create", &volume.name, reason.to_owned(), Vec::new());
        }
        if let Some(root) = desired.root.as_ref().filter(|_| self.root) {
            add("root.unpack", &root.volume, "a root filesystem from its archive".to_owned(), Vec::new());
        }
        for (volume, capacity) in &self.grow {
            add("volume.resize", volume, format!("it should hold {capacity} bytes"), Vec::new());
        }
        if let Some(seed) = desired.seed.as_ref().filter(|_| self.seed) {
            add("volume.upload", &seed.volume, "cloud-init reads it at the first boot".to_owned(), Vec::new());
        }
        let subject = &desired.identity.domain;
        let word = match self.domain {
            DomainAction::Keep => None,
            DomainAction::Start => Some("machine.start"),
            DomainAction::Resume => Some("machine.resume"),
            DomainAction::Create => Some("machine.create"),
            DomainAction::Redefine => Some("machine.update"),
            DomainAction::Restart => Some("machine.restart"),
        };
        if let Some(word) = word {
            add(word, subject, self.reason.clone(), self.changes.clone());
        }
        if self.autostart {
            let reason = if desired.machine.autostart { "it starts with the host" } else { "it does not start with the host" };
            add("machine.autostart", subject, reason.to_owned(), Vec::new());
        }
        for (network, one) in &self.release {
            add("address.release", &format!("{} on {network}", one.ip), "nobody asks for it any more".to_owned(), Vec::new());
        }
        for volume in &self.stale {
            add("volume.remove", volume, "it is the seed of another version".to_owned(), Vec::new());
        }
        let kept = match self.domain {
            DomainAction::Keep => vec![PlanKept { subject: subject.clone(), service: String::new(), reason: self.reason.clone() }],
            DomainAction::Start | DomainAction::Resume | DomainAction::Create | DomainAction::Redefine | DomainAction::Restart => {
                Vec::new()
            }
        };
        let notes = self.refusals.iter().map(|refusal| PlanNote::error(refusal.message.clone())).collect();
        Plan { empty: actions.is_empty(), actions, kept, notes }
    }
}
