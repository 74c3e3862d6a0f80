//! What a domain that runs is plugged into: its interfaces, and the channel of the agent in its guest. Pure.

use std::net::IpAddr;

use roxmltree::Document;

use crate::engine::observed::{Address, AddressSource};
use crate::engine::xml;

/// The name of the agent's channel.
const AGENT: &str = "org.qemu.guest_agent.0";

/// What a domain is plugged into.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plugs {
    /// The hardware addresses of its interfaces, in lower case.
    interfaces: Vec<String>,
    /// What a container found set when it began.
    pub(super) set: Vec<Address>,
    /// Whether the agent in the guest has opened its channel.
    pub(super) agent: bool,
}

impl Plugs {
    /// Reads the definition that a domain runs with.
    pub(super) fn of(document: &Document<'_>) -> Self {
        let (mut interfaces, mut set) = (Vec::new(), Vec::new());
        for node in document.descendants().filter(|node| node.has_tag_name("interface")) {
            let Some(mac) = xml::child(node, "mac").and_then(|mac| mac.attribute("address")).map(str::to_ascii_lowercase) else { continue };
            let ips = node.children().filter(|child| child.has_tag_name("ip")).filter_map(|ip| ip.attribute("address")?.parse().ok());
            set.extend(ips.map(|ip| Address { mac: mac.clone(), ip, source: AddressSource::Set }));
            interfaces.push(mac);
        }
        let agent = document.descendants().any(|node| {
            node.has_tag_name("target") && node.attribute("name") == Some(AGENT) && node.attribute("state") == Some("connected")
        });
        Self { interfaces, set, agent }
    }

    /// The interfaces of which no address is known.
    pub(super) fn without(&self, found: &[Address]) -> Vec<String> {
        let known = |mac: &&String| found.iter().any(|address| address.mac == **mac);
        self.interfaces.iter().filter(|mac| !known(mac)).cloned().collect()
    }

    /// What a source tells of these interfaces. An agent also tells of what the guest has made for itself, such as the bridge of its
    /// containers: nobody reaches the guest there. Neither does anybody at an address that counts on one link alone.
    pub(super) fn told(&self, told: Vec<(String, Vec<String>)>, missing: &[String], source: AddressSource) -> Vec<Address> {
        let mut found: Vec<Address> = Vec::new();
        for (mac, texts) in told.into_iter().filter(|(mac, _)| missing.contains(mac)) {
            for ip in texts.iter().filter_map(|text| text.parse().ok()).filter(|ip| !is_of_one_link(ip)) {
                if !found.iter().any(|known| known.ip == ip) {
                    found.push(Address { mac: mac.clone(), ip, source });
                }
            }
        }
        found
    }
}

fn is_of_one_link(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &str = "<domain><devices><interface><mac address='52:54:00:00:00:0A'/></interface><interface><mac \
                              address='52:54:00:00:00:0b'/></interface><channel><target name='org.qemu.guest_agent.0' state='connected'/>\
                              </channel></devices></domain>";

    fn told(mac: &str, ips: &[&str]) -> (String, Vec<String>) {
        (mac.to_owned(), ips.iter().map(|ip| (*ip).to_owned()).collect())
    }

    #[test]
    fn each_source_is_asked_about_what_the_one_before_did_not_know() {
        let plugs = Plugs::of(&Document::parse(DEFINITION).unwrap());
        assert!(plugs.agent);
        let missing = plugs.without(&[]);
        let mut found = plugs.told(vec![told("52:54:00:00:00:0a", &["10.0.0.2"])], &missing, AddressSource::Lease);
        let missing = plugs.without(&found);
        assert_eq!(missing, ["52:54:00:00:00:0b"]);
        let agent = vec![
            told("52:54:00:00:00:0a", &["10.0.0.2", "fd00::2"]),
            told("52:54:00:00:00:0b", &["10.0.1.2", "fe80::1", "169.254.0.7"]),
            told("02:42:00:00:00:01", &["172.17.0.1"]),
            told("00:00:00:00:00:00", &["127.0.0.1"]),
        ];
        found.extend(plugs.told(agent, &missing, AddressSource::Agent));
        let seen: Vec<String> = found.iter().map(|address| format!("{} {:?}", address.ip, address.source)).collect();
        assert_eq!(seen, ["10.0.0.2 Lease", "10.0.1.2 Agent"], "the bridge of the guest's containers is none of its interfaces");
        assert!(plugs.without(&found).is_empty());
    }

    #[test]
    fn what_libvirt_has_set_nobody_is_asked_about() {
        let xml = "<domain><devices><interface><mac address='00:16:3e:00:00:01'/><ip address='10.0.0.7' family='ipv4' prefix='24'/>\
                   </interface></devices></domain>";
        let plugs = Plugs::of(&Document::parse(xml).unwrap());
        assert_eq!(plugs.set.iter().map(|address| address.ip.to_string()).collect::<Vec<_>>(), ["10.0.0.7"]);
        assert!(plugs.without(&plugs.set).is_empty());
    }

    #[test]
    fn an_agent_that_has_not_come_is_not_asked() {
        let definition = DEFINITION.replace("'connected'", "'disconnected'");
        assert!(!Plugs::of(&Document::parse(&definition).unwrap()).agent);
    }
}
