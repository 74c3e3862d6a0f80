//! What only a virtual machine has.

use serde::Serialize;

use super::{CloudInit, Disk};

/// A virtual machine by QEMU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Vm {
    /// What it begins with.
    pub source: Source,
    /// Virtual processors (`<vcpu>`).
    pub cpus: u32,
    /// What starts it.
    pub firmware: Firmware,
    /// Its disks, the first being the root disk.
    pub disks: Vec<Disk>,
    /// What cloud-init does at the first boot. Without it there is no seed disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_init: Option<CloudInit>,
    /// What the firmware tries, in order. Empty with a direct kernel.
    pub boot: Vec<BootDevice>,
    /// Its screen.
    pub screen: Screen,
}

impl Vm {
    /// Whether a disk is on the IDE bus, which only the machine type `pc` has (`q35` has none).
    pub fn needs_ide(&self) -> bool {
        self.disks.iter().any(|disk| disk.bus == super::Bus::Ide)
    }
}

/// What a virtual machine begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// The first disk is an overlay on a box.
    Box {
        /// Name of the box, a disk image.
        #[serde(rename = "box")]
        name: String,
    },
    /// It boots from an ISO.
    Iso {
        /// Name of the box, of format iso.
        iso: String,
    },
    /// A kernel that QEMU itself loads (`<os><kernel>`).
    Kernel {
        /// Name of the box with the kernel, of format file.
        kernel: String,
        /// Name of the box with the initramfs, of format file.
        #[serde(skip_serializing_if = "Option::is_none")]
        initramfs: Option<String>,
        /// The kernel's command line. Empty is none.
        cmdline: String,
    },
}

/// What starts a virtual machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// A BIOS.
    #[default]
    Bios,
    /// UEFI (`<os firmware='efi'>`), without secure boot.
    Uefi,
}

/// What a firmware may boot from (`<boot dev=…>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BootDevice {
    /// The first disk.
    Disk,
    /// The ISO.
    Cdrom,
    /// The first interface.
    Network,
}

/// The screen of a virtual machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Screen {
    /// It has none.
    #[default]
    None,
    /// One that is seen in the page (`<graphics type='vnc'>` without a port).
    Vnc,
}
