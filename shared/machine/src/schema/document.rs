//! The page about machines, `docs/machine.md`: five worked machines, and the table of keys.

use super::{Key, Object, Shape, TOP, item_of, object_of};
use crate::words::expected;

/// A machine that works as it stands, for the page and for whoever begins a definition.
#[derive(Clone, Copy, Debug)]
pub struct Worked {
    /// Its name, such as `cloud-image`.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What to know about it.
    pub about: &'static str,
    /// The whole definition.
    pub text: &'static str,
}

/// The worked machines.
pub const WORKED: [Worked; 5] = [
    Worked {
        name: "cloud-image",
        title: "A cloud image with a user and a key",
        about: "The first disk is an overlay on the box: many machines share one image. cloud-init makes the user at the first boot.",
        text: include_str!("../../machines/cloud-image.yaml"),
    },
    Worked {
        name: "installer",
        title: "An installer, an empty disk, and UEFI",
        about: "The installer is used on the screen in the page. Later the machine starts from its disk, and the ISO may stay.",
        text: include_str!("../../machines/installer.yaml"),
    },
    Worked {
        name: "kernel",
        title: "A kernel and an initramfs, for speed",
        about: "QEMU loads the kernel itself. Nothing is kept: what the machine wrote is gone when it stops.",
        text: include_str!("../../machines/kernel.yaml"),
    },
    Worked {
        name: "container",
        title: "A system container that serves a page",
        about: "It starts in a tenth of a second and has an address of its own, and root in it is nobody on the host.",
        text: include_str!("../../machines/container.yaml"),
    },
    Worked {
        name: "two-networks",
        title: "A second disk, a fixed address, an isolated network, two forwards",
        about: "The address is reserved before the machine boots. The isolated network joins all machines that name it.",
        text: include_str!("../../machines/two-networks.yaml"),
    },
];

const HEAD: &str = "# Machines: `machine.yaml`

This page is made from the table that the checker uses, and a test fails when it is stale. Make it anew with
`cargo run -q -p orrery-machine --example machine_page > docs/machine.md`.

A machine is a virtual machine (`vm`, by QEMU) or a system container (`container`, by libvirt's LXC driver). Its definition is one
file, `machine.yaml` or `machine.yml`, at the top of a bundle; other files of the bundle may be named in it. Every version of it is
kept, and applying one makes the machine what it says.

The reader is strict: a key that it does not know, a value of the wrong kind and keys that do not fit together are errors with file,
line and column, all at once. Keys that begin with `x-` may stand at the top and mean nothing: anchors have a home there.

This is the whole format. What cannot be had on a host (`restart: on-failure` of a container, of which libvirt does not tell how it
ended) is rejected when such a version is applied, with the path of the key; saving it is no error.

- Sizes are as in Compose: `512MiB`, `20GiB`, `1.5g`, or a number of bytes. Units are powers of 1024.
- Times are as in Compose: `30s`, `1m30s`, `2h`.
- An editor that knows JSON Schema completes keys with `shared/machine/machine.schema.json`.

## Five machines
";

const CHANGES: &str = "
## What a change means

The column *change* says when a change of a key reaches a machine that exists.

| change | meaning |
| --- | --- |
| live | At once, while the machine runs. |
| next boot | When it starts the next time. |
| new disk | Only with a new disk or root filesystem: what was on the old one is lost. |
| never | It takes another machine. |

Disks and users are told apart by their names, and other items of lists by their place: a disk that gets another name is another disk.
A file of the bundle counts with its content.

## Ports

`[host_ip:]host:guest[/tcp|udp]`, or the same as a mapping. The executor carries a port to the guest's address, which it must know: on a
`nat` network always, on an `isolated` one when `address` reserves one. passt carries it to an interface of `user: true`. With a bridge
of the host, the guest is reached at its own address, without forwards.

## cloud-init

With a box as source, `cloud_init` makes a seed disk for it. Either `user_data` names a file of the bundle, which is given to cloud-init as
it is, or the short forms say what to do. Interfaces are found by their MAC addresses, named `eth0`, `eth1` and so on in the order of
`networks`, and ask for their addresses by DHCP; `network_data` says otherwise. `cloud_init: {}` gives the guest nothing but a network.
Without `cloud_init` there is no seed disk.

A version is for ever: never write a password into it. `password_hash` takes what `mkpasswd -m sha-512` prints.

## All keys
";

/// The page.
pub fn document() -> String {
    let mut page = HEAD.to_owned();
    for worked in WORKED {
        page.push_str(&format!("\n### {}\n\n{}\n\n```yaml\n{}```\n", worked.title, worked.about, worked.text));
    }
    page.push_str(CHANGES);
    section(&mut page, "", &TOP);
    page
}

/// The table of an object, and those of the objects below it.
fn section(page: &mut String, path: &str, object: &'static Object) {
    let title = if path.is_empty() { "The definition".to_owned() } else { format!("`{path}`: {}", object.what) };
    page.push_str(&format!("\n### {title}\n"));
    if let Some(choice) = object.choice {
        let words = if choice.needed { "Exactly one" } else { "At most one" };
        let keys: Vec<String> = choice.of.iter().map(|key| format!("`{key}`")).collect();
        page.push_str(&format!("\n{words} of {}.\n", keys.join(", ")));
    }
    page.push_str("\n| key | value | default | only | change | about |\n| --- | --- | --- | --- | --- | --- |\n");
    object.keys.iter().for_each(|key| page.push_str(&row(key, object)));
    for key in object.keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        if let Some(inner) = object_of(key.shape) {
            section(page, &path, inner);
        } else if let Some(inner) = item_of(key.shape).and_then(object_of) {
            section(page, &format!("{path}[]"), inner);
        }
    }
}

fn row(key: &Key, object: &Object) -> String {
    let required = if object.required.contains(&key.name) { " (required)" } else { "" };
    let default = key.default.map(|default| format!("`{default}`")).unwrap_or_default();
    let only = key.only.kind().map_or("", crate::model::Kind::as_str);
    let value = value(key.shape).replace('|', "\\|");
    format!("| `{}`{required} | {value} | {default} | {only} | {} | {} |\n", key.name, key.applies, key.doc)
}

fn value(shape: Shape) -> String {
    if let Shape::Bytes(least, most, _) = shape {
        return format!("a size from {} to {}", crate::words::size(least), crate::words::size(most));
    }
    if let Shape::List(inner, most) = shape {
        return format!("a list of at most {most}: {}", expected(*inner));
    }
    expected(shape)
}
