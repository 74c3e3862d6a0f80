//! Programs of this host that listen on ports, from `/proc`: as this process's network namespace has them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use orrery_contracts::PublishedPort;

/// A program that is no container and listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name and process, where they may be known.
    pub process: Option<(String, u32)>,
    /// The port of the host.
    pub port: PublishedPort,
}

impl Program {
    /// Which one it is, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.process {
            Some((name, pid)) => format!("{name} (process {pid}), a program of this host"),
            None => "a program of this host".to_owned(),
        }
    }
}

/// Who listens on these ports, as far as it can be known. Reads `/proc`, so not on the runtime.
#[must_use]
pub fn listening(ports: &BTreeSet<u16>) -> Vec<Program> {
    if ports.is_empty() {
        return Vec::new();
    }
    let mut listening = Vec::new();
    for (file, protocol) in [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")] {
        let table = fs::read_to_string(format!("/proc/self/net/{file}")).unwrap_or_default();
        listening.extend(table.lines().skip(1).filter_map(|line| listener(line, protocol)).filter(|found| ports.contains(&found.port)));
    }
    let owners = if listening.is_empty() { HashMap::new() } else { owners_of_sockets() };
    listening
        .into_iter()
        .map(|found| Program {
            process: owners.get(&found.inode).cloned(),
            port: PublishedPort {
                host_ip: found.ip.to_string(),
                host_port: found.port,
                container_port: 0,
                protocol: found.protocol.to_owned(),
            },
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Listener {
    ip: IpAddr,
    port: u16,
    protocol: &'static str,
    inode: u64,
}

/// A line of `/proc/net/tcp` and its kin, when it is of a socket that takes what comes: `0A` is a listening TCP socket,
/// `07` a UDP socket without a peer.
fn listener(line: &str, protocol: &'static str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (*fields.get(1)?, *fields.get(3)?, *fields.get(9)?);
    if state != if protocol == "tcp" { "0A" } else { "07" } {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    Some(Listener { ip: address(ip)?, port: u16::from_str_radix(port, 16).ok()?, protocol, inode: inode.parse().ok()? })
}

/// An address as the kernel prints it: words of 32 bits in the order of this machine's bytes.
fn address(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = (0..hex.len())
        .step_by(8)
        .map(|at| u32::from_str_radix(hex.get(at..at.saturating_add(8))?, 16).ok().map(u32::to_ne_bytes))
        .collect();
    let bytes = words?.concat();
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
        _ => None,
    }
}

/// The processes that hold sockets, by the sockets' inodes; of others than ours only root sees them.
fn owners_of_sockets() -> HashMap<u64, (String, u32)> {
    let mut owners = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        for open in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(open.path()).unwrap_or_default();
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                owners.insert(inode, (name.trim().to_owned(), pid));
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_take_what_comes_are_listeners() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0";
        let found = listener(line, "tcp").unwrap();
        assert_eq!((found.ip.to_string().as_str(), found.port, found.inode), ("127.0.0.1", 8080, 4711));
        assert_eq!(listener(&line.replace(" 0A ", " 01 "), "tcp"), None, "a connection");
        let any = "   1: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 12 2 0 0";
        assert_eq!(listener(any, "udp").map(|found| (found.ip.to_string(), found.port)), Some(("::".to_owned(), 53)));
        assert_eq!(listener("nonsense", "tcp"), None);
    }

    #[test]
    fn a_socket_of_this_very_process_is_found_with_its_name() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
        let found = table.lines().skip(1).filter_map(|line| listener(line, "tcp")).find(|found| found.port == port).unwrap();
        let (_, pid) = owners_of_sockets().remove(&found.inode).unwrap();
        assert_eq!(pid, std::process::id());
    }
}
