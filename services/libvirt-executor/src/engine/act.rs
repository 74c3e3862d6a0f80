//! What can be done to libvirt, one act at a time, and what it came to.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::observed::Reservation;
use super::{DomainRef, Kind};

/// How a disk image is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As it is.
    Raw,
    /// QEMU's, which may lie over another.
    Qcow2,
}

impl Format {
    /// The word of `<format type='…'/>`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// What a disk image lies over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// Which image.
    pub image: BackingImage,
    /// How it is written; never guessed, since a guest could write a header of its own into a raw one.
    pub format: Format,
}

/// The image below an overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackingImage {
    /// A volume of the same pool, by name.
    Volume(String),
    /// A file of the daemon's host.
    Path(PathBuf),
}

/// What is uploaded.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file of the executor's own.
    File(PathBuf),
    /// These bytes.
    Bytes(Bytes),
}

/// A volume to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVolume {
    /// Its pool.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// How much it holds, in bytes.
    pub capacity: u64,
    /// How it is written.
    pub format: Format,
    /// What it lies over.
    pub backing: Option<Backing>,
}

/// One act on the engine.
#[derive(Clone, Debug)]
pub enum Act {
    /// Makes a pool of volumes in a folder of the daemon's host, starts it, and has it started with the host.
    EnsurePool {
        /// Its name.
        name: String,
        /// The folder; made when it is not there.
        path: PathBuf,
    },
    /// Makes a volume. One of this name that is there is found, whatever it holds.
    CreateVolume(NewVolume),
    /// Fills a volume. One that was filled to its end before is found.
    Upload {
        /// The pool.
        pool: String,
        /// The volume.
        name: String,
        /// With what.
        source: Source,
        /// How many bytes that is.
        size: u64,
    },
    /// Gives a volume a greater capacity, in bytes. It never shrinks one.
    ResizeVolume {
        /// The pool.
        pool: String,
        /// The volume.
        name: String,
        /// The capacity.
        capacity: u64,
    },
    /// Removes a volume with all that is in it.
    RemoveVolume {
        /// The pool.
        pool: String,
        /// The volume.
        name: String,
    },
    /// Defines a network, starts it, and has it started with the host. One of this name that is there keeps its definition.
    EnsureNetwork {
        /// The name that the definition gives it.
        name: String,
        /// `<network>`.
        xml: String,
    },
    /// Stops a network and forgets it.
    RemoveNetwork {
        /// Its name.
        name: String,
    },
    /// Reserves an address of a network for an interface (`<host>` below `<dhcp>`), now and for later.
    Reserve {
        /// The network.
        network: String,
        /// For whom, and which.
        reservation: Reservation,
    },
    /// Gives a reserved address back.
    Release {
        /// The network.
        network: String,
        /// The interface's address.
        mac: String,
    },
    /// Defines a domain, or gives the one with this `<uuid>` another definition.
    Define {
        /// Which driver.
        kind: Kind,
        /// `<domain>`, with a `<uuid>`.
        xml: String,
    },
    /// Forgets a domain with its firmware's variables, saved state, snapshots' and checkpoints' metadata. Its volumes stay.
    Undefine {
        /// Which.
        domain: DomainRef,
    },
    /// Starts a domain.
    Start {
        /// Which.
        domain: DomainRef,
        /// Before its first instruction, so that a console misses nothing.
        paused: bool,
    },
    /// Asks the guest to end, again and again, and ends it when the time is over.
    Shutdown {
        /// Which.
        domain: DomainRef,
        /// How long it may take.
        grace: Duration,
    },
    /// Ends a domain at once.
    Destroy {
        /// Which.
        domain: DomainRef,
    },
    /// Asks the guest to start again, again and again, and has it do so when the time is over.
    Reboot {
        /// Which.
        domain: DomainRef,
        /// How long it may take.
        grace: Duration,
    },
    /// Holds a domain still.
    Suspend {
        /// Which.
        domain: DomainRef,
    },
    /// Lets it go on.
    Resume {
        /// Which.
        domain: DomainRef,
    },
    /// Whether it starts with the host.
    SetAutostart {
        /// Which.
        domain: DomainRef,
        /// Whether.
        on: bool,
    },
    /// Writes a JSON text of ours beside its definition, now and for later.
    SetMetadata {
        /// Which.
        domain: DomainRef,
        /// The text.
        json: String,
    },
    /// How many processors it has, now and for later.
    SetVcpus {
        /// Which.
        domain: DomainRef,
        /// How many.
        count: u32,
    },
    /// How much memory it has, in bytes, now and for later.
    SetMemory {
        /// Which.
        domain: DomainRef,
        /// How much.
        bytes: u64,
    },
    /// Its weight among the others when processors are short, now and for later.
    SetShares {
        /// Which.
        domain: DomainRef,
        /// The weight (`<shares>`).
        shares: u64,
    },
    /// Takes a snapshot inside of its disks, and of its memory while it runs.
    SnapshotCreate {
        /// Which.
        domain: DomainRef,
        /// The snapshot's name.
        name: String,
        /// What a person wrote about it.
        description: String,
        /// The guest ran when this was asked for: one that stands still now was stopped by a daemon that died over it.
        ran: bool,
    },
    /// Brings a domain back to a snapshot.
    SnapshotRevert {
        /// Which.
        domain: DomainRef,
        /// The snapshot's name.
        name: String,
    },
    /// Removes a snapshot.
    SnapshotDelete {
        /// Which.
        domain: DomainRef,
        /// The snapshot's name.
        name: String,
    },
    /// Throws away the memory that was saved when its host stopped, so that the next start is a boot.
    ForgetSaved {
        /// Which.
        domain: DomainRef,
    },
}

/// What an act came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// It was found done.
    pub already: bool,
    /// What was made: a domain's UUID, a volume's path.
    pub id: Option<String>,
    /// What a person should know: that a guest had to be ended by force, that a change waits for the next start.
    pub warnings: Vec<String>,
}

impl Effect {
    /// Something was made.
    #[must_use]
    pub fn made(id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..Self::default() }
    }

    /// Something was done.
    #[must_use]
    pub fn done() -> Self {
        Self::default()
    }

    /// It was found done.
    #[must_use]
    pub fn found() -> Self {
        Self { already: true, ..Self::default() }
    }

    /// The same with a remark.
    #[must_use]
    pub fn but(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }
}

impl Act {
    /// What it is called in steps.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::EnsurePool { .. } => "pool.ensure",
            Self::CreateVolume(_) => "volume.create",
            Self::Upload { .. } => "volume.upload",
            Self::ResizeVolume { .. } => "volume.resize",
            Self::RemoveVolume { .. } => "volume.remove",
            Self::EnsureNetwork { .. } => "network.ensure",
            Self::RemoveNetwork { .. } => "network.remove",
            Self::Reserve { .. } => "address.reserve",
            Self::Release { .. } => "address.release",
            Self::Define { .. } => "machine.define",
            Self::Undefine { .. } => "machine.undefine",
            Self::Start { .. } => "machine.start",
            Self::Shutdown { .. } => "machine.shutdown",
            Self::Destroy { .. } => "machine.destroy",
            Self::Reboot { .. } => "machine.reboot",
            Self::Suspend { .. } => "machine.suspend",
            Self::Resume { .. } => "machine.resume",
            Self::SetAutostart { .. } => "machine.autostart",
            Self::SetMetadata { .. } => "machine.metadata",
            Self::SetVcpus { .. } => "machine.vcpus",
            Self::SetMemory { .. } => "machine.memory",
            Self::SetShares { .. } => "machine.shares",
            Self::SnapshotCreate { .. } => "snapshot.create",
            Self::SnapshotRevert { .. } => "snapshot.revert",
            Self::SnapshotDelete { .. } => "snapshot.delete",
            Self::ForgetSaved { .. } => "machine.forget_saved",
        }
    }
}
