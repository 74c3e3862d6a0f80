//! libvirt behind a narrow door: observe, carry out one act, wait for a domain, and the few streams that a person looks
//! at. Two implementations, the real one over libvirt and one in memory, pass one conformance suite. It decides nothing.

mod act;
pub mod error;
mod events;
mod gate;
pub mod libvirt;
pub mod memory;
pub mod observed;
mod raw;
pub mod threads;
mod xml;

use std::future::Future;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::Bytes;
use orrery_contracts::ProgressLine;
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

pub use act::{Act, Backing, BackingImage, Effect, Format, NewVolume, Source};
pub use error::{Class, EngineError};
pub use events::{Change, DomainEvent, EventHub};
pub use gate::{Glimpse, Outcome, Until, Verdict, judge};
pub use libvirt::LibvirtEngine;
pub use memory::MemoryEngine;
pub use observed::{
    Accelerator, Address, AddressSource, Capabilities, DiskTraffic, Figures, HostSize, Observed, Other, Reservation, Scope, Seen,
    SeenNetwork, SeenSnapshot, SeenVolume, SnapshotKinds, State, Subnet, version_words,
};
pub(crate) use xml::escaped;
pub use xml::{METADATA_NAMESPACE, METADATA_PREFIX, metadata_element};

/// Where an act says how far it is.
pub type Say<'a> = &'a (dyn Fn(ProgressLine) + Send + Sync);

/// What a domain is, which picks the connection that knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A virtual machine (QEMU).
    Vm,
    /// A system container (libvirt's LXC driver).
    Container,
}

impl Kind {
    /// How it is called in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Vm => "virtual machine",
            Self::Container => "container",
        }
    }
}

/// A domain, by what never changes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainRef {
    /// Which driver has it.
    pub kind: Kind,
    /// Its `<uuid>`.
    pub uuid: Uuid,
}

impl DomainRef {
    /// A virtual machine.
    #[must_use]
    pub const fn vm(uuid: Uuid) -> Self {
        Self { kind: Kind::Vm, uuid }
    }

    /// A system container.
    #[must_use]
    pub const fn container(uuid: Uuid) -> Self {
        Self { kind: Kind::Container, uuid }
    }
}

/// What the executor needs of libvirt.
pub trait Hypervisor: Send + Sync + 'static {
    /// Everything that is asked for, as it is now.
    fn observe(&self, scope: &Scope) -> impl Future<Output = Result<Observed, EngineError>> + Send;

    /// Carries out one act. Repeated after a crash or a lost answer it finds its own effect and says so. Dropped, it ends
    /// what may end (an upload, the asking of a shutdown) and leaves the rest as it is.
    fn act(&self, act: &Act, say: Say<'_>) -> impl Future<Output = Result<Effect, EngineError>> + Send;

    /// Waits until a domain is as it should be, never will be, or the deadline is over.
    fn wait(&self, domain: DomainRef, until: Until, deadline: Duration) -> impl Future<Output = Result<Outcome, EngineError>> + Send;

    /// What domains use now. A domain that does not run has no figures. Whatever else goes on, it holds nothing up.
    fn figures(&self, domains: &[DomainRef]) -> impl Future<Output = Result<Vec<Figures>, EngineError>> + Send;

    /// The serial console of a virtual machine that runs, or the first console of a container. There is one at a time; a
    /// new one takes it over.
    fn console(&self, domain: DomainRef) -> impl Future<Output = Result<Console, EngineError>> + Send;

    /// A picture of the first screen.
    fn screenshot(&self, domain: DomainRef) -> impl Future<Output = Result<Picture, EngineError>> + Send;

    /// A socket on which the first screen speaks its protocol (VNC), with no port and no password.
    fn graphics(&self, domain: DomainRef) -> impl Future<Output = Result<OwnedFd, EngineError>> + Send;

    /// What the engine can do, found by asking and by trying.
    fn capabilities(&self) -> impl Future<Output = Result<Capabilities, EngineError>> + Send;

    /// Events from now on. A listener that lags has to look at everything again.
    fn events(&self) -> broadcast::Receiver<DomainEvent>;

    /// What is waited for, in words, while the engine does not answer.
    fn away(&self) -> Option<String>;
}

/// A console: bytes from the guest, bytes to the guest. It ends when either side is dropped, the guest stops, or the
/// daemon goes away; then the first receives nothing more.
#[derive(Debug)]
pub struct Console {
    /// What the guest writes.
    pub from_guest: mpsc::Receiver<Bytes>,
    /// What it is to read.
    pub to_guest: mpsc::Sender<Bytes>,
}

/// A picture of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its type: `image/png`, `image/x-portable-pixmap`.
    pub mime: String,
    /// Its bytes.
    pub bytes: Bytes,
}
