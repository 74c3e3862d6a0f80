//! The definition of a container as libvirt takes it (formatdomain, the LXC driver), and the root filesystem that it lies on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use orrery_contracts::command::BoxFormat;
use orrery_contracts::{BoxHead, MachineId};
use orrery_machine::Machine;
use orrery_machine::model::{Attachment, Container, Interface, Mac, Restart, Shares};

use super::network::{network_of, subnet_of};
use super::xml::{RECORD, element, within};
use super::{Fault, Host, Identity, missing};
use crate::engine::escaped;

/// Root inside is this user outside, and so on for so many users.
const MAP: (u32, u32) = (100_000, 65_536);

/// The control group of its own and the others': written down, since libvirt would write it into the definition at the first start, and that would
/// look like a hand from outside.
const PARTITION: &str = "<resource><partition>/machine</partition></resource>";

/// The root filesystem of a container: a folder in the pool, unpacked from a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its folder in the pool; libvirt shows it among the volumes.
    pub volume: String,
    /// The volume of the box with the archive.
    pub archive: String,
    /// What is added to the number of every user and group.
    pub shift: u32,
}

/// The folder of a container's root filesystem.
#[must_use]
pub fn root_volume(machine: MachineId) -> String {
    format!("{machine}.rootfs")
}

/// Whether a volume is the folder of a container's root filesystem, or what is left of one that was not unpacked to its end.
#[must_use]
pub fn is_root(machine: MachineId, volume: &str) -> bool {
    volume.strip_prefix(&root_volume(machine)).is_some_and(|rest| rest.is_empty() || rest == ".part")
}

/// The root filesystem that a container asks for.
pub(super) fn root(
    machine: &Machine,
    container: &Container,
    identity: &Identity,
    boxes: &BTreeMap<String, BoxHead>,
    faults: &mut Vec<Fault>,
) -> Option<Root> {
    let name = &container.archive;
    if machine.restart == Restart::OnFailure {
        let message = "libvirt does not tell how a container has ended; take always or no";
        faults.push(Fault::new("restart", message));
    }
    match boxes.get(name) {
        Some(found) if found.format == BoxFormat::Rootfs => {
            let shift = if container.idmap { MAP.0 } else { 0 };
            return Some(Root { volume: root_volume(identity.machine), archive: found.volume.clone(), shift });
        }
        Some(found) => {
            let message = format!("the box {name} is of format {}, and a container needs rootfs", found.format.as_str());
            faults.push(Fault::new("source.archive", message));
        }
        None => faults.push(Fault::new("source.archive", missing(name, boxes))),
    }
    None
}

/// The domain.
pub(super) fn domain(machine: &Machine, container: &Container, identity: &Identity, host: &Host, macs: &[Mac]) -> String {
    let mut xml = String::new();
    let description = if machine.description.is_empty() { String::new() } else { element("description", &machine.description) };
    let _ = write!(
        xml,
        "<domain type='lxc'><name>{}</name><uuid>{}</uuid>{description}<metadata>{RECORD}</metadata><memory unit='MiB'>{}</memory><vcpu>1</vcpu>\
         {PARTITION}{}{}",
        escaped(&identity.domain),
        identity.machine,
        machine.memory / (1024 * 1024),
        tuning(&machine.shares),
        os(container),
    );
    if container.idmap {
        let (target, count) = MAP;
        let _ = write!(
            xml,
            "<idmap><uid start='0' target='{target}' count='{count}'/><gid start='0' target='{target}' count='{count}'/></idmap>"
        );
    }
    if machine.networks.is_empty() {
        // Else it would have the host's network.
        xml.push_str("<features><privnet/></features>");
    }
    let folder = escaped(&host.pool.file(&root_volume(identity.machine)));
    let _ = write!(
        xml,
        "<clock offset='utc'/><devices><filesystem type='mount' accessmode='passthrough'><source dir='{folder}'/><target dir='/'/></filesystem>"
    );
    for (at, one) in machine.networks.iter().enumerate() {
        xml.push_str(&interface(at, one, macs.get(at), host));
    }
    if machine.console {
        xml.push_str("<console type='pty'/>");
    }
    xml.push_str("</devices></domain>");
    xml
}

fn tuning(shares: &Shares) -> String {
    let memory = shares.memory_reservation.map_or_else(String::new, |bytes| format!("<soft_limit unit='bytes'>{bytes}</soft_limit>"));
    let mut cpu = shares.cpu.map_or_else(String::new, |weight| format!("<shares>{weight}</shares>"));
    if let Some(quota) = shares.quota() {
        let _ = write!(cpu, "<period>{}</period><quota>{quota}</quota>", Shares::PERIOD);
    }
    format!("{}{}", within("memtune", memory), within("cputune", cpu))
}

fn os(container: &Container) -> String {
    let mut os = "<os><type>exe</type>".to_owned();
    let mut words = container.init.iter();
    if let Some(program) = words.next() {
        os.push_str(&element("init", program));
    }
    for argument in words {
        os.push_str(&element("initarg", argument));
    }
    for (name, value) in &container.environment {
        let _ = write!(os, "<initenv name='{}'>{}</initenv>", escaped(name), escaped(value));
    }
    os.push_str("</os>");
    os
}

/// An interface. Its address is set before the first process begins, and so is the way outside where there is one.
fn interface(at: usize, interface: &Interface, mac: Option<&Mac>, host: &Host) -> String {
    let mac = mac.map(|mac| format!("<mac address='{mac}'/>")).unwrap_or_default();
    let device = format!("<guest dev='eth{at}'/>");
    let Some(network) = network_of(interface) else {
        let Attachment::Bridge(bridge) = &interface.attachment else { return String::new() };
        return format!("<interface type='bridge'>{mac}<source bridge='{}'/>{device}</interface>", escaped(bridge));
    };
    let mut ways = String::new();
    if let Some(address) = interface.address {
        let subnet = host.subnets.get(network).copied().unwrap_or_else(|| subnet_of(network, Some(address)));
        let _ = write!(ways, "<ip address='{address}' family='ipv4' prefix='{}'/>", subnet.prefix);
        if let Attachment::Nat(_) = interface.attachment {
            let _ = write!(ways, "<route family='ipv4' address='0.0.0.0' prefix='0' gateway='{}'/>", subnet.gateway);
        }
    }
    format!("<interface type='network'>{mac}<source network='{}'/>{ways}{device}</interface>", escaped(network))
}
