//! Published and exposed ports.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::problem::Place;

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The name that the engine uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Reads a name in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Some(Self::Tcp),
            "udp" => Some(Self::Udp),
            "sctp" => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some ports in a row; one port is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port, included.
    pub last: u16,
}

impl PortRange {
    /// One port.
    pub fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// How many ports.
    pub fn count(self) -> u32 {
        u32::from(self.last).saturating_sub(u32::from(self.first)) + 1
    }

    /// Whether two ranges share a port.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// One entry of `ports` after ranges are expanded: one port of the container.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Port {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// `name`, for people.
    pub name: Option<String>,
    /// The container's port.
    pub target: u16,
    /// The host's port. `None` lets the engine choose; a range lets it choose from the range.
    pub published: Option<PortRange>,
    /// The host's address. `None` is every address.
    pub host_ip: Option<IpAddr>,
    /// Protocol.
    pub protocol: Protocol,
    /// `app_protocol`, for people.
    pub app_protocol: Option<String>,
    /// `mode`: `ingress` or `host`, which only Swarm tells apart.
    pub mode: Option<String>,
}

/// One entry of `expose`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expose {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// The ports.
    pub ports: PortRange,
    /// Protocol.
    pub protocol: Protocol,
}
