//! Which doors a definition asks for. Pure.

use std::fmt;
use std::net::IpAddr;

use orrery_contracts::machine::MachinePort;
use orrery_contracts::{MachineId, PublishedPort};
use orrery_machine::Machine;
use orrery_machine::model::{Carrier, Forward, Protocol};
use orrery_queue::ports::machine_words;

use crate::definition::mac_of;
use crate::engine::DomainRef;

/// What a door listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Front {
    /// The address of the host; without one, all of them.
    pub ip: Option<IpAddr>,
    /// The port of the host.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

impl Front {
    fn of(forward: &Forward) -> Self {
        Self { ip: forward.host_ip.filter(|ip| !ip.is_unspecified()), port: forward.host, protocol: forward.protocol }
    }

    /// As the book has it.
    #[must_use]
    pub fn published(&self, guest: u16) -> PublishedPort {
        let host_ip = self.ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
        PublishedPort { host_ip, host_port: self.port, container_port: guest, protocol: self.protocol.as_str().to_owned() }
    }
}

impl fmt::Display for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}/{}", self.port, self.protocol.as_str()),
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:{}/{}", self.port, self.protocol.as_str()),
            None => write!(f, "{}/{}", self.port, self.protocol.as_str()),
        }
    }
}

/// A door, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What it listens on.
    pub front: Front,
    /// Whose it is.
    pub machine: MachineId,
    /// Whose it is, in words.
    pub holder: String,
    /// Its domain.
    pub domain: DomainRef,
    /// The port of the guest.
    pub guest: u16,
    /// The interface that it leads to, by its hardware address in lower case.
    pub mac: String,
    /// The address that is reserved for that interface; without one, its lease tells.
    pub reserved: Option<IpAddr>,
}

impl Way {
    /// As an observation tells it.
    #[must_use]
    pub fn told(&self) -> MachinePort {
        let PublishedPort { host_ip, host_port, container_port, protocol } = self.front.published(self.guest);
        MachinePort { host_ip, host_port, guest_port: container_port, protocol }
    }
}

/// The doors that a machine asks for: its forwards that the executor carries, to the first interface that it can reach.
#[must_use]
pub fn ways(machine: &Machine, id: MachineId, domain: DomainRef, (name, owner): (&str, &str)) -> Vec<Way> {
    let mut interfaces = machine.networks.iter().enumerate();
    let Some((at, interface)) = interfaces.find(|(_, interface)| interface.is_reachable()) else { return Vec::new() };
    let mac = interface.mac.unwrap_or_else(|| mac_of(id, at)).to_string();
    let carried = machine.ports.iter().filter(|forward| forward.by == Carrier::Executor);
    let way = |forward: &Forward| Way {
        front: Front::of(forward),
        machine: id,
        holder: machine_words(name, Some(owner)),
        domain,
        guest: forward.guest,
        mac: mac.clone(),
        reserved: interface.address.map(IpAddr::from),
    };
    carried.map(way).collect()
}

/// Every port of the host that a machine asks for, whoever carries it, as the book has it.
pub(super) fn wanted(machine: &Machine) -> Vec<PublishedPort> {
    machine.ports.iter().map(|forward| Front::of(forward).published(forward.guest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(yaml: &str) -> Machine {
        let yaml = format!("kind: vm\nsource: {{box: debian}}\n{yaml}");
        let outcome = orrery_machine::load(&[("machine.yaml", yaml.as_str())].into_iter().collect());
        outcome.machine.unwrap_or_else(|| panic!("{:?}", outcome.problems))
    }

    #[test]
    fn a_door_leads_to_the_first_interface_that_can_be_reached() {
        let id = MachineId::new(uuid::Uuid::from_u128(7));
        let domain = DomainRef::vm(id.uuid());
        let yaml = "networks: [{bridge: br0}, {nat: default, address: 192.168.122.9}, {user: true}]\n\
                    ports: ['8080:80', '127.0.0.1:5353:53/udp', {host: 22, guest: 22, by: passt}]\n";
        let found = ways(&machine(yaml), id, domain, ("web", "ada"));
        let told: Vec<String> = found.iter().map(|way| format!("{} -> {}", way.front, way.guest)).collect();
        assert_eq!(told, ["8080/tcp -> 80", "127.0.0.1:5353/udp -> 53"]);
        assert!(found.iter().all(|way| way.mac == mac_of(id, 1).to_string() && way.holder == "machine web of ada"));
        assert_eq!(found[0].reserved, Some("192.168.122.9".parse().unwrap()));
        assert_eq!(wanted(&machine(yaml)).len(), 3, "the book has those of passt too");
    }

    #[test]
    fn all_addresses_are_all_addresses_however_they_are_written() {
        let yaml = "ports: ['0.0.0.0:8080:80', '[::]:8081:80']\n";
        let id = MachineId::new(uuid::Uuid::from_u128(7));
        let found = ways(&machine(yaml), id, DomainRef::vm(id.uuid()), ("web", "ada"));
        assert!(found.iter().all(|way| way.front.ip.is_none() && way.reserved.is_none()), "{found:?}");
    }
}
