//! The short form of a port: `8080:80`, `127.0.0.1:8080:80/udp`, `3000-3005`, `[::1]::80`.

use std::net::IpAddr;

use super::{mapping, text};
use crate::model::PortRange;
use crate::problem::Problem;
use crate::yaml::{Data, Node, Scalar, item};

/// Expands the entries of `ports`: each becomes one mapping for each port of the container.
pub(crate) fn expand(node: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    let Some(items) = node.as_list_mut() else { return };
    let mut ports = Vec::new();
    for (index, entry) in items.drain(..).enumerate() {
        let Some(short) = entry.display() else {
            ports.push(entry);
            continue;
        };
        let place = entry.span.at(item(path, index));
        if entry.source.is_some() {
            let written = entry.source.as_deref().unwrap_or_default();
            let message = format!("{written} without quotes means {short} here, as it does to Compose");
            problems.push(Problem::warning(&place, message).hint(format!("Write \"{written}\".")));
        }
        match parse(&short) {
            Ok(parsed) => ports.extend(parsed.into_iter().map(|port| Node::new(entry.span.clone(), port.into_data(&entry)))),
            Err(fault) => problems.push(Problem::invalid(&place, format!("{short:?}: {}", fault.message)).hint(fault.hint)),
        }
    }
    *items = ports;
}

/// One port of the container, as the long form has it.
#[derive(Debug, PartialEq)]
struct Short {
    host_ip: String,
    target: u16,
    published: String,
    protocol: String,
}

impl Short {
    fn into_data(self, entry: &Node) -> Data {
        let mut fields = vec![("mode", text("ingress")), ("target", Data::Scalar(Scalar::Int(i64::from(self.target))))];
        if !self.host_ip.is_empty() {
            fields.push(("host_ip", text(self.host_ip)));
        }
        if !self.published.is_empty() {
            fields.push(("published", text(self.published)));
        }
        fields.push(("protocol", text(self.protocol)));
        mapping(entry, fields)
    }
}

#[derive(Debug)]
struct Fault {
    message: String,
    hint: &'static str,
}

const FORMS: &str = "Write \"HOST:CONTAINER\", such as \"8080:80\", \"127.0.0.1:8080:80\" or \"53:53/udp\".";

fn fault<T>(message: impl Into<String>, hint: &'static str) -> Result<T, Fault> {
    Err(Fault { message: message.into(), hint })
}

fn parse(short: &str) -> Result<Vec<Short>, Fault> {
    let (address, protocol) = short.split_once('/').unwrap_or((short, ""));
    let protocol = protocol.split('/').next().unwrap_or_default();
    let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_ascii_lowercase() };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return fault(format!("{protocol:?} is no protocol"), "Write tcp, udp or sctp behind the slash.");
    }
    let (host_ip, host, container) = split(address)?;
    if container.is_empty() {
        return fault("the container's port is missing", FORMS);
    }
    let target = match range(container).filter(|range| range.first > 0) {
        Some(range) => range,
        None => {
            return fault(
                format!("{container:?} is no port of the container"),
                "Ports are numbers from 1 to 65535, ranges such as 3000-3005.",
            );
        }
    };
    let published = match host {
        "" => None,
        host => match range(host) {
            Some(range) => Some(range),
            None => {
                return fault(format!("{host:?} is no port of the host"), "Ports are numbers from 1 to 65535, ranges such as 3000-3005.");
            }
        },
    };
    if let Some(published) = published.filter(|published| published.count() != target.count() && target.count() != 1) {
        let message = format!("{published} has {} ports, and {target} has {}", published.count(), target.count());
        return fault(message, "Give both ranges the same length.");
    }
    let mut ports: Vec<Short> = (target.first..=target.last)
        .map(|port| Short {
            host_ip: host_ip.clone(),
            target: port,
            published: match published {
                None => String::new(),
                Some(range) if target.count() == 1 => range.to_string(),
                Some(range) => (range.first + (port - target.first)).to_string(),
            },
            protocol: protocol.clone(),
        })
        .collect();
    // Compose lists the ports of a range in the order of their texts.
    ports.sort_by_key(|port| port.target.to_string());
    Ok(ports)
}

/// Host address, host port and container port; the first two may be empty.
fn split(address: &str) -> Result<(String, &str, &str), Fault> {
    let Some((before, container)) = address.rsplit_once(':') else { return Ok((String::new(), "", address)) };
    let Some((ip, host)) = before.rsplit_once(':') else { return Ok((String::new(), before, container)) };
    let six = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let bare = six.unwrap_or(ip);
    let right = match bare.parse::<IpAddr>() {
        Ok(address) => address.is_ipv6() == six.is_some(),
        Err(_) => ip.is_empty(),
    };
    if right {
        return Ok((bare.to_owned(), host, container));
    }
    fault(format!("{ip:?} is no address of the host"), FORMS)
}

/// A port or a range of ports.
pub(crate) fn range(text: &str) -> Option<PortRange> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    (first <= last).then_some(PortRange { first, last })
}

/// A host port as the long form writes it. Port 0 lets the engine choose.
pub(crate) fn published(text: &str) -> Option<Option<PortRange>> {
    if text.is_empty() {
        return Some(None);
    }
    range(text).map(|range| Some(range).filter(|range| range.last != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(short: &str) -> String {
        match parse(short) {
            Ok(ports) => {
                let shown = ports.iter().map(|p| format!("{}|{}|{}|{}", p.host_ip, p.published, p.target, p.protocol));
                shown.collect::<Vec<_>>().join(" ")
            }
            Err(fault) => format!("! {}", fault.message),
        }
    }

    #[test]
    fn short_forms_mean_what_they_mean_to_compose() {
        let table = [
            ("80", "||80|tcp"),
            ("8080:80", "|8080|80|tcp"),
            ("8080:80/UDP", "|8080|80|udp"),
            ("127.0.0.1:8080:80", "127.0.0.1|8080|80|tcp"),
            ("127.0.0.1::80", "127.0.0.1||80|tcp"),
            ("[::1]:8080:80", "::1|8080|80|tcp"),
            (":80", "||80|tcp"),
            ("9-10", "||10|tcp ||9|tcp"),
            ("8000-8001:80-81", "|8000|80|tcp |8001|81|tcp"),
            ("8000-8010:80", "|8000-8010|80|tcp"),
        ];
        for (short, long) in table {
            assert_eq!(show(short), long, "{short}");
        }
        for short in
            ["", "a", "80:", "8000-8001:80-82", "70000", "1.2.3:80:80", "80/foo", "5-4", "-80", "80:80:80:80", "::1:8080:80", "0", "80:0"]
        {
            assert!(show(short).starts_with('!'), "{short}: {}", show(short));
        }
    }
}
