//! Networks, volumes, and a service's attachment to networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use indexmap::IndexMap;

use super::cursor::Cursor;
use crate::model::{Attachment, IpamPool, Network, NetworkMode, Spanned, Volume};
use crate::problem::{Place, Problem};

pub(super) fn network(cursor: &Cursor<'_>, place: Place, problems: &mut Vec<Problem>) -> Network {
    external(cursor, problems);
    let ipam = cursor.get("ipam");
    Network {
        place,
        name: name(cursor),
        external: cursor.flag("external"),
        driver: cursor.text("driver"),
        driver_opts: cursor.strings("driver_opts"),
        ipam_driver: ipam.as_ref().and_then(|ipam| ipam.text("driver")),
        ipam: ipam.as_ref().map(|ipam| pools(ipam, problems)).unwrap_or_default(),
        ipam_options: ipam.as_ref().map(|ipam| ipam.strings("options")).unwrap_or_default(),
        internal: cursor.flag("internal"),
        attachable: cursor.flag("attachable"),
        enable_ipv4: cursor.maybe("enable_ipv4"),
        enable_ipv6: cursor.maybe("enable_ipv6"),
        labels: cursor.strings("labels"),
    }
}

fn pools(ipam: &Cursor<'_>, problems: &mut Vec<Problem>) -> Vec<IpamPool> {
    let Some(config) = ipam.get("config") else { return Vec::new() };
    let mut pools = Vec::new();
    for pool in config.items() {
        for key in ["subnet", "ip_range"] {
            if let Some(written) = pool.get(key) {
                let text = written.show().unwrap_or_default();
                if !is_subnet(&text) {
                    let problem = Problem::refused(&written.place(), format!("{text:?} is no subnet"));
                    problems.push(problem.hint("Write an address and a prefix length, such as 172.28.0.0/16."));
                }
            }
        }
        pools.push(IpamPool {
            place: pool.place(),
            subnet: pool.text("subnet"),
            gateway: address(&pool, "gateway", problems),
            ip_range: pool.text("ip_range"),
            aux_addresses: pool.strings("aux_addresses"),
        });
    }
    pools
}

fn is_subnet(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

pub(super) fn volume(cursor: &Cursor<'_>, place: Place, problems: &mut Vec<Problem>) -> Volume {
    external(cursor, problems);
    if let Some(external) = cursor.get("external").filter(|_| cursor.flag("external")) {
        for (key, _) in cursor.entries() {
            if !matches!(key, "name" | "external") && !key.starts_with("x-") {
                let problem = Problem::invalid(&cursor.key_place(key), format!("{key} and external exclude each other"));
                let line = external.node.span.line;
                problems.push(problem.hint(format!("An external volume is made elsewhere: remove {key}, or external in line {line}.")));
            }
        }
    }
    Volume {
        place,
        name: name(cursor),
        external: cursor.flag("external"),
        driver: cursor.text("driver"),
        driver_opts: cursor.strings("driver_opts"),
        labels: cursor.strings("labels"),
    }
}

fn name(cursor: &Cursor<'_>) -> Spanned<String> {
    cursor.spanned("name").unwrap_or_default()
}

/// An external network with options: Compose takes them and ignores them.
fn external(cursor: &Cursor<'_>, problems: &mut Vec<Problem>) {
    if !cursor.flag("external") || cursor.path.starts_with("volumes.") {
        return;
    }
    for (key, _) in cursor.entries() {
        if !matches!(key, "name" | "external") && !key.starts_with("x-") {
            let problem = Problem::warning(&cursor.key_place(key), format!("{key} of an external network has no effect"));
            problems.push(problem.hint("It is made elsewhere, with the options given there."));
        }
    }
}

/// The networks of a service.
pub(super) fn attachments(service: &Cursor<'_>, problems: &mut Vec<Problem>) -> IndexMap<String, Attachment> {
    let Some(networks) = service.get("networks") else { return IndexMap::new() };
    let mut attachments = IndexMap::new();
    for (name, cursor) in networks.entries() {
        let attachment = Attachment {
            place: networks.key_place(name),
            aliases: cursor.texts("aliases"),
            ipv4_address: address::<Ipv4Addr>(&cursor, "ipv4_address", problems),
            ipv6_address: address::<Ipv6Addr>(&cursor, "ipv6_address", problems),
            link_local_ips: cursor.texts("link_local_ips").iter().filter_map(|ip| ip.parse().ok()).collect(),
            mac_address: cursor.text("mac_address"),
            priority: cursor.int("priority").unwrap_or_default(),
            gw_priority: cursor.int("gw_priority").unwrap_or_default(),
            interface_name: cursor.text("interface_name"),
            driver_opts: cursor.strings("driver_opts"),
        };
        attachments.insert(name.to_owned(), attachment);
    }
    attachments
}

fn address<T: FromStr>(cursor: &Cursor<'_>, key: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let value = cursor.get(key)?;
    let text = value.show().filter(|text| !text.is_empty())?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let kind = match key {
            "ipv4_address" => "an IPv4 address",
            "ipv6_address" => "an IPv6 address",
            _ => "an address",
        };
        problems.push(Problem::refused(&value.place(), format!("{text:?} is not {kind}")));
    }
    parsed
}

pub(super) fn network_mode(service: &Cursor<'_>) -> Option<Spanned<NetworkMode>> {
    let written = service.spanned("network_mode")?;
    let mode = match written.value.as_str() {
        "none" => NetworkMode::None,
        "host" => NetworkMode::Host,
        "bridge" | "default" => NetworkMode::Bridge,
        other => match other.split_once(':') {
            Some(("service", name)) => NetworkMode::Service(name.to_owned()),
            Some(("container", name)) => NetworkMode::Container(name.to_owned()),
            Some(_) | None => NetworkMode::Other(other.to_owned()),
        },
    };
    Some(Spanned::new(mode, written.place))
}
