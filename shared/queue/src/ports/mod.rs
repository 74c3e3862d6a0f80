//! The one book of a host's ports: what a stack or a machine holds, nobody else is given, whichever executor is asked. Each
//! knows its own engine best; of the other's it reads what that one observed, and of everybody else's what the kernel says.

mod programs;

use orrery_contracts::PublishedPort;

pub use programs::{Program, listening};

/// A port that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The port.
    pub port: PublishedPort,
    /// Who holds it, in words: `machine db of ada`, `container shop-web-1 of stack shop of ada`.
    pub holder: String,
}

/// The code of a refusal for a port that somebody holds.
pub const PORT_TAKEN: &str = "port_taken";

/// The words for a port that somebody holds; `of` is who wants it, such as `service web` or `machine db`.
#[must_use]
pub fn taken(port: &PublishedPort, of: &str, holder: &str) -> String {
    format!("port {}/{} of {of} is held by {holder}", port.host_port, port.protocol)
}

/// Whether two cannot hold these ports at once.
#[must_use]
pub fn collide(a: &PublishedPort, b: &PublishedPort) -> bool {
    let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0" || ip == "::";
    a.host_port == b.host_port && a.protocol == b.protocol && (any(&a.host_ip) || any(&b.host_ip) || a.host_ip == b.host_ip)
}

/// Which container it is, in words: of what it is, as far as that is known.
#[must_use]
pub fn container_words(name: &str, owner: Option<&str>, project: Option<&str>) -> String {
    match (owner, project) {
        (Some(owner), Some(project)) => format!("container {name} of stack {project} of {owner}"),
        (None, Some(project)) => format!("container {name} of project {project}, which Orrery did not make"),
        (Some(_) | None, None) => format!("container {name}, which Orrery did not make"),
    }
}

/// Which machine it is, in words.
#[must_use]
pub fn machine_words(name: &str, owner: Option<&str>) -> String {
    match owner {
        Some(owner) => format!("machine {name} of {owner}"),
        None => format!("machine {name}, which Orrery did not make"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, port: u16, protocol: &str) -> PublishedPort {
        PublishedPort { host_ip: ip.to_owned(), host_port: port, container_port: 1, protocol: protocol.to_owned() }
    }

    #[test]
    fn an_address_collides_with_itself_and_with_all_of_them() {
        let one = port("127.0.0.1", 80, "tcp");
        for (other, collides) in [
            (port("127.0.0.1", 80, "tcp"), true),
            (port("0.0.0.0", 80, "tcp"), true),
            (port("::", 80, "tcp"), true),
            (port("", 80, "tcp"), true),
            (port("10.0.0.1", 80, "tcp"), false),
            (port("127.0.0.1", 81, "tcp"), false),
            (port("127.0.0.1", 80, "udp"), false),
        ] {
            assert_eq!(collide(&one, &other), collides, "{other:?}");
            assert_eq!(collide(&other, &one), collides, "{other:?}");
        }
    }

    #[test]
    fn whoever_asks_is_told_in_the_same_words() {
        let (held, machine) = (port("", 80, "tcp"), machine_words("db", Some("ada")));
        assert_eq!(taken(&held, "service web", &machine), "port 80/tcp of service web is held by machine db of ada");
        let container = container_words("shop-web-1", Some("ada"), Some("shop"));
        assert_eq!(
            taken(&held, "machine db", &container),
            "port 80/tcp of machine db is held by container shop-web-1 of stack shop of ada"
        );
    }
}
