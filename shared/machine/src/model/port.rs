//! Ports of the host that lead to the guest.

use std::net::IpAddr;

use serde::Serialize;

/// A forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forward {
    /// Address of the host; without one, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<IpAddr>,
    /// Port of the host.
    pub host: u16,
    /// Port of the guest.
    pub guest: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Who carries it.
    pub by: Carrier,
}

/// A transport protocol that can be forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The word of the definition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Who carries a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// The executor, to the address of the first interface that [is reachable](super::Interface::is_reachable).
    Executor,
    /// passt, at the first interface in user mode (`<portForward>`).
    Passt,
}
