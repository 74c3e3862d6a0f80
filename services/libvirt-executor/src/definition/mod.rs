//! What a version of a machine wants of libvirt: its domain, its volumes, its networks. Pure; whose it is comes from the head.

mod container;
mod names;
mod network;
mod record;
mod seed;
mod xml;

use std::collections::BTreeMap;

use orrery_contracts::command::BoxFormat;
use orrery_contracts::machine::MachinePort;
use orrery_contracts::{BoxHead, MachineId, MachineKind, MachineSummary};
use orrery_machine::Machine;
use orrery_machine::model::{Attachment, Backing as Behind, Carrier, Forward, Mac, Screen, Source, System, Vm};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::engine::{Accelerator, Backing, BackingImage, DomainRef, Format, NewVolume, Subnet};

pub use container::{Root, is_root, root_volume};
pub use names::{Pool, box_volume, disk_volume, is_of, is_seed, mac_of};
pub use network::{network_xml, subnet_of};
pub use record::Record;
pub use seed::Seed;

/// Whose a machine is, and which version and command are at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The installation.
    pub installation: Uuid,
    /// The machine; the UUID of its domain too.
    pub machine: MachineId,
    /// Who owns it.
    pub owner: String,
    /// The name of its domain.
    pub domain: String,
    /// The version.
    pub version: u32,
    /// The command at work.
    pub command: u64,
}

/// What a host gives to every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Where volumes lie.
    pub pool: Pool,
    /// What runs guests.
    pub accelerator: Accelerator,
    /// The volumes of the pool: how each is written, by name.
    pub volumes: BTreeMap<String, String>,
    /// The addresses of its networks, by name.
    pub subnets: BTreeMap<String, Subnet>,
    /// Whether passt can carry ports to an interface in user mode.
    pub passt: bool,
    /// The version of libvirt, such as `9.0.0`.
    pub libvirt: String,
}

/// What a version wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Whose it is.
    pub identity: Identity,
    /// The definition.
    pub machine: Machine,
    /// The disks of its own, the root disk first.
    pub disks: Vec<NewVolume>,
    /// The root filesystem, of a container.
    pub root: Option<Root>,
    /// Boxes that its domain reads as they are, by volume: a kernel, an ISO.
    pub boxes: Vec<String>,
    /// What cloud-init finds at the first boot.
    pub seed: Option<Seed>,
    /// The networks of libvirt that it is plugged into, and whether they lead outside.
    pub networks: BTreeMap<String, bool>,
    /// SHA-256 of the domain's definition without what is ours alone: equal is nothing to do.
    pub definition: String,
    xml: String,
}

/// Why a definition cannot be run here, with the path of what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path in the definition.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl Fault {
    fn new(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

impl Desired {
    /// Its domain.
    #[must_use]
    pub const fn domain(&self) -> DomainRef {
        match self.machine.system {
            System::Vm(_) => DomainRef::vm(self.identity.machine.uuid()),
            System::Container(_) => DomainRef::container(self.identity.machine.uuid()),
        }
    }

    /// The domain's definition, with our record beside it.
    #[must_use]
    pub fn xml(&self, record: &Record) -> String {
        self.xml.replacen(xml::RECORD, &crate::engine::metadata_element(&record.json()), 1)
    }

    /// The record that goes with it, before libvirt has answered.
    #[must_use]
    pub fn record(&self) -> Record {
        Record::of(&self.identity, &self.definition, &self.boxes)
    }

    /// What a list shows of it.
    #[must_use]
    pub fn summary(&self) -> MachineSummary {
        let (kind, cpus, source, screen) = match &self.machine.system {
            System::Vm(vm) => (MachineKind::Vm, vm.cpus, begins_with(&vm.source), vm.screen != Screen::None),
            System::Container(container) => (MachineKind::Container, 1, format!("archive {}", container.archive), false),
        };
        MachineSummary {
            kind,
            cpus,
            memory: self.machine.memory,
            source,
            ports: self.machine.ports.iter().map(port).collect(),
            autostart: self.machine.autostart,
            console: self.machine.console,
            screen,
        }
    }
}

fn begins_with(source: &Source) -> String {
    match source {
        Source::Box { name } => format!("box {name}"),
        Source::Iso { iso } => format!("ISO {iso}"),
        Source::Kernel { kernel, .. } => format!("kernel {kernel}"),
    }
}

fn port(forward: &Forward) -> MachinePort {
    MachinePort {
        host_ip: forward.host_ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string()),
        host_port: forward.host,
        guest_port: forward.guest,
        protocol: forward.protocol.as_str().to_owned(),
    }
}

/// Compiles a definition for a machine on this host, with the boxes that it has.
///
/// # Errors
/// Everything that this host cannot give it.
pub fn compile(machine: &Machine, identity: &Identity, host: &Host, boxes: &BTreeMap<String, BoxHead>) -> Result<Desired, Vec<Fault>> {
    let mut faults = Vec::new();
    faults.extend(without_passt(machine, host));
    let macs: Vec<Mac> =
        machine.networks.iter().enumerate().map(|(at, interface)| interface.mac.unwrap_or_else(|| mac_of(identity.machine, at))).collect();
    let (mut disks, mut read, mut root) = (Vec::new(), BTreeMap::new(), None);
    match &machine.system {
        System::Vm(vm) => {
            volumes(vm, host, boxes, &mut faults);
            disks = self::disks(vm, identity, boxes, &mut faults);
            read = read_as_they_are(vm, boxes, &mut faults);
        }
        System::Container(container) => root = container::root(machine, container, identity, boxes, &mut faults),
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let seed = Seed::of(machine, identity, &macs)
        .map_err(|error| vec![Fault::new("cloud_init", format!("the seed disk cannot be made: {error}"))])?;
    let xml = match &machine.system {
        System::Vm(vm) => {
            xml::domain(&xml::Parts { machine, vm, identity, host, macs: &macs, disks: &disks, boxes: &read, seed: seed.as_ref() })
        }
        System::Container(container) => container::domain(machine, container, identity, host, &macs),
    };
    let definition = Sha256::digest(xml.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let networks = machine.networks.iter().filter_map(|interface| match &interface.attachment {
        Attachment::Nat(name) => Some((name.clone(), true)),
        Attachment::Isolated(name) => Some((name.clone(), false)),
        Attachment::Bridge(_) | Attachment::User => None,
    });
    let boxes = read.into_values().collect();
    Ok(Desired {
        identity: identity.clone(),
        machine: machine.clone(),
        disks,
        root,
        boxes,
        seed,
        networks: networks.collect(),
        definition,
        xml,
    })
}

/// The volumes that it names must be there, and be nobody's box: what lies on a box would be broken by the first byte that is written to it.
fn volumes(vm: &Vm, host: &Host, boxes: &BTreeMap<String, BoxHead>, faults: &mut Vec<Fault>) {
    for disk in &vm.disks {
        let Behind::Volume { volume } = &disk.backing else { continue };
        let path = format!("disks.{}.volume", disk.name);
        if let Some(found) = boxes.values().find(|found| found.volume == *volume) {
            let message = format!("the volume {volume} is the box {}, and no disk: name it as the source", found.name);
            faults.push(Fault::new(&path, message));
        } else if !host.volumes.contains_key(volume) {
            let message = format!("there is no volume {volume} in the pool {}; make it first, or give the disk a size", Pool::NAME);
            faults.push(Fault::new(&path, message));
        }
    }
}

/// Forwards that passt should carry where it is not to be had: libvirt would take them, and carry nothing.
fn without_passt(machine: &Machine, host: &Host) -> Vec<Fault> {
    let wanted = machine.ports.iter().enumerate().filter(|(_, forward)| forward.by == Carrier::Passt && !host.passt);
    let fault = |(at, _)| {
        let message = format!(
            "libvirt {} of this host has no passt, which carries ports to an interface in user mode; give the machine an interface of nat",
            host.libvirt
        );
        Fault::new(&format!("ports[{at}]"), message)
    };
    wanted.map(fault).collect()
}

/// The disks of the machine's own; a volume that it only names is nobody's to make.
fn disks(vm: &Vm, identity: &Identity, boxes: &BTreeMap<String, BoxHead>, faults: &mut Vec<Fault>) -> Vec<NewVolume> {
    let mut made = Vec::new();
    for disk in &vm.disks {
        let name = disk_volume(identity.machine, &disk.name);
        match &disk.backing {
            Behind::Volume { .. } => {}
            Behind::Empty { size } => {
                made.push(NewVolume { pool: Pool::NAME.to_owned(), name, capacity: *size, format: Format::Qcow2, backing: None });
            }
            Behind::Overlay { size } => {
                let Source::Box { name: wanted } = &vm.source else { continue };
                let Some(found) = disk_box(wanted, boxes, faults) else { continue };
                let least = found.capacity;
                if size.is_some_and(|size| size < least) {
                    let path = format!("disks.{}.size", disk.name);
                    faults.push(Fault::new(&path, format!("the box {wanted} has {least} bytes, and a disk made of it cannot be smaller")));
                    continue;
                }
                let format = if found.format == BoxFormat::Raw { Format::Raw } else { Format::Qcow2 };
                let backing = Some(Backing { image: BackingImage::Volume(found.volume.clone()), format });
                made.push(NewVolume { pool: Pool::NAME.to_owned(), name, capacity: size.unwrap_or(least), format: Format::Qcow2, backing });
            }
        }
    }
    made
}

fn disk_box<'a>(name: &str, boxes: &'a BTreeMap<String, BoxHead>, faults: &mut Vec<Fault>) -> Option<&'a BoxHead> {
    let found = boxes.get(name);
    match found.map(|found| found.format) {
        Some(BoxFormat::Qcow2 | BoxFormat::Raw) => found,
        Some(other) => {
            faults.push(Fault::new("source.box", format!("the box {name} is of format {}, and a disk needs qcow2 or raw", other.as_str())));
            None
        }
        None => {
            faults.push(Fault::new("source.box", missing(name, boxes)));
            None
        }
    }
}

fn missing(name: &str, boxes: &BTreeMap<String, BoxHead>) -> String {
    let there: Vec<&str> = boxes.keys().map(String::as_str).collect();
    match there.as_slice() {
        [] => format!("there is no box {name}; import it first (`box.import`)"),
        some => format!("there is no box {name}; there are {}. Import it first (`box.import`)", some.join(", ")),
    }
}

/// The boxes that the domain reads as they are: by path in the definition, the volume.
fn read_as_they_are(vm: &Vm, boxes: &BTreeMap<String, BoxHead>, faults: &mut Vec<Fault>) -> BTreeMap<&'static str, String> {
    let wanted: Vec<(&'static str, &str, BoxFormat)> = match &vm.source {
        Source::Box { .. } => Vec::new(),
        Source::Iso { iso } => vec![("source.iso", iso, BoxFormat::Iso)],
        Source::Kernel { kernel, initramfs, .. } => {
            let initramfs = initramfs.as_deref().map(|name| ("source.initramfs", name, BoxFormat::File));
            std::iter::once(("source.kernel", kernel.as_str(), BoxFormat::File)).chain(initramfs).collect()
        }
    };
    let mut volumes = BTreeMap::new();
    for (path, name, format) in wanted {
        match boxes.get(name) {
            Some(found) if found.format == format => {
                volumes.insert(path, found.volume.clone());
            }
            Some(found) => {
                let (has, needs) = (found.format.as_str(), format.as_str());
                faults.push(Fault::new(path, format!("the box {name} is of format {has}, and {needs} is needed here")));
            }
            None => faults.push(Fault::new(path, missing(name, boxes))),
        }
    }
    volumes
}
