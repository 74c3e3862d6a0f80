//! A place to try an engine in: how its domains are written, and what it lacks.

use std::path::{Path, PathBuf};

use orrery_libvirt_executor::engine::{DomainRef, Kind, METADATA_NAMESPACE, metadata_element};
use uuid::Uuid;

use super::guests::Boot;

/// What an engine of the suite may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Volumes can be filled.
    Upload,
    /// A volume over another shows it.
    Backing,
    /// Volumes can grow.
    Resize,
    /// A domain may start paused.
    PausedStart,
    /// A domain has a weight.
    Shares,
    /// Processors and memory can be changed.
    Resources,
    /// A definition that names what is not there does not start.
    Dependencies,
    /// The address that was reserved is the address that is seen.
    Addresses,
    /// There is a console.
    Console,
    /// There is a screen.
    Screen,
    /// There are snapshots.
    Snapshots,
    /// Figures grow.
    Figures,
    /// A guest may be deaf.
    DeafGuests,
}

/// What each engine lacks, and why the suite leaves it out there. What is not here is tried everywhere.
pub const LACKS: [(&str, &[Lack]); 4] = [
    ("memory", &[]),
    // The driver for tests has no daemon: no streams, no processes, no networks in use, no statistics, and its volumes are
    // entries in a list.
    (
        "test",
        &[
            Lack::Upload,
            Lack::Backing,
            Lack::Resize,
            Lack::PausedStart,
            Lack::Shares,
            Lack::Resources,
            Lack::Dependencies,
            Lack::Addresses,
            Lack::Console,
            Lack::Screen,
            Lack::Figures,
            Lack::DeafGuests,
        ],
    ),
    ("qemu", &[]),
    // Containers have no disks of their own, no screens and no snapshots; the small guest asks for no address.
    ("lxc", &[Lack::PausedStart, Lack::Resources, Lack::Dependencies, Lack::Addresses, Lack::Screen, Lack::Snapshots, Lack::DeafGuests]),
];

/// How a domain is written.
pub enum Body {
    /// `<domain type='qemu'>`, which boots this.
    Qemu(Boot),
    /// `<domain type='kvm'>`, which boots this.
    Kvm(Boot),
    /// `<domain type='lxc'>`, with this root.
    Lxc(PathBuf),
    /// `<domain type='test'>`.
    Test,
}

/// A place to try an engine in.
pub struct Lab {
    pub engine: &'static str,
    pub kind: Kind,
    pub body: Body,
    /// Part of every name.
    pub tag: String,
    /// Where pools lie.
    pub folder: PathBuf,
}

/// A domain that a test makes.
#[derive(Clone, Default)]
pub struct Machine {
    pub name: String,
    pub uuid: Uuid,
    pub json: String,
    /// The file of its disk.
    pub disk: Option<String>,
    /// Network and hardware address of its interface.
    pub interface: Option<(String, String)>,
    /// How much memory it has, in MiB.
    pub memory: u32,
}

impl Lab {
    pub fn has(&self, ability: Lack) -> bool {
        let lacks = LACKS.iter().find(|(engine, _)| *engine == self.engine).map(|(_, lacks)| *lacks);
        !lacks.expect("the engine has a row in the table").contains(&ability)
    }

    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.tag)
    }

    pub fn machine(&self, name: &str) -> Machine {
        let name = self.name(name);
        let uuid = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes());
        Machine { name, uuid, json: r#"{"machine":"<a> & 'b'"}"#.to_owned(), memory: 96, ..Machine::default() }
    }

    pub fn domain(&self, machine: &Machine) -> DomainRef {
        DomainRef { kind: self.kind, uuid: machine.uuid }
    }

    pub fn xml(&self, machine: &Machine) -> String {
        let Machine { name, uuid, json, memory, .. } = machine;
        let metadata = if json.is_empty() { String::new() } else { format!("<metadata>{}</metadata>", metadata_element(json)) };
        let (kind, os, devices) = match &self.body {
            Body::Qemu(Boot { kernel, initrd }) => ("qemu", direct(kernel, initrd), self.devices(machine)),
            Body::Kvm(Boot { kernel, initrd }) => ("kvm", direct(kernel, initrd), self.devices(machine)),
            Body::Test => ("test", "<type>hvm</type>".to_owned(), self.devices(machine)),
            Body::Lxc(root) => {
                let filesystem = format!("<filesystem type='mount'><source dir='{}'/><target dir='/'/></filesystem>", root.display());
                let devices = format!("{filesystem}{}<console type='pty'/>", interface(machine));
                ("lxc", "<type>exe</type><init>/bin/boot</init>".to_owned(), devices)
            }
        };
        let features = if kind == "lxc" { "<privnet/>" } else { "<acpi/>" };
        format!(
            "<domain type='{kind}'><name>{name}</name><uuid>{uuid}</uuid>{metadata}<memory unit='MiB'>{memory}</memory>\
             <vcpu>1</vcpu><os>{os}</os><features>{features}</features><devices>{devices}</devices></domain>"
        )
    }

    fn devices(&self, machine: &Machine) -> String {
        let disk = machine.disk.as_ref().map_or_else(String::new, |file| {
            format!(
                "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{file}'/>\
                 <target dev='vda' bus='virtio'/></disk>"
            )
        });
        format!(
            "{disk}{}<serial type='pty'/><console type='pty'/><graphics type='vnc'><listen type='none'/></graphics>\
             <video><model type='vga'/></video>",
            interface(machine)
        )
    }

    pub fn network_xml(&self, name: &str, bridge: &str) -> String {
        format!(
            "<network><name>{name}</name><metadata><x:machine xmlns:x='{METADATA_NAMESPACE}'>{{}}</x:machine></metadata>\
             <forward mode='nat'/><bridge name='{bridge}'/><ip address='10.77.0.1' netmask='255.255.255.0'>\
             <dhcp><range start='10.77.0.100' end='10.77.0.200'/></dhcp></ip></network>"
        )
    }
}

fn interface(machine: &Machine) -> String {
    machine.interface.as_ref().map_or_else(String::new, |(network, mac)| {
        format!("<interface type='network'><mac address='{mac}'/><source network='{network}'/><model type='virtio'/></interface>")
    })
}

fn direct(kernel: &Path, initrd: &Path) -> String {
    format!(
        "<type arch='x86_64' machine='q35'>hvm</type><kernel>{}</kernel><initrd>{}</initrd><cmdline>console=ttyS0 quiet</cmdline>",
        kernel.display(),
        initrd.display()
    )
}
