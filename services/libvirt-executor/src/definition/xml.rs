//! The domain's definition as libvirt takes it (formatdomain). The same parts make the same text, because its hash says whether
//! anything is to do; so nothing of a version or command stands in it but in our record.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use orrery_machine::Machine;
use orrery_machine::model::{
    Attachment, Backing, BootDevice, Bus, Carrier, Disk, Firmware, Forward, Interface, Mac, Model, Restart, Screen, Shares, Source, Vm,
};

use super::{Host, Identity, Seed, disk_volume};
use crate::engine::{NewVolume, escaped};

/// Stands where our record comes.
pub(super) const RECORD: &str = "<!--record-->";

/// What a definition is made of.
pub(super) struct Parts<'a> {
    pub(super) machine: &'a Machine,
    pub(super) vm: &'a Vm,
    pub(super) identity: &'a Identity,
    pub(super) host: &'a Host,
    pub(super) macs: &'a [Mac],
    pub(super) disks: &'a [NewVolume],
    pub(super) boxes: &'a BTreeMap<&'static str, String>,
    pub(super) seed: Option<&'a Seed>,
}

/// The domain.
pub(super) fn domain(parts: &Parts<'_>) -> String {
    let Parts { machine, vm, identity, host, .. } = parts;
    let mut xml = String::new();
    let mib = machine.memory / (1024 * 1024);
    let description = if machine.description.is_empty() { String::new() } else { element("description", &machine.description) };
    let _ = write!(
        xml,
        "<domain type='{}'><name>{}</name><uuid>{}</uuid>{description}<metadata>{RECORD}</metadata><memory unit='MiB'>{mib}</memory>\
         <vcpu>{}</vcpu>{}{}{}",
        host.accelerator.domain_type(),
        escaped(&identity.domain),
        identity.machine,
        vm.cpus,
        tuning(&machine.shares),
        os(parts),
        behaviour(parts)
    );
    xml.push_str("<devices>");
    for (at, disk) in vm.disks.iter().enumerate() {
        xml.push_str(&self::disk(parts, at, disk));
    }
    xml.push_str(&scsi(&vm.disks));
    xml.push_str(&cdroms(parts));
    for (at, interface) in machine.networks.iter().enumerate() {
        let first = machine.networks.iter().position(|one| one.attachment == Attachment::User) == Some(at);
        let forwards = if first { passt(&machine.ports) } else { String::new() };
        xml.push_str(&self::interface(interface, parts.macs.get(at), &forwards));
    }
    if machine.console {
        xml.push_str("<serial type='pty'><target port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>");
    }
    if vm.screen == Screen::Vnc {
        xml.push_str(
            "<graphics type='vnc'><listen type='none'/></graphics><video><model type='vga'/></video><input type='tablet' bus='usb'/>",
        );
    } else {
        xml.push_str("<video><model type='none'/></video>");
    }
    xml.push_str(
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\
         <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng><memballoon model='virtio'/></devices></domain>",
    );
    xml
}

pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

/// `<memtune>` and `<cputune>`.
fn tuning(shares: &Shares) -> String {
    let mut memory = String::new();
    if let Some(bytes) = shares.memory_limit {
        let _ = write!(memory, "<hard_limit unit='bytes'>{bytes}</hard_limit>");
    }
    if let Some(bytes) = shares.memory_reservation {
        let _ = write!(memory, "<soft_limit unit='bytes'>{bytes}</soft_limit>");
    }
    let mut cpu = String::new();
    if let Some(weight) = shares.cpu {
        let _ = write!(cpu, "<shares>{weight}</shares>");
    }
    if let Some(quota) = shares.quota() {
        let _ = write!(cpu, "<global_period>{}</global_period><global_quota>{quota}</global_quota>", Shares::PERIOD);
    }
    format!("{}{}", within("memtune", memory), within("cputune", cpu))
}

/// An element that is there when something is in it.
pub(super) fn within(name: &str, inside: String) -> String {
    if inside.is_empty() { inside } else { format!("<{name}>{inside}</{name}>") }
}

/// `<os>`: what starts it.
fn os(parts: &Parts<'_>) -> String {
    let Parts { vm, host, .. } = parts;
    let machine = if vm.needs_ide() { "pc" } else { "q35" };
    let firmware = match vm.firmware {
        Firmware::Bios => "",
        Firmware::Uefi => " firmware='efi'",
    };
    let mut os = format!("<os{firmware}><type arch='x86_64' machine='{machine}'>hvm</type>");
    if vm.firmware == Firmware::Uefi {
        os.push_str("<firmware><feature enabled='no' name='secure-boot'/></firmware>");
    }
    if let Source::Kernel { cmdline, .. } = &vm.source {
        let file = |path: &str| parts.boxes.get(path).map(|volume| host.pool.file(volume));
        if let Some(kernel) = file("source.kernel") {
            os.push_str(&element("kernel", &kernel));
        }
        if let Some(initramfs) = file("source.initramfs") {
            os.push_str(&element("initrd", &initramfs));
        }
        if !cmdline.is_empty() {
            os.push_str(&element("cmdline", cmdline));
        }
    }
    for device in &vm.boot {
        let word = match device {
            BootDevice::Disk => "hd",
            BootDevice::Cdrom => "cdrom",
            BootDevice::Network => "network",
        };
        let _ = write!(os, "<boot dev='{word}'/>");
    }
    os.push_str("</os>");
    os
}

/// Features, processor, and what happens when the guest ends.
fn behaviour(parts: &Parts<'_>) -> String {
    let (poweroff, crash) = match parts.machine.restart {
        Restart::No => ("destroy", "destroy"),
        Restart::OnFailure => ("destroy", "restart"),
        Restart::Always => ("restart", "restart"),
    };
    let cpu = match parts.host.accelerator {
        crate::engine::Accelerator::Kvm => "host-passthrough",
        crate::engine::Accelerator::Tcg => "maximum",
    };
    format!(
        "<features><acpi/><apic/></features><cpu mode='{cpu}'/><clock offset='utc'/>\
         <on_poweroff>{poweroff}</on_poweroff><on_reboot>restart</on_reboot><on_crash>{crash}</on_crash>"
    )
}

fn disk(parts: &Parts<'_>, at: usize, disk: &Disk) -> String {
    let volume = match &disk.backing {
        Backing::Volume { volume } => volume.clone(),
        Backing::Empty { .. } | Backing::Overlay { .. } => disk_volume(parts.identity.machine, &disk.name),
    };
    // Never left to a guess from what is in it: a guest could write a header of its own into a raw one.
    let own = parts.disks.iter().any(|made| made.name == volume);
    let format = if own || parts.host.volumes.get(&volume).is_some_and(|format| format == "qcow2") { "qcow2" } else { "raw" };
    let (bus, prefix) = match disk.bus {
        Bus::Virtio => ("virtio", "vd"),
        Bus::Scsi => ("scsi", "sd"),
        Bus::Sata => ("sata", "sd"),
        Bus::Ide => ("ide", "hd"),
    };
    let file = escaped(&parts.host.pool.file(&volume));
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='{format}' discard='unmap'/><source file='{file}'/>\
         <target dev='{prefix}{}' bus='{bus}'/></disk>",
        letter(at)
    )
}

/// The controllers of SCSI disks: virtio, which every Linux knows. libvirt's own choice is a chip of 1995, for which the kernels of cloud
/// images have no driver. By libvirt's count each holds seven of the names `sda`, `sdb` and so on.
fn scsi(disks: &[Disk]) -> String {
    const EACH: usize = 7;
    let Some(last) = disks.iter().rposition(|disk| disk.bus == Bus::Scsi) else { return String::new() };
    (0..=last / EACH).map(|index| format!("<controller type='scsi' index='{index}' model='virtio-scsi'/>")).collect()
}

/// The ISO, and the seed disk behind every other.
fn cdroms(parts: &Parts<'_>) -> String {
    let mut xml = String::new();
    if let Some(volume) = parts.boxes.get("source.iso") {
        let file = escaped(&parts.host.pool.file(volume));
        let _ = write!(
            xml,
            "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{file}'/><target dev='sdy' bus='sata'/><readonly/></disk>"
        );
    }
    if let Some(seed) = parts.seed {
        let file = escaped(&parts.host.pool.file(&seed.volume));
        let _ = write!(
            xml,
            "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{file}'/><target dev='vdz' bus='virtio'/><readonly/></disk>"
        );
    }
    xml
}

/// What passt carries, at the first interface in user mode (`<backend type='passt'/>`, `<portForward>`).
fn passt(ports: &[Forward]) -> String {
    let mut xml = String::new();
    for Forward { host_ip, host, guest, protocol, .. } in ports.iter().filter(|forward| forward.by == Carrier::Passt) {
        let address = host_ip.map(|ip| format!(" address='{ip}'")).unwrap_or_default();
        let _ = write!(xml, "<portForward proto='{}'{address}><range start='{host}' to='{guest}'/></portForward>", protocol.as_str());
    }
    if xml.is_empty() { xml } else { format!("{xml}<backend type='passt'/>") }
}

fn interface(interface: &Interface, mac: Option<&Mac>, forwards: &str) -> String {
    let (kind, source) = match &interface.attachment {
        Attachment::Nat(name) | Attachment::Isolated(name) => ("network", format!("<source network='{}'/>", escaped(name))),
        Attachment::Bridge(name) => ("bridge", format!("<source bridge='{}'/>", escaped(name))),
        Attachment::User => ("user", String::new()),
    };
    let model = match interface.model.unwrap_or_default() {
        Model::Virtio => "virtio",
        Model::E1000e => "e1000e",
        Model::E1000 => "e1000",
        Model::Rtl8139 => "rtl8139",
    };
    let mac = mac.map(|mac| format!("<mac address='{mac}'/>")).unwrap_or_default();
    format!("<interface type='{kind}'>{mac}{source}<model type='{model}'/>{forwards}</interface>")
}

/// `a` for the first disk of a bus; there are never more than the format allows.
fn letter(at: usize) -> char {
    u32::try_from(at).ok().and_then(|at| char::from_u32(u32::from('a').saturating_add(at))).unwrap_or('z')
}
