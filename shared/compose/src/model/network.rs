//! Networks and volumes of a project, and how a service is attached to networks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use super::{Spanned, Strings};
use crate::problem::Place;

/// A network of the project.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Network {
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
    /// Its name on the engine: `<project>_<key>` unless the file says otherwise.
    pub name: Spanned<String>,
    /// Made elsewhere: it must exist and is never made or removed.
    pub external: bool,
    /// The driver; `None` is the engine's default.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: Strings,
    /// Address management driver.
    pub ipam_driver: Option<String>,
    /// Address pools.
    pub ipam: Vec<IpamPool>,
    /// Options of the address management driver.
    pub ipam_options: Strings,
    /// Without a way out.
    pub internal: bool,
    /// Open for containers that are not of a Swarm service.
    pub attachable: bool,
    /// Give IPv4 addresses; `None` is the engine's default.
    pub enable_ipv4: Option<bool>,
    /// Give IPv6 addresses; `None` is the engine's default.
    pub enable_ipv6: Option<bool>,
    /// Labels.
    pub labels: Strings,
}

/// A pool of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IpamPool {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// The subnet in CIDR notation.
    pub subnet: Option<String>,
    /// The gateway.
    pub gateway: Option<IpAddr>,
    /// Part of the subnet from which addresses are given.
    pub ip_range: Option<String>,
    /// Addresses that the driver uses itself.
    pub aux_addresses: Strings,
}

/// A named volume of the project.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Volume {
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
    /// Its name on the engine: `<project>_<key>` unless the file says otherwise.
    pub name: Spanned<String>,
    /// Made elsewhere: it must exist and is never made or removed.
    pub external: bool,
    /// The driver; `None` is the engine's default.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: Strings,
    /// Labels.
    pub labels: Strings,
}

/// How a service is attached to one network.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Attachment {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// Further names of the service on this network.
    pub aliases: Vec<String>,
    /// A fixed address.
    pub ipv4_address: Option<Ipv4Addr>,
    /// A fixed address.
    pub ipv6_address: Option<Ipv6Addr>,
    /// Link-local addresses.
    pub link_local_ips: Vec<IpAddr>,
    /// A fixed hardware address.
    pub mac_address: Option<String>,
    /// Networks are connected from the highest priority down.
    pub priority: i64,
    /// The highest one gives the default gateway (engines from API 1.48).
    pub gw_priority: i64,
    /// Name of the interface in the container (engines from API 1.49).
    pub interface_name: Option<String>,
    /// Options of the driver for this endpoint.
    pub driver_opts: BTreeMap<String, String>,
}

/// `network_mode` of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// No network at all.
    None,
    /// The host's network.
    Host,
    /// The engine's own bridge.
    Bridge,
    /// The network of another service's container.
    Service(String),
    /// The network of a container that is not the project's.
    Container(String),
    /// A network of the engine, by its name.
    Other(String),
}
