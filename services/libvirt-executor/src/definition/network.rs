//! Networks that a definition names, and nobody has made yet: their addresses, and the addresses that a machine reserves of them.

use std::net::Ipv4Addr;

use sha2::{Digest as _, Sha256};

use super::{Desired, mac_of};
use crate::engine::{Reservation, Subnet, escaped};
use orrery_machine::model::{Attachment, Interface};

/// The addresses of a network that is still to be made: around the address that is reserved of it, else such as follow from its name, so that two
/// of them rarely meet. `default` has those that it has everywhere.
#[must_use]
pub fn subnet_of(name: &str, reserved: Option<Ipv4Addr>) -> Subnet {
    let third = Sha256::digest(name.as_bytes()).first().copied().unwrap_or_default();
    let [a, b, c] = match (reserved.map(|ip| ip.octets()), name) {
        (Some([a, b, c, _]), _) => [a, b, c],
        (None, "default") => [192, 168, 122],
        (None, _) => [10, 124, third],
    };
    Subnet { gateway: Ipv4Addr::new(a, b, c, 1), prefix: 24 }
}

/// Its definition (formatnetwork): with a way outside, or of machines alone.
#[must_use]
pub fn network_xml(name: &str, outside: bool, subnet: Subnet) -> String {
    let [a, b, c, _] = subnet.gateway.octets();
    let forward = if outside { "<forward mode='nat'/>" } else { "" };
    format!(
        "<network><name>{}</name>{forward}<ip address='{}' prefix='{}'><dhcp><range start='{a}.{b}.{c}.128' end='{a}.{b}.{c}.254'/></dhcp></ip>\
         </network>",
        escaped(name),
        subnet.gateway,
        subnet.prefix
    )
}

/// The network of libvirt that an interface is plugged into.
pub(super) fn network_of(interface: &Interface) -> Option<&str> {
    match &interface.attachment {
        Attachment::Nat(name) | Attachment::Isolated(name) => Some(name),
        Attachment::Bridge(_) | Attachment::User => None,
    }
}

impl Desired {
    /// The addresses that the definition reserves, by network.
    #[must_use]
    pub fn reservations(&self) -> Vec<(String, Reservation)> {
        let interfaces = self.machine.networks.iter().enumerate();
        let reserved = interfaces.filter_map(|(at, interface)| {
            let mac = interface.mac.unwrap_or_else(|| mac_of(self.identity.machine, at)).to_string();
            let reservation = Reservation { mac, ip: interface.address?.into(), name: self.identity.domain.clone() };
            Some((network_of(interface)?.to_owned(), reservation))
        });
        reserved.collect()
    }

    /// The definition of a network that it needs.
    #[must_use]
    pub fn network_xml(&self, name: &str) -> String {
        let of = |interface: &&Interface| network_of(interface) == Some(name);
        let reserved = self.machine.networks.iter().filter(of).find_map(|interface| interface.address);
        network_xml(name, self.networks.get(name).copied().unwrap_or_default(), subnet_of(name, reserved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_lies_around_the_address_that_is_reserved_of_it() {
        let subnet = subnet_of("lab", Some(Ipv4Addr::new(10, 9, 8, 7)));
        assert_eq!(subnet.to_string(), "10.9.8.1/24");
        assert!(subnet.has(Ipv4Addr::new(10, 9, 8, 200)) && !subnet.has(Ipv4Addr::new(10, 9, 9, 200)));
        assert!(!subnet.has(Ipv4Addr::new(10, 9, 8, 1)), "the host has that one");
        assert_eq!(subnet_of("default", None).to_string(), "192.168.122.1/24");
        assert_ne!(subnet_of("lab", None), subnet_of("other", None));
        assert!(network_xml("lab", false, subnet).contains("<ip address='10.9.8.1' prefix='24'>"));
    }
}
