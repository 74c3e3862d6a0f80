//! Published and exposed ports.

use std::net::IpAddr;

use super::cursor::Cursor;
use crate::model::{Expose, Port, Protocol};
use crate::problem::Problem;
use crate::short;

pub(super) fn ports(service: &Cursor<'_>, problems: &mut Vec<Problem>) -> Vec<Port> {
    let Some(ports) = service.get("ports") else { return Vec::new() };
    ports.items().iter().filter_map(|port| self::port(port, problems)).collect()
}

fn port(port: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Port> {
    port.node.as_map()?;
    let place = port.place();
    let Some(target) = port.get("target") else {
        problems.push(Problem::invalid(&place, "the container's port is missing").hint("Add target:."));
        return None;
    };
    let number = port.int("target").and_then(|target| u16::try_from(target).ok()).filter(|target| *target > 0);
    let Some(number) = number else {
        let shown = target.show().unwrap_or_default();
        problems.push(Problem::refused(&target.place(), format!("{shown} is no port")).hint("Ports are numbers from 1 to 65535."));
        return None;
    };
    let published = match port.get("published").and_then(|published| Some((published.show()?, published))) {
        None => None,
        Some((text, at)) => match short::published(&text) {
            Some(published) => published,
            None => {
                let problem = Problem::refused(&at.place(), format!("{text:?} is no port of the host"));
                problems.push(problem.hint("Write a number from 1 to 65535, or a range such as 8000-8010."));
                None
            }
        },
    };
    let host_ip = port.get("host_ip").and_then(|at| Some((at.show()?, at))).and_then(|(text, at)| {
        let ip = text.parse::<IpAddr>().ok();
        if ip.is_none() {
            problems.push(Problem::invalid(&at.place(), format!("{text:?} is no address")).hint("Write an address such as 127.0.0.1."));
        }
        ip
    });
    let protocol = port.text("protocol").unwrap_or_default();
    let protocol = Protocol::parse(&protocol).or_else(|| {
        let at = port.get("protocol").map_or(place.clone(), |at| at.place());
        problems.push(Problem::refused(&at, format!("{protocol:?} is no protocol")).hint("Write tcp, udp or sctp."));
        None
    })?;
    Some(Port {
        place,
        name: port.text("name"),
        target: number,
        published,
        host_ip,
        protocol,
        app_protocol: port.text("app_protocol"),
        mode: port.text("mode"),
    })
}

pub(super) fn expose(service: &Cursor<'_>, problems: &mut Vec<Problem>) -> Vec<Expose> {
    let Some(expose) = service.get("expose") else { return Vec::new() };
    let mut exposed = Vec::new();
    for entry in expose.items() {
        let Some(text) = entry.show() else { continue };
        let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
        match (short::range(ports), Protocol::parse(protocol)) {
            (Some(ports), Some(protocol)) => exposed.push(Expose { place: entry.place(), ports, protocol }),
            _ => {
                let message = format!("{text:?} is no port");
                let fraction = matches!(entry.node.as_scalar(), Some(crate::yaml::Scalar::Float(_)));
                let place = entry.place();
                let problem = if fraction { Problem::invalid(&place, message) } else { Problem::refused(&place, message) };
                problems.push(problem.hint("Write a port or a range, such as \"8080\", \"3000-3005\" or \"53/udp\"."));
            }
        }
    }
    exposed
}
