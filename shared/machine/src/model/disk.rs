//! Disks of a virtual machine.

use serde::Serialize;

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Its name, unique in the machine: what a change of it is told by.
    pub name: String,
    /// What is behind it.
    #[serde(flatten)]
    pub backing: Backing,
    /// How the guest reaches it.
    pub bus: Bus,
}

/// What is behind a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Backing {
    /// A volume of the pool that exists already, and outlives the machine.
    Volume {
        /// Its name in the pool.
        volume: String,
    },
    /// A disk of the machine's own, empty at first.
    Empty {
        /// Size in bytes.
        size: u64,
    },
    /// A disk of the machine's own, an overlay on its box.
    Overlay {
        /// Size in bytes, when it is not the box's own. It may only be larger.
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
}

/// The bus of a disk (`<target bus=…>`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// The quickest; the guest needs a driver, which every Linux has.
    #[default]
    Virtio,
    /// virtio-scsi.
    Scsi,
    /// For guests without drivers for virtio.
    Sata,
    /// For the oldest guests; with a BIOS only.
    Ide,
}
