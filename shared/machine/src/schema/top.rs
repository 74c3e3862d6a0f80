//! Keys of the definition itself, of its source, its shares and its readiness.

use super::cloud_init::CLOUD_INIT;
use super::devices::{DISK, INTERFACE, PORT};
use super::form::{BOX, CMDLINE, INIT, LABEL, LINE, VARIABLE};
use super::{Choice, KIB, Key, MIB, Object, Shape, boot, disk, live, never};
use crate::model::Kind;

const TIB: u64 = 1 << 40;
/// A day, in seconds.
const DAY: u64 = 86_400;

/// The definition.
pub static TOP: Object = Object { what: "a machine", keys: TOP_KEYS, required: &["kind", "source"], choice: None };

static TOP_KEYS: &[Key] = &[
    never("kind", Shape::Choice(&["vm", "container"]), "A virtual machine by QEMU, or a system container by LXC."),
    live("description", Shape::Prose, "What it is for.").default("\"\""),
    live("labels", Shape::Map(&LABEL, &Shape::Loose), "Labels, by name.").default("{}"),
    disk("source", Shape::Object(&SOURCE), "What it begins with."),
    boot("cpus", Shape::Whole(1, 255), "Virtual processors.")
        .default("1")
        .idle_but_for(Kind::Vm, "A container sees every processor of the host. Limit it with shares.cpu_limit."),
    boot("memory", Shape::Bytes(16 * MIB, 16 * TIB, MIB), "Memory, in whole MiB. A vm has all of it, a container no more than it.")
        .default("512MiB"),
    live("shares", Shape::Object(&SHARES), "Its share of the host.").default("{}"),
    boot("disks", Shape::List(&Shape::Object(&DISK), 24), "The disks; the first is the root disk. With a box, one when nothing is said.")
        .vm("A container's root is a folder that its archive is unpacked into."),
    boot("networks", Shape::List(&Shape::Object(&INTERFACE), 8), "The interfaces. An empty list is a machine without a network.")
        .default("[{nat: default}]"),
    live("ports", Shape::List(&Shape::Short(&super::form::FORWARD, &PORT), 128), "Ports of the host that lead to the guest.").default("[]"),
    boot("firmware", Shape::Choice(&["bios", "uefi"]), "What starts it. UEFI comes without secure boot.")
        .default("bios")
        .vm("A container has no firmware."),
    boot(
        "cloud_init",
        Shape::Object(&CLOUD_INIT),
        "What cloud-init does at the first boot; with a box only. A change is carried out at the next boot, as if it were the first.",
    )
    .vm("Put what a container needs into its archive, or start it with init."),
    boot(
        "boot",
        Shape::List(&Shape::Choice(&["disk", "cdrom", "network"]), 3),
        "What the firmware tries, in order. `[disk]` with a box, `[disk, cdrom]` with an ISO.",
    )
    .vm("A container has nothing to boot from."),
    live("autostart", Shape::Bool, "Start it with the host.").default("false"),
    boot("console", Shape::Bool, "A serial console, to be seen in the page.").default("true"),
    boot("screen", Shape::Choice(&["vnc", "none"]), "A screen, to be seen in the page.").default("none").vm("A container has no screen."),
    live(
        "restart",
        Shape::Choice(&["no", "on-failure", "always"]),
        "What happens when the guest ends by itself. A stop by command is never undone.",
    )
    .default("no"),
    boot("init", Shape::Words(&INIT), "The first process: an absolute path, or a list of it and its arguments.")
        .default("[/sbin/init]")
        .container("A vm starts what is on its disk. Use cloud_init, or the command line of a kernel."),
    boot("environment", Shape::Map(&VARIABLE, &Shape::Loose), "Environment of the first process.")
        .default("{}")
        .container("A vm has no environment. Write a file with cloud_init."),
    disk("idmap", Shape::Bool, "Root inside is nobody outside.").default("true").container("Root of a vm is nobody outside in any case."),
    live("ready", Shape::Object(&READY), "What an apply waits for.").default("{running: true}"),
    live("stop_grace_period", Shape::Time(0, DAY), "How long a stop waits for the guest before it is forced.").default("60s"),
];

static SOURCE: Object = Object {
    what: "a source",
    keys: SOURCE_KEYS,
    required: &[],
    choice: Some(Choice { of: &["box", "iso", "archive", "kernel"], needed: true }),
};

const ARCHIVE: &str = "A container begins with an archive.";

static SOURCE_KEYS: &[Key] = &[
    disk("box", Shape::Text(&BOX), "A box with a disk image: the first disk is an overlay on it.").vm(ARCHIVE),
    boot("iso", Shape::Text(&BOX), "A box of format iso, to boot from; the first disk is empty.").vm(ARCHIVE),
    disk("archive", Shape::Text(&BOX), "A box of format rootfs, to unpack.").container("A vm begins with a box, an iso or a kernel."),
    boot("kernel", Shape::Text(&BOX), "A box of format file, with a kernel that is booted directly.").vm(ARCHIVE),
    boot("initramfs", Shape::Text(&BOX), "A box of format file, with the kernel's initramfs.").vm(ARCHIVE),
    boot("cmdline", Shape::Text(&CMDLINE), "The kernel's command line.").default("\"\"").vm(ARCHIVE),
];

static SHARES: Object = Object { what: "a share of the host", keys: SHARES_KEYS, required: &[], choice: None };

static SHARES_KEYS: &[Key] = &[
    live("cpu", Shape::Whole(2, 10_000), "Weight among the others when processors are short; 1024 is usual."),
    live("cpu_limit", Shape::Number(0.01, 1024.0), "Processors of the host that it may use in total, such as 1.5."),
    live(
        "memory_limit",
        Shape::Bytes(16 * MIB, 16 * TIB, KIB),
        "Memory that the whole process of a vm may take, what QEMU itself needs included.",
    )
    .vm("The limit of a container is its memory."),
    live("memory_reservation", Shape::Bytes(MIB, 16 * TIB, KIB), "Memory that is left to it when memory is short."),
];

static READY: Object = Object {
    what: "a readiness",
    keys: READY_KEYS,
    required: &[],
    choice: Some(Choice { of: &["running", "address", "agent", "tcp", "console"], needed: false }),
};

static READY_KEYS: &[Key] = &[
    live("running", Shape::True, "It runs."),
    live("address", Shape::True, "It has taken an address, on NAT or an isolated network."),
    live("agent", Shape::True, "The agent in the guest answers.").vm("A container has no agent."),
    live("tcp", Shape::Whole(1, 65_535), "This port of the guest takes connections."),
    live("console", Shape::Text(&LINE), "This text stands on its serial console."),
    live("timeout", Shape::Time(1, DAY), "How long it may take.").default("5m"),
];
