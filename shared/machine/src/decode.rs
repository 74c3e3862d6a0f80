//! From a tree without errors to the typed machine. Every value has been looked at before; `None` anywhere would mean that the
//! checker and this file disagree, which a property of the tests denies.

mod cloud_init;

use std::collections::BTreeMap;
use std::time::Duration;

use orrery_compose::yaml::Node;
use orrery_compose::{Files, units};

use crate::model::{
    Attachment, Backing, BootDevice, Bus, Carrier, Condition, Container, Disk, Firmware, Forward, Interface, Kind, Mac, Machine, Model,
    Protocol, Ready, Restart, Screen, Shares, Source, System, Vm,
};
use crate::schema::{DEFAULT_DISK, DEFAULT_NETWORK, MIB, parse_port};
use crate::tree::At;
use crate::{check, rules};

/// The machine of a definition.
pub(crate) fn machine(root: &At<'_>, files: &Files) -> Option<Machine> {
    let kind = Kind::parse(root.text_of("kind")?)?;
    let networks = interfaces(root, kind)?;
    Some(Machine {
        system: match kind {
            Kind::Vm => System::Vm(Box::new(vm(root, files)?)),
            Kind::Container => System::Container(container(root)?),
        },
        description: text(root, "description").unwrap_or_default(),
        labels: strings(root, "labels"),
        memory: bytes(root, "memory").unwrap_or(512 * MIB),
        shares: root.get("shares").map(|at| shares(&at)).unwrap_or_default(),
        ports: root.list("ports").iter().map(|port| forward(port, &networks)).collect::<Option<_>>()?,
        networks,
        autostart: root.flag("autostart").unwrap_or(false),
        console: root.flag("console").unwrap_or(true),
        restart: restart(root),
        ready: root.get("ready").map_or_else(|| Some(Ready::default()), |at| ready(&at))?,
        stop_grace_period: time(root, "stop_grace_period").unwrap_or(Duration::from_secs(60)),
    })
}

fn vm(root: &At<'_>, files: &Files) -> Option<Vm> {
    let source = source(&root.get("source")?)?;
    Some(Vm {
        cpus: root.get("cpus").and_then(|at| at.whole()).map_or(Some(1), |cpus| u32::try_from(cpus).ok())?,
        firmware: if root.text_of("firmware") == Some("uefi") { Firmware::Uefi } else { Firmware::Bios },
        disks: disks(root, &source)?,
        cloud_init: match root.get("cloud_init") {
            Some(section) => Some(cloud_init::section(&section, files)?),
            None => None,
        },
        boot: boot(root, &source)?,
        screen: if root.text_of("screen") == Some("vnc") { Screen::Vnc } else { Screen::None },
        source,
    })
}

fn container(root: &At<'_>) -> Option<Container> {
    let init = match root.get("init") {
        None => vec!["/sbin/init".to_owned()],
        Some(init) => words(&init),
    };
    Some(Container {
        archive: text(&root.get("source")?, "archive")?,
        init,
        environment: strings(root, "environment"),
        idmap: root.flag("idmap").unwrap_or(true),
    })
}

fn source(at: &At<'_>) -> Option<Source> {
    if let Some(name) = text(at, "box") {
        return Some(Source::Box { name });
    }
    if let Some(iso) = text(at, "iso") {
        return Some(Source::Iso { iso });
    }
    Some(Source::Kernel { kernel: text(at, "kernel")?, initramfs: text(at, "initramfs"), cmdline: text(at, "cmdline").unwrap_or_default() })
}

fn disks(root: &At<'_>, source: &Source) -> Option<Vec<Disk>> {
    let from_box = matches!(source, Source::Box { .. });
    if !root.has("disks") {
        let first = Disk { name: DEFAULT_DISK.to_owned(), backing: Backing::Overlay { size: None }, bus: Bus::default() };
        return Some(from_box.then_some(first).into_iter().collect());
    }
    root.list("disks").iter().enumerate().map(|(index, at)| disk(at, index, from_box)).collect()
}

fn disk(at: &At<'_>, index: usize, from_box: bool) -> Option<Disk> {
    let size = bytes(at, "size");
    let backing = match text(at, "volume") {
        Some(volume) => Backing::Volume { volume },
        None if index == 0 && from_box => Backing::Overlay { size },
        None => Backing::Empty { size: size? },
    };
    let bus = match at.text_of("bus") {
        None | Some("virtio") => Bus::Virtio,
        Some("scsi") => Bus::Scsi,
        Some("sata") => Bus::Sata,
        Some("ide") => Bus::Ide,
        Some(_) => return None,
    };
    Some(Disk { name: rules::disk_name(at, index)?.to_owned(), backing, bus })
}

fn boot(root: &At<'_>, source: &Source) -> Option<Vec<BootDevice>> {
    match (source, root.get("boot")) {
        (Source::Kernel { .. }, _) => Some(Vec::new()),
        (Source::Box { .. }, None) => Some(vec![BootDevice::Disk]),
        (Source::Iso { .. }, None) if root.list("disks").is_empty() => Some(vec![BootDevice::Cdrom]),
        (Source::Iso { .. }, None) => Some(vec![BootDevice::Disk, BootDevice::Cdrom]),
        (Source::Box { .. } | Source::Iso { .. }, Some(list)) => list.items().iter().map(boot_device).collect(),
    }
}

fn boot_device(at: &At<'_>) -> Option<BootDevice> {
    match at.text()? {
        "disk" => Some(BootDevice::Disk),
        "cdrom" => Some(BootDevice::Cdrom),
        "network" => Some(BootDevice::Network),
        _ => None,
    }
}

fn shares(at: &At<'_>) -> Shares {
    Shares {
        cpu: at.get("cpu").and_then(|at| at.whole()).and_then(|cpu| u64::try_from(cpu).ok()),
        cpu_limit: at.node.get("cpu_limit").and_then(check::number),
        memory_limit: bytes(at, "memory_limit"),
        memory_reservation: bytes(at, "memory_reservation"),
    }
}

fn interfaces(root: &At<'_>, kind: Kind) -> Option<Vec<Interface>> {
    let model = (kind == Kind::Vm).then(Model::default);
    if !root.has("networks") {
        return Some(vec![Interface { attachment: Attachment::Nat(DEFAULT_NETWORK.to_owned()), mac: None, model, address: None }]);
    }
    root.list("networks").iter().map(|at| interface(at, model)).collect()
}

fn interface(at: &At<'_>, default: Option<Model>) -> Option<Interface> {
    let attachment = if let Some(name) = text(at, "nat") {
        Attachment::Nat(name)
    } else if let Some(name) = text(at, "bridge") {
        Attachment::Bridge(name)
    } else if let Some(name) = text(at, "isolated") {
        Attachment::Isolated(name)
    } else {
        at.flag("user").filter(|user| *user)?;
        Attachment::User
    };
    let model = match at.text_of("model") {
        None => default,
        Some("virtio") => Some(Model::Virtio),
        Some("e1000e") => Some(Model::E1000e),
        Some("e1000") => Some(Model::E1000),
        Some("rtl8139") => Some(Model::Rtl8139),
        Some(_) => return None,
    };
    let mac = at.text_of("mac").and_then(Mac::parse);
    Some(Interface { attachment, mac, model, address: at.text_of("address").and_then(|text| text.parse().ok()) })
}

fn forward(at: &At<'_>, networks: &[Interface]) -> Option<Forward> {
    let fitting = if networks.iter().any(Interface::is_reachable) { Carrier::Executor } else { Carrier::Passt };
    if let Some(text) = at.text() {
        let short = parse_port(text).ok()?;
        return Some(Forward { host_ip: short.host_ip, host: short.host, guest: short.guest, protocol: short.protocol, by: fitting });
    }
    Some(Forward {
        host_ip: at.text_of("host_ip").and_then(|text| text.parse().ok()),
        host: port(at, "host")?,
        guest: port(at, "guest")?,
        protocol: if at.text_of("protocol") == Some("udp") { Protocol::Udp } else { Protocol::Tcp },
        by: match at.text_of("by") {
            None => fitting,
            Some("passt") => Carrier::Passt,
            Some(_) => Carrier::Executor,
        },
    })
}

fn restart(root: &At<'_>) -> Restart {
    match root.text_of("restart") {
        Some("always") => Restart::Always,
        Some("on-failure") => Restart::OnFailure,
        Some(_) | None => Restart::No,
    }
}

fn ready(at: &At<'_>) -> Option<Ready> {
    let until = if at.has("address") {
        Condition::Address
    } else if at.has("agent") {
        Condition::Agent
    } else if at.has("tcp") {
        Condition::Tcp(port(at, "tcp")?)
    } else if let Some(wanted) = text(at, "console") {
        Condition::Console(wanted)
    } else {
        Condition::Running
    };
    Some(Ready { until, timeout: time(at, "timeout").unwrap_or(Ready::default().timeout) })
}

fn port(at: &At<'_>, key: &str) -> Option<u16> {
    u16::try_from(at.get(key)?.whole()?).ok()
}

fn bytes(at: &At<'_>, key: &str) -> Option<u64> {
    u64::try_from(at.node.get(key)?.as_scalar().and_then(units::bytes)?).ok()
}

fn time(at: &At<'_>, key: &str) -> Option<Duration> {
    units::duration(at.text_of(key)?)
}

fn text(at: &At<'_>, key: &str) -> Option<String> {
    at.text_of(key).map(str::to_owned)
}

/// A text, or the texts of a list.
fn words(at: &At<'_>) -> Vec<String> {
    match at.text() {
        Some(text) => vec![text.to_owned()],
        None => at.items().iter().filter_map(At::text).map(str::to_owned).collect(),
    }
}

/// The texts of the list under a key.
fn texts(at: &At<'_>, key: &str) -> Vec<String> {
    at.get(key).map(|list| words(&list)).unwrap_or_default()
}

/// A mapping of texts: each is what stands there, so that `0755` is no number.
fn strings(at: &At<'_>, key: &str) -> BTreeMap<String, String> {
    let written = |node: &Node| node.source.as_deref().map(str::to_owned).or_else(|| node.display());
    let entries = at.get(key).map(|map| map.entries()).unwrap_or_default();
    entries.into_iter().filter_map(|(name, value)| Some((name.to_owned(), written(value.node)?))).collect()
}
