//! The typed machine: what a definition means once every default is filled in and every unit is parsed.
//!
//! What only a vm or only a container has stands in its own variant of [`System`], so that nobody can ask a container for
//! its firmware. Each type serialises to what one would write for it in `machine.yaml`: the canonical form.

mod cloud_init;
mod container;
mod disk;
mod network;
mod port;
mod ready;
mod vm;

use std::collections::BTreeMap;
use std::time::Duration;

use orrery_compose::units;
use serde::{Serialize, Serializer};

pub use cloud_init::{BundleFile, CloudInit, Content, Run, Short, User, UserData, WriteFile};
pub use container::Container;
pub use disk::{Backing, Bus, Disk};
pub use network::{Attachment, Interface, Mac, Model};
pub use port::{Carrier, Forward, Protocol};
pub use ready::{Condition, Ready};
pub use vm::{BootDevice, Firmware, Screen, Source, Vm};

/// A machine: everything that one definition asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// What is peculiar to its kind.
    #[serde(flatten)]
    pub system: System,
    /// Words for people (`<description>`).
    pub description: String,
    /// Labels, by name.
    pub labels: BTreeMap<String, String>,
    /// Memory in bytes, whole MiB (`<memory>`). A container cannot take more, a vm has all of it.
    pub memory: u64,
    /// Its share of the host.
    pub shares: Shares,
    /// Interfaces, in the order in which the guest sees them. None at all is a machine without a network: a container
    /// needs `<privnet/>` then, else it would have the host's.
    pub networks: Vec<Interface>,
    /// Ports of the host that lead to the guest.
    pub ports: Vec<Forward>,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Whether it has a serial console (`<serial>` of a vm, `<console>` of a container).
    pub console: bool,
    /// What happens when the guest ends by itself.
    pub restart: Restart,
    /// What an apply waits for.
    pub ready: Ready,
    /// How long a stop waits for the guest before it is forced. Zero forces at once.
    #[serde(serialize_with = "duration")]
    pub stop_grace_period: Duration,
}

impl Machine {
    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self.system {
            System::Vm(_) => Kind::Vm,
            System::Container(_) => Kind::Container,
        }
    }

    /// The vm, when it is one.
    pub fn vm(&self) -> Option<&Vm> {
        match &self.system {
            System::Vm(vm) => Some(vm),
            System::Container(_) => None,
        }
    }

    /// The container, when it is one.
    pub fn container(&self) -> Option<&Container> {
        match &self.system {
            System::Container(container) => Some(container),
            System::Vm(_) => None,
        }
    }

    /// The cloud-init section, when there is one.
    pub fn cloud_init(&self) -> Option<&CloudInit> {
        self.vm()?.cloud_init.as_ref()
    }
}

/// The two kinds of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A virtual machine, by QEMU.
    Vm,
    /// A system container, by libvirt's LXC driver.
    Container,
}

impl Kind {
    /// The word of the definition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Container => "container",
        }
    }

    /// Reads the word of the definition.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Vm, Self::Container].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What is peculiar to a kind of machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum System {
    /// A virtual machine.
    Vm(Box<Vm>),
    /// A system container.
    Container(Container),
}

/// The share of the host that a machine may take (libvirt: CPU Tuning, Memory Tuning).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shares {
    /// Weight among the others when processors are short (`<cputune><shares>`), 2 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u64>,
    /// Processors of the host that it may use in total, such as 1.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<f64>,
    /// Memory in bytes that the whole process of a vm may take (`<memtune><hard_limit>`). A container's limit is its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// Memory in bytes that is left to it when memory is short (`<memtune><soft_limit>`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<u64>,
}

impl Shares {
    /// Length in microseconds of the period that [`Shares::quota`] is of.
    pub const PERIOD: u64 = 100_000;

    /// The limit on processors in microseconds of each period: `<global_quota>` of a vm (`<quota>` would hold for each of
    /// its processors alone), `<quota>` of a container.
    pub fn quota(&self) -> Option<u64> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        self.cpu_limit.map(|limit| (limit * Self::PERIOD as f64).round() as u64)
    }
}

/// What happens when the guest ends by itself. A stop by command is never undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It stays off.
    #[default]
    No,
    /// It starts again when it crashed (`<on_crash>restart`).
    OnFailure,
    /// It starts again, however it ended (`<on_poweroff>restart` too). The LXC driver does not look at either element: the executor
    /// starts a container again.
    Always,
}

pub(crate) fn duration<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&units::go_duration(*value))
}
