//! Interfaces, and the ports that need one of them.

use std::net::IpAddr;

use super::Rules;
use crate::model::{Kind, Mac};
use crate::schema::parse_port;
use crate::tree::At;

/// So many ports are compared with each other. More of them are too many in any case.
const LOOKED_AT: usize = 1000;

/// A forward as far as the rules look at it.
struct Forward<'n> {
    at: At<'n>,
    host_ip: Option<IpAddr>,
    host: i64,
    udp: bool,
}

/// What the interfaces of a machine offer to ports and to readiness.
#[derive(Clone, Copy)]
pub(super) struct Offer {
    /// One has an address that the executor can know and reach, as [`crate::model::Interface::is_reachable`] says it of a
    /// machine without errors.
    pub(super) reachable: bool,
    /// One gets its address from a network that libvirt serves.
    pub(super) leases: bool,
    /// There is none.
    pub(super) nothing: bool,
    isolated: bool,
    user_mode: bool,
}

impl<'a> Rules<'a> {
    /// The interfaces that are written; `None` when the one on the default network holds, or what is written is no list.
    fn interfaces(&self) -> Option<Vec<At<'a>>> {
        self.root.get("networks").filter(|list| list.node.as_list().is_some()).map(|list| list.items())
    }

    pub(super) fn offer(&self) -> Offer {
        let Some(interfaces) = self.interfaces() else {
            return Offer { reachable: true, leases: true, nothing: false, isolated: false, user_mode: false };
        };
        let any = |holds: fn(&At<'_>) -> bool| interfaces.iter().any(holds);
        Offer {
            reachable: any(|one| one.has("nat") || one.has("isolated") && one.has("address") || is_unplugged(one)),
            leases: any(|one| one.has("nat") || one.has("isolated") || is_unplugged(one)),
            nothing: interfaces.is_empty(),
            isolated: any(|one| one.has("isolated")),
            user_mode: any(|one| one.has("user")),
        }
    }

    pub(super) fn networks(&mut self) {
        let interfaces = self.interfaces().unwrap_or_default();
        let macs = interfaces.iter().filter_map(|one| Some((one.get("mac")?, Mac::parse(one.text_of("mac")?)?)));
        for (mac, line) in Self::twice(macs) {
            self.wrong(&mac, format!("another interface has this MAC address, in line {line}"), "Give each its own, or leave it out.");
        }
        let addresses: Vec<_> =
            interfaces.iter().filter_map(|one| Some((one.get("address")?, (network(one)?, one.text_of("address")?)))).collect();
        for (address, line) in Self::twice(addresses) {
            self.wrong(&address, format!("another interface has this address, in line {line}"), "Give each its own.");
        }
        for interface in &interfaces {
            let Some(address) = interface.get("address") else { continue };
            if interface.has("bridge") {
                let hint = "Reserve it at the DHCP server of that network, for the interface's mac.";
                self.wrong(&address, "nobody here can reserve an address on a bridge of the host", hint);
            } else if interface.has("user") {
                self.wrong(&address, "user-mode networking gives its address itself", "Remove the address, or use nat.");
            }
        }
    }

    pub(super) fn ports(&mut self) {
        let ports = self.root.list("ports");
        let offer = self.offer();
        for port in &ports {
            let by = port.text_of("by");
            if by == Some("passt") || by.is_none() && !offer.reachable && offer.user_mode {
                self.passt(port, offer);
            } else if !offer.reachable {
                self.unreachable(port, offer);
            }
        }
        self.clashes(&ports);
    }

    fn passt(&mut self, port: &At<'_>, offer: Offer) {
        let at = port.get("by").unwrap_or_else(|| port.clone());
        if self.kind == Some(Kind::Container) {
            self.wrong(&at, "passt serves no containers", "Remove by: passt, and use a network of nat.");
        } else if !offer.user_mode {
            let hint = "Add - user: true to networks, or remove by: passt.";
            self.wrong(&at, "passt forwards to an interface in user mode, and there is none", hint);
        }
    }

    fn unreachable(&mut self, port: &At<'_>, offer: Offer) {
        let reason = if offer.nothing { "the machine has no interface" } else { "no interface has an address that is known here" };
        let hint = if offer.isolated {
            "Give the isolated interface an address, or add one of nat."
        } else if offer.user_mode {
            "Write by: passt, which forwards to an interface in user mode, or add an interface of nat."
        } else {
            "Add an interface of nat; on a bridge, the guest's own address is reached without a forward."
        };
        self.wrong(port, format!("this port leads nowhere: {reason}"), hint);
    }

    /// Ports of the host that two forwards want.
    fn clashes(&mut self, ports: &[At<'_>]) {
        let forwards: Vec<Forward<'_>> = ports.iter().take(LOOKED_AT).filter_map(forward).collect();
        for (index, forward) in forwards.iter().enumerate() {
            let earlier = forwards.get(..index).unwrap_or_default();
            let same = |other: &&Forward<'_>| {
                other.host == forward.host && other.udp == forward.udp && same_address(other.host_ip, forward.host_ip)
            };
            if let Some(other) = earlier.iter().find(same) {
                let protocol = if forward.udp { "udp" } else { "tcp" };
                let message = format!("port {}/{protocol} of the host is taken in line {}", forward.host, other.at.place().line);
                self.wrong(&forward.at, message, "Take another port of the host.");
            }
        }
    }
}

/// Whether an interface does not say what it is plugged into. That is wrong already, and what depends on it is not looked at.
fn is_unplugged(interface: &At<'_>) -> bool {
    !["nat", "bridge", "isolated", "user"].iter().any(|key| interface.has(key))
}

/// The network that an interface is plugged into, to tell whether two are in the same.
fn network<'n>(interface: &At<'n>) -> Option<(&'static str, &'n str)> {
    ["nat", "isolated"].into_iter().find_map(|kind| Some((kind, interface.text_of(kind)?)))
}

fn forward<'n>(port: &At<'n>) -> Option<Forward<'n>> {
    if let Some(text) = port.text() {
        let short = parse_port(text).ok()?;
        let udp = short.protocol == crate::model::Protocol::Udp;
        return Some(Forward { at: port.clone(), host_ip: short.host_ip, host: i64::from(short.host), udp });
    }
    let host_ip = match port.text_of("host_ip") {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    let at = port.get("host")?;
    Some(Forward { host: at.whole()?, at, host_ip, udp: port.text_of("protocol") == Some("udp") })
}

/// Whether two forwards of one port of the host are in each other's way.
fn same_address(a: Option<IpAddr>, b: Option<IpAddr>) -> bool {
    let all = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
    all(a) || all(b) || a == b
}
