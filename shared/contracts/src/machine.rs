//! Machines and boxes as they cross a wire: what became of them, what libvirt says of them now, and how a machine is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::BoxFormat;
use crate::heads::Desired;
use crate::ids::{Digest, MachineId, Name};
use crate::observed::Drift;
use crate::rest::VersionFile;
use crate::time::Time;

/// What a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MachineKind {
    /// A virtual machine, by QEMU.
    Vm,
    /// A system container, by libvirt's LXC driver.
    Container,
}

impl MachineKind {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Container => "container",
        }
    }
}

/// What became of a machine, on `orrery.events.machine.<id>`; published before the DONE of its command. `event_id` is derived
/// from command and change ([`MachineEvent::derive_id`]), so that a repeat changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineEvent {
    /// Derived; see [`MachineEvent::derive_id`].
    pub event_id: Uuid,
    /// The machine.
    pub machine_id: MachineId,
    /// The command that caused it.
    pub seq: u64,
    /// When, by the executor's clock.
    pub at: Time,
    /// What changed.
    #[serde(flatten)]
    pub change: MachineChange,
}

impl MachineEvent {
    /// The id of the event that the command at `seq` causes by this change: the same for every repeat of it.
    #[must_use]
    pub fn derive_id(machine_id: MachineId, seq: u64, attempt: u32, change: &MachineChange) -> Uuid {
        let what = match change {
            MachineChange::Created { .. } => "created".to_owned(),
            MachineChange::VersionCreated { version, .. } => format!("version:{version}"),
            MachineChange::HeadMoved { current, .. } => format!("head:{current:?}:{attempt}"),
            MachineChange::DesiredChanged { desired } => format!("desired:{desired:?}:{attempt}"),
            MachineChange::Deleted { .. } => "deleted".to_owned(),
        };
        Uuid::new_v5(&machine_id.uuid(), format!("{seq}:{what}").as_bytes())
    }
}

/// A change of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum MachineChange {
    /// The machine exists.
    Created {
        /// Its name, unique per owner.
        name: Name,
        /// Who owns it.
        owner: Name,
        /// The name of its domain.
        domain: String,
        /// The host that it lives on.
        host: String,
    },
    /// A version was written.
    VersionCreated {
        /// Its number, from 1, without gaps.
        version: u32,
        /// The number before it.
        parent: Option<u32>,
        /// Who wrote it.
        author: Name,
        /// What the author says about it.
        comment: String,
        /// The bundle.
        digest: Digest,
        /// What is in the bundle.
        files: Vec<VersionFile>,
    },
    /// The version that was applied has changed.
    HeadMoved {
        /// The version that was applied last and ended well.
        current: Option<u32>,
        /// What it is, in short; none when none is applied.
        machine: Option<MachineSummary>,
    },
    /// Whether the machine should run has changed.
    DesiredChanged {
        /// What is wanted now.
        desired: Desired,
    },
    /// The machine is gone; its versions stay in the log.
    Deleted {
        /// Whether its disks went too.
        disks: bool,
    },
}

/// What a version of a machine is, in short: what a list shows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineSummary {
    /// What it is.
    pub kind: MachineKind,
    /// Its processors.
    pub cpus: u32,
    /// Its memory, in bytes.
    pub memory: u64,
    /// What it begins with: `box debian-12`, `kernel linux-6.1`.
    pub source: String,
    /// The ports of the host that lead to it.
    pub ports: Vec<MachinePort>,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Whether it has a serial console; what was told before this was asked has one, as definitions do that do not say.
    #[serde(default = "yes")]
    pub console: bool,
    /// Whether it has a screen.
    #[serde(default)]
    pub screen: bool,
}

const fn yes() -> bool {
    true
}

/// A port of the host that leads to a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct MachinePort {
    /// The address on the host; `0.0.0.0` and `::` are all of them.
    pub host_ip: String,
    /// The port on the host.
    pub host_port: u16,
    /// The port in the guest.
    pub guest_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// What a domain does (`virDomainState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DomainState {
    /// Runs.
    Running,
    /// Stands still, in memory.
    Paused,
    /// Was asked to end, and is about to.
    ShuttingDown,
    /// Is off.
    Off,
    /// Has crashed.
    Crashed,
    /// The guest has put itself to sleep.
    Asleep,
}

impl DomainState {
    /// Whether there is a guest in memory.
    #[must_use]
    pub const fn is_up(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::ShuttingDown | Self::Asleep => true,
            Self::Off | Self::Crashed => false,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::ShuttingDown => "shutting_down",
            Self::Off => "off",
            Self::Crashed => "crashed",
            Self::Asleep => "asleep",
        }
    }
}

/// A snapshot of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub created_at: Time,
    /// Whether the guest's memory is in it.
    pub running: bool,
}

/// A domain that libvirt has, on `orrery.observed.<host>.machine.<uuid>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineObservation {
    /// The domain's UUID.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// The host.
    pub host: String,
    /// The installation that its metadata names; none for what Orrery did not make.
    pub installation: Option<Uuid>,
    /// The machine that its metadata names.
    pub machine_id: Option<MachineId>,
    /// What it is.
    pub kind: MachineKind,
    /// The version that its metadata names.
    pub version: Option<u32>,
    /// What it does.
    pub state: DomainState,
    /// Why, in libvirt's words: `booted`, `destroyed`, `panicked`.
    pub reason: String,
    /// Its processors.
    pub cpus: u32,
    /// Its memory, in bytes.
    pub memory: u64,
    /// Its addresses, as far as leases, agent or ARP tell them.
    pub addresses: Vec<String>,
    /// The ports of the host that lead to it now.
    #[serde(default)]
    pub ports: Vec<MachinePort>,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// What differs from the version that it was defined for.
    pub drift: Vec<Drift>,
    /// The listing or event stream that this came from; grows with each connection to libvirt.
    pub epoch: u64,
}

/// A box that the pool has, on `orrery.observed.<host>.box.<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoxObservation {
    /// Its name.
    pub name: String,
    /// The host.
    pub host: String,
    /// What it is, once imported: never [`BoxFormat::Vagrant`].
    pub format: BoxFormat,
    /// The SHA-256 of what was imported.
    pub sha256: Digest,
    /// The bytes that it takes in the pool.
    pub size: u64,
    /// The bytes that a disk made of it has at least.
    pub capacity: u64,
    /// What it is for.
    pub description: String,
    /// Where it came from: an address without what may be secret in it, or `upload`.
    pub origin: String,
    /// When it was imported.
    pub imported_at: Time,
    /// The machines whose disks lie on it.
    pub used_by: Vec<MachineId>,
    /// The listing that this came from.
    pub epoch: u64,
}

/// Body of `POST /boxes`: exactly one of `url` and `upload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBox {
    /// The name that definitions use.
    pub name: String,
    /// Where it is fetched from: `http://`, `https://`; or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// the SHA-256 of a file that was uploaded to `/uploads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// The SHA-256 that it must have, in lower-case hexadecimal digits; asked for with an address that is not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What it is; found out from its first bytes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<BoxFormat>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// How a machine is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MachineStatus {
    /// Nothing was applied yet.
    Created,
    /// A command changes it, or waits to.
    Deploying,
    /// It runs, as its version says.
    Running,
    /// It should run, and does not.
    Degraded,
    /// It should not run, and does not.
    Stopped,
    /// It stands still.
    Suspended,
    /// It runs, and differs from its version.
    Drifted,
    /// A command of it has failed.
    Failed,
    /// It is being removed.
    Deleting,
}

/// What a machine's status follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineFacts {
    /// Whether it should run.
    pub desired: Desired,
    /// A `machine.delete` has not ended.
    pub deleting: bool,
    /// A command that changes it is RUNNING, or PENDING.
    pub changing: bool,
    /// A command of it is FAILED.
    pub failed: bool,
    /// What its domain does; none when there is none.
    pub state: Option<DomainState>,
    /// Its domain differs from its version.
    pub drifted: bool,
}

impl MachineStatus {
    /// The word for these facts; the more urgent one wins.
    #[must_use]
    pub const fn derive(facts: &MachineFacts) -> Self {
        if facts.failed {
            return Self::Failed;
        }
        if facts.deleting {
            return Self::Deleting;
        }
        if facts.changing {
            return Self::Deploying;
        }
        match (facts.desired, facts.state) {
            (Desired::Created, _) => Self::Created,
            (_, Some(DomainState::Paused)) => Self::Suspended,
            (Desired::Stopped, _) => Self::Stopped,
            (Desired::Running, Some(DomainState::Running)) if facts.drifted => Self::Drifted,
            (Desired::Running, Some(DomainState::Running)) => Self::Running,
            (Desired::Running, _) => Self::Degraded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_urgent_word_wins() {
        let calm = MachineFacts {
            desired: Desired::Running,
            deleting: false,
            changing: false,
            failed: false,
            state: Some(DomainState::Running),
            drifted: false,
        };
        let word = |facts| MachineStatus::derive(&facts);
        assert_eq!(word(calm), MachineStatus::Running);
        assert_eq!(word(MachineFacts { drifted: true, ..calm }), MachineStatus::Drifted);
        assert_eq!(word(MachineFacts { state: Some(DomainState::Off), ..calm }), MachineStatus::Degraded);
        assert_eq!(word(MachineFacts { state: None, ..calm }), MachineStatus::Degraded);
        assert_eq!(word(MachineFacts { state: Some(DomainState::Paused), ..calm }), MachineStatus::Suspended);
        assert_eq!(word(MachineFacts { desired: Desired::Stopped, state: Some(DomainState::Off), ..calm }), MachineStatus::Stopped);
        assert_eq!(word(MachineFacts { failed: true, changing: true, ..calm }), MachineStatus::Failed);
    }

    #[test]
    fn an_event_repeated_has_one_id_and_another_attempt_another() {
        let (id, change) = (MachineId::new(Uuid::nil()), MachineChange::DesiredChanged { desired: Desired::Running });
        assert_eq!(MachineEvent::derive_id(id, 7, 1, &change), MachineEvent::derive_id(id, 7, 1, &change));
        assert_ne!(MachineEvent::derive_id(id, 7, 1, &change), MachineEvent::derive_id(id, 7, 2, &change));
    }
}
