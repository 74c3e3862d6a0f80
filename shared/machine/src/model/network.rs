//! Network interfaces.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Serialize, Serializer};

/// An interface of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// What it is plugged into.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// Its hardware address. Without one, it is derived from the machine's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// What the guest sees; `None` in a container, which has no such choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// The address that is reserved for it. A vm gets it by DHCP, a container finds it set (`<ip>` of the interface).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
}

impl Interface {
    /// Whether the executor can know its address without asking the guest, and reach it: on NAT always, on an isolated network
    /// when one is reserved.
    pub fn is_reachable(&self) -> bool {
        match self.attachment {
            Attachment::Nat(_) => true,
            Attachment::Isolated(_) => self.address.is_some(),
            Attachment::Bridge(_) | Attachment::User => false,
        }
    }
}

/// What an interface is plugged into.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attachment {
    /// A network that reaches the outside by address translation.
    Nat(String),
    /// A bridge of the host.
    Bridge(String),
    /// A network of machines, without a way out.
    Isolated(String),
    /// User-mode networking: out, and in by forwards of passt only.
    User,
}

impl Serialize for Attachment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nat(name) => to.collect_map([("nat", name)]),
            Self::Bridge(name) => to.collect_map([("bridge", name)]),
            Self::Isolated(name) => to.collect_map([("isolated", name)]),
            Self::User => to.collect_map([("user", true)]),
        }
    }
}

/// The model of a network card (`<model type=…>`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// The quickest; the guest needs a driver, which every Linux has.
    #[default]
    Virtio,
    /// A gigabit card that nearly every guest knows.
    E1000e,
    /// The older one.
    E1000,
    /// A card of the nineties.
    Rtl8139,
}

/// A hardware address of one interface: not of a group, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The address of these octets, if it can be one interface's. libvirt refuses addresses of groups.
    pub fn new(octets: [u8; 6]) -> Option<Self> {
        let [first, ..] = octets;
        (first & 1 == 0 && octets != [0; 6]).then_some(Self(octets))
    }

    /// Six pairs of hexadecimal digits with colons between them, whatever they mean.
    pub(crate) fn octets(text: &str) -> Option<[u8; 6]> {
        let pairs: Option<Vec<u8>> = text
            .split(':')
            .map(|pair| {
                let plain = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
                u8::from_str_radix(pair, 16).ok().filter(|_| plain)
            })
            .collect();
        pairs?.try_into().ok()
    }

    /// Reads an address such as `52:54:00:12:34:56`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::octets(text).and_then(Self::new)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
