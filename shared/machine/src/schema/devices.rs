//! Keys of disks, interfaces and ports.

use super::form::{ADDRESS, BRIDGE, DISK_NAME, HOST_ADDRESS, MAC, NETWORK, VOLUME};
use super::{Choice, Key, MIB, Object, Shape, boot, live};

const PIB: u64 = 1 << 50;

/// Name of the first disk when it has none.
pub(crate) const DEFAULT_DISK: &str = "root";
/// The NAT network of the one interface when nothing is said.
pub(crate) const DEFAULT_NETWORK: &str = "default";

pub(super) static DISK: Object =
    Object { what: "a disk", keys: DISK_KEYS, required: &[], choice: Some(Choice { of: &["size", "volume"], needed: false }) };

static DISK_KEYS: &[Key] = &[
    boot("name", Shape::Text(&DISK_NAME), "Its name in this machine. `root` for the first, the volume's name for a volume."),
    live(
        "size",
        Shape::Bytes(MIB, PIB, 512),
        "Its size. It may grow; an overlay's is its box's when nothing is said. It never shrinks: with a smaller size it stays as it is.",
    ),
    boot("volume", Shape::Text(&VOLUME), "A volume of the pool that exists already. It is never deleted with the machine."),
    boot("bus", Shape::Choice(&["virtio", "scsi", "sata", "ide"]), "How the guest reaches it; `ide` with a BIOS only.").default("virtio"),
];

pub(super) static INTERFACE: Object = Object {
    what: "an interface",
    keys: INTERFACE_KEYS,
    required: &[],
    choice: Some(Choice { of: &["nat", "bridge", "isolated", "user"], needed: true }),
};

static INTERFACE_KEYS: &[Key] = &[
    boot("nat", Shape::Text(&NETWORK), "A network that reaches the outside by address translation."),
    boot("bridge", Shape::Text(&BRIDGE), "A bridge of the host."),
    boot("isolated", Shape::Text(&NETWORK), "A network of machines, without a way out."),
    boot("user", Shape::True, "User-mode networking: out, and in by forwards of passt only.")
        .vm("A container joins nat, bridge or isolated."),
    boot("mac", Shape::Text(&MAC), "Its hardware address. Derived from the machine's id when nothing is said."),
    boot("model", Shape::Choice(&["virtio", "e1000e", "e1000", "rtl8139"]), "What the guest sees.")
        .default("virtio")
        .vm("A container sees a plain interface."),
    boot(
        "address",
        Shape::Text(&ADDRESS),
        "The IPv4 address that is reserved for it, on NAT or an isolated network. A vm gets it by DHCP, a container finds it set.",
    ),
];

pub(super) static PORT: Object = Object { what: "a port", keys: PORT_KEYS, required: &["host", "guest"], choice: None };

static PORT_KEYS: &[Key] = &[
    live("host_ip", Shape::Text(&HOST_ADDRESS), "Address of the host. All of them when nothing is said."),
    live("host", Shape::Whole(1, 65_535), "Port of the host."),
    live("guest", Shape::Whole(1, 65_535), "Port of the guest."),
    live("protocol", Shape::Choice(&["tcp", "udp"]), "tcp or udp.").default("tcp"),
    boot(
        "by",
        Shape::Choice(&["executor", "passt"]),
        "The executor, to an address on NAT or one that is reserved, or passt, at an interface in user mode. What fits, when nothing is said.",
    ),
];
