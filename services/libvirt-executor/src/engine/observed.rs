//! What libvirt has, as far as machines are concerned: plain data, read once.

use std::net::{IpAddr, Ipv4Addr};

use uuid::Uuid;

use super::{DomainRef, Kind};

/// What to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The pool whose volumes matter; none leaves volumes out.
    pub pool: Option<String>,
    /// Whether networks matter.
    pub networks: bool,
    /// No domain is looked at: what a host has around them is asked for.
    pub no_domains: bool,
    /// Only the domain with this UUID in full; the others, ours too, are told in short.
    pub only: Option<Uuid>,
    /// State and metadata alone: no hash of the definition, no addresses, no snapshots. Enough to judge, not to act.
    pub in_short: bool,
}

impl Scope {
    /// Everything, with the volumes of this pool.
    #[must_use]
    pub fn all(pool: impl Into<String>) -> Self {
        Self { pool: Some(pool.into()), networks: true, ..Self::default() }
    }
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The domains that carry our metadata, by name.
    pub domains: Vec<Seen>,
    /// Every other domain.
    pub others: Vec<Other>,
    /// The volumes of the pool that was asked for, by name.
    pub volumes: Vec<SeenVolume>,
    /// Every network, by name.
    pub networks: Vec<SeenNetwork>,
}

impl Observed {
    /// The domain with this UUID.
    #[must_use]
    pub fn domain(&self, uuid: Uuid) -> Option<&Seen> {
        self.domains.iter().find(|seen| seen.domain.uuid == uuid)
    }

    /// The volume with this name.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&SeenVolume> {
        self.volumes.iter().find(|volume| volume.name == name)
    }

    /// The network with this name.
    #[must_use]
    pub fn network(&self, name: &str) -> Option<&SeenNetwork> {
        self.networks.iter().find(|network| network.name == name)
    }
}

/// What a domain does (`virDomainState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or waits for its host's input and output.
    Running,
    /// It stands still.
    Paused,
    /// It is ending.
    ShuttingDown,
    /// It does not run.
    Off,
    /// It ended by a fault of its own.
    Crashed,
    /// It sleeps, and wakes by a word of ours.
    Asleep,
    /// libvirt does not know.
    Unknown,
}

impl State {
    /// Whether there is a process for it.
    #[must_use]
    pub const fn is_up(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::ShuttingDown | Self::Asleep => true,
            Self::Off | Self::Crashed | Self::Unknown => false,
        }
    }

    /// Whether it stands still because a daemon died while it took a snapshot. One that somebody suspended ("user") does not.
    #[must_use]
    pub fn is_left_behind(self, reason: &str) -> bool {
        self == Self::Paused && matches!(reason, "unknown" | "save" | "snapshot")
    }

    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::ShuttingDown => "shutting down",
            Self::Off => "off",
            Self::Crashed => "crashed",
            Self::Asleep => "asleep",
            Self::Unknown => "unknown",
        }
    }
}

/// A domain of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub domain: DomainRef,
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: State,
    /// Why, in a word of libvirt's: `booted`, `shutdown`, `destroyed`, `from snapshot`.
    pub reason: &'static str,
    /// Whether it is there when it does not run.
    pub persistent: bool,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Whether its memory was saved when its host stopped.
    pub saved: bool,
    /// The JSON text beside its definition.
    pub metadata: String,
    /// SHA-256 (hex) of what its inactive definition says: elements, attributes and text, without metadata and white space.
    /// Another one than after our own last act tells of somebody's hand. None in short.
    pub hash: Option<String>,
    /// How many processors it has.
    pub vcpus: u32,
    /// How much memory it may have, in bytes.
    pub memory: u64,
    /// Where it can be reached, as far as anybody knows.
    pub addresses: Vec<Address>,
    /// Whether it runs with an interface of which nobody knows an address.
    pub unaddressed: bool,
    /// Its snapshots, the oldest first.
    pub snapshots: Vec<SeenSnapshot>,
}

/// A domain that is not ours, or not in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Which.
    pub domain: DomainRef,
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: State,
    /// Whether it carries our metadata.
    pub ours: bool,
}

/// An address of a domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The interface's address, in lower case.
    pub mac: String,
    /// The address.
    pub ip: IpAddr,
    /// Who says so.
    pub source: AddressSource,
}

/// Who knows an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressSource {
    /// libvirt itself, which has set it.
    Set,
    /// The DHCP server of libvirt's network.
    Lease,
    /// The agent in the guest.
    Agent,
    /// The host's table of neighbours.
    Arp,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenSnapshot {
    /// Its name.
    pub name: String,
    /// What a person wrote about it.
    pub description: String,
    /// When it was taken, in seconds of the epoch.
    pub taken_at: i64,
    /// What the domain did then: `running`, `shutoff`, `disk-snapshot`.
    pub state: String,
    /// Whether it lies in files of its own.
    pub external: bool,
    /// Whether the domain goes on from it.
    pub current: bool,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenVolume {
    /// Its name.
    pub name: String,
    /// Its file on the daemon's host.
    pub path: String,
    /// How much it holds, in bytes.
    pub capacity: u64,
    /// How much of the host it takes, in bytes.
    pub allocation: u64,
    /// How it is written: `qcow2`, `raw`, `iso`.
    pub format: String,
    /// The file that it lies over.
    pub backing: Option<String>,
    /// Whether an upload has filled it to its end.
    pub uploaded: bool,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenNetwork {
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub active: bool,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Its bridge on the host.
    pub bridge: Option<String>,
    /// The JSON text that its definition carries, when it is ours.
    pub metadata: Option<String>,
    /// SHA-256 (hex) of what its definition says, without metadata and reservations.
    pub hash: String,
    /// Its IPv4 addresses.
    pub subnets: Vec<Subnet>,
    /// Addresses that are reserved.
    pub reservations: Vec<Reservation>,
}

/// The addresses of a network (`<ip>` of its definition).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The host's own.
    pub gateway: Ipv4Addr,
    /// How many bits they have in common.
    pub prefix: u8,
}

impl Subnet {
    /// Whether a guest may have this address.
    #[must_use]
    pub fn has(self, ip: Ipv4Addr) -> bool {
        let network = |ip: Ipv4Addr| ip.to_bits().checked_shr(32_u32.saturating_sub(self.prefix.into())).unwrap_or_default();
        network(ip) == network(self.gateway) && ip != self.gateway
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.gateway, self.prefix)
    }
}

/// An address that the DHCP server keeps for an interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reservation {
    /// The interface's address, in lower case.
    pub mac: String,
    /// The address.
    pub ip: IpAddr,
    /// The name that goes with it.
    pub name: String,
}

/// What a domain uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Which.
    pub domain: DomainRef,
    /// Which of its lives this is: another number after each start, with which everything is counted from nothing.
    pub life: u32,
    /// Time that its processors took since it started, in nanoseconds.
    pub cpu_time: u64,
    /// How many processors it has now.
    pub vcpus: u32,
    /// Memory that it has now (a virtual machine's balloon; what a container uses), in bytes.
    pub memory: u64,
    /// Memory of the host that it takes, in bytes.
    pub resident: u64,
    /// What went over its disks; none where nobody counts it, and while it is busy with something else.
    pub disks: Option<DiskTraffic>,
    /// Bytes received by its interfaces.
    pub received: u64,
    /// Bytes sent by its interfaces.
    pub sent: u64,
}

impl Figures {
    /// Nothing used yet.
    #[must_use]
    pub const fn none(domain: DomainRef) -> Self {
        Self { domain, life: 0, cpu_time: 0, vcpus: 0, memory: 0, resident: 0, disks: None, received: 0, sent: 0 }
    }
}

/// What went over the disks of a domain, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskTraffic {
    /// Read from them.
    pub read: u64,
    /// Written to them.
    pub written: u64,
}

/// What runs a guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself: `<domain type='kvm'>`.
    Kvm,
    /// Software: `<domain type='qemu'>`.
    Tcg,
}

impl Accelerator {
    /// The word of `<domain type='…'>`.
    #[must_use]
    pub const fn domain_type(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "qemu",
        }
    }
}

/// Which snapshots the daemon can bring a machine back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotKinds {
    /// Those inside of a machine's qcow2 disks, with a BIOS.
    pub internal: bool,
    /// The same with UEFI firmware.
    pub internal_with_uefi: bool,
    /// Those in files of their own.
    pub external: bool,
}

impl SnapshotKinds {
    /// What a daemon of this version can (1,000,000 times the major, 1,000 times the minor, and the release).
    #[must_use]
    pub const fn of(version: u32) -> Self {
        Self { internal: true, internal_with_uefi: version >= 10_010_000, external: version >= 9_009_000 }
    }
}

/// `9.0.0` of 9000000: a version as libvirt counts it, in the words of people.
#[must_use]
pub fn version_words(number: u32) -> String {
    format!("{}.{}.{}", number / 1_000_000, number / 1000 % 1000, number % 1000)
}

/// What the host of the daemon has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostSize {
    /// Processors that are in use.
    pub cpus: u32,
    /// Memory, in bytes.
    pub memory: u64,
}

/// What the engine can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its host.
    pub host: HostSize,
    /// The daemon's version: 1,000,000 times the major, 1,000 times the minor, and the release.
    pub version: u32,
    /// The version of QEMU, counted the same way.
    pub hypervisor: u32,
    /// What runs guests: found by trying.
    pub accelerator: Accelerator,
    /// Whether there is firmware for `<os firmware='efi'>`.
    pub uefi: bool,
    /// Whether containers can run.
    pub containers: bool,
    /// Whether an interface of type `user` can have the backend passt, which forwards ports.
    pub passt: bool,
    /// Which snapshots it can revert to.
    pub snapshots: SnapshotKinds,
}

impl Capabilities {
    /// Whether this kind of domain can run at all.
    #[must_use]
    pub const fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Vm => true,
            Kind::Container => self.containers,
        }
    }
}
