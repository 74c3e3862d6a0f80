//! Definitions with a mistake each, and what is said about them: line, mark and advice, as one text that a person can judge.

#![allow(clippy::unwrap_used)]

mod telling;

use orrery_machine::Files;
use telling::{KEY, container, of, report, vm, with};

#[test]
fn files_and_yaml() {
    let both: Files = [("machine.yaml", "kind: vm\n"), ("machine.yml", "kind: vm\n")].into_iter().collect();
    let cases = [
        ("no file", Files::new()),
        ("a file in a folder", [("vm/machine.yaml", "kind: vm\n")].into_iter().collect()),
        ("two files", both),
        ("an empty file", of("")),
        ("a list", of("- kind: vm\n")),
        ("a text", of("vm")),
        ("a tab", of("kind: vm\nsource:\n\tbox: debian-12\n")),
        ("a bracket left open", vm("boot: [disk")),
        ("a key twice", vm("cpus: 1\ncpus: 2")),
        ("two machines in one file", of("kind: vm\nsource: {box: a}\n---\nkind: vm\nsource: {box: b}\n")),
        ("a tag of Compose", vm("cpus: !reset 2")),
        ("an unknown tag", vm("description: !env WHAT")),
        ("a byte that is not UTF-8", [("machine.yaml", b"kind: vm\ndescription: \xff\n".to_vec())].into_iter().collect()),
    ];
    insta::assert_snapshot!("files_and_yaml", report(cases));
}

#[test]
fn keys() {
    let cases = [
        ("nothing but a kind", of("kind: vm\n")),
        ("no kind", of("source: {box: debian-12}\n")),
        ("an unknown kind", of("kind: VM\nsource: {box: debian-12}\n")),
        ("a kind that is nothing near", of("kind: lxd\nsource: {archive: a}\n")),
        ("an unknown key", vm("memroy: 1GiB")),
        ("an unknown key with nothing near", vm("hypervisor: xen")),
        ("a key of a section at the top", vm("ssh_keys: []")),
        ("a key of the top in a section", vm("cloud_init: {memory: 1GiB}")),
        ("an unknown key deep down", vm("disks: [{name: root, siez: 10GiB}]")),
        ("a key of an extension deep down", vm("disks: [{name: root, x-note: a}]")),
        (
            "keys of a vm in a container",
            container("firmware: uefi\nscreen: vnc\ncloud_init: {hostname: a}\ndisks: []\nboot: [disk]\ncpus: 2"),
        ),
        ("keys of a container in a vm", vm("init: /sbin/init\nenvironment: {A: b}\nidmap: false")),
        ("a box in a container", of("kind: container\nsource: {box: debian-12}\n")),
        ("an archive in a vm", of("kind: vm\nsource: {archive: busybox}\n")),
        ("two sources", of("kind: vm\nsource: {box: debian-12, iso: netinst}\n")),
        ("no source", of("kind: vm\nsource: {}\n")),
        ("no source of a container", of("kind: container\nsource: {}\n")),
        ("an initramfs without a kernel", of("kind: vm\nsource: {box: debian-12, initramfs: initrd, cmdline: quiet}\n")),
        (
            "deep keys of a vm in a container",
            container("networks: [{nat: default, model: e1000}, {user: true}]\nready: {agent: true}\nshares: {memory_limit: 1GiB}"),
        ),
    ];
    insta::assert_snapshot!("keys", report(cases));
}

#[test]
fn single_values() {
    let cases = [
        ("a number for a text", vm("description: 5")),
        ("a text for a number", vm("cpus: \"2\"")),
        ("no processor", vm("cpus: 0")),
        ("half a processor", vm("cpus: 1.5")),
        ("a size without meaning", vm("memory: lots")),
        ("a size that is no whole MiB", vm("memory: 1000000000")),
        ("a negative size", vm("memory: -1")),
        ("too little memory", vm("memory: 4MiB")),
        ("a time without a unit", vm("stop_grace_period: 30")),
        ("a time that is none", vm("stop_grace_period: soon")),
        ("a time that is too long", vm("ready: {running: true, timeout: 2w}")),
        ("no time at all", vm("ready: {timeout: 0s}")),
        ("a truth value in words", vm("autostart: yes")),
        ("a firmware that is none", vm("firmware: efi")),
        ("a policy that is none", vm("restart: unless-stopped")),
        ("nothing behind a key", vm("memory:\ndisks:")),
        ("a mapping for a list", vm("networks: {nat: default}")),
        ("a text for a list", vm("boot: disk")),
        ("a list for a mapping", vm("labels: [a=b]")),
        ("a text for a mapping", of("kind: vm\nsource: debian-12\n")),
        ("a label of ours", vm("labels: {io.orrery.stack: a, \"a b\": c, deep: {x: y}}")),
        ("a control character", vm("description: \"bell \\a\"\nlabels: {a: \"b\\ec\"}")),
        ("several lines where one belongs", of("kind: vm\nsource:\n  kernel: k\n  cmdline: |\n    quiet\n    panic=-1\n")),
        ("a name of a box that is none", of("kind: vm\nsource: {box: debian/bookworm64}\n")),
        ("a name that is a number", of("kind: vm\nsource: {box: 12}\n")),
        ("shares out of range", vm("shares: {cpu: 1, cpu_limit: 0, memory_reservation: 1GiB, weight: 5}")),
        ("a limit that kills", vm("memory: 1GiB\nshares: {memory_limit: 1GiB}")),
        ("too many disks", vm(&format!("disks: [{}]", vec!["{volume: a}"; 25].join(", ")))),
    ];
    insta::assert_snapshot!("single_values", report(cases));
}

#[test]
fn disks() {
    let iso = |lines: &str| of(format!("kind: vm\nsource: {{iso: netinst}}\n{lines}\n"));
    let cases = [
        ("a disk without a name", vm("disks: [{name: root}, {size: 1GiB}]")),
        ("a disk without a size", vm("disks: [{name: root}, {name: data}]")),
        ("a first disk without a size", iso("disks: [{name: root}]")),
        ("a name twice", vm("disks:\n  - size: 10GiB\n  - name: root\n    size: 1GiB")),
        ("a size of a volume", vm("disks: [{name: root}, {volume: data, size: 1GiB}]")),
        ("a volume under an overlay", vm("disks: [{volume: data}]")),
        ("a volume twice", vm("disks: [{name: root}, {volume: data}, {name: more, volume: data}]")),
        ("a volume whose name is none of a disk", vm("disks: [{name: root}, {volume: Data.qcow2}]")),
        ("a path for a volume", vm("disks: [{name: root}, {volume: /dev/sda}]")),
        ("a name of a disk with dots", vm("disks: [{name: root.img}]")),
        ("no disk for a box", vm("disks: []")),
        ("no disk for an installer", iso("")),
        ("IDE with UEFI", vm("disks: [{bus: ide}]\nfirmware: uefi")),
        ("too many on IDE", iso("disks: [{size: 1GiB, bus: ide}, {volume: b, bus: ide}, {volume: c, bus: ide}, {volume: d, bus: ide}]")),
        ("a bus that is none", vm("disks: [{bus: nvme}]")),
        ("a disk that is a text", vm("disks: [10GiB]")),
    ];
    insta::assert_snapshot!("disks", report(cases));
}

#[test]
fn networks_and_ports() {
    let cases = [
        ("two attachments", vm("networks: [{nat: default, bridge: br0}]")),
        ("no attachment", vm("networks: [{mac: '52:54:00:00:00:01'}]")),
        ("user: false", vm("networks: [{user: false}]")),
        ("a bad MAC address", vm("networks: [{nat: default, mac: 52-54-00-00-00-01}]")),
        ("a MAC address of a group", vm("networks: [{nat: default, mac: '01:00:5e:00:00:01'}]")),
        ("a MAC address twice", vm("networks:\n  - {nat: a, mac: '52:54:00:00:00:0a'}\n  - {nat: b, mac: '52:54:00:00:00:0A'}")),
        ("an address that is none", vm("networks: [{nat: default, address: 10.0.0.300}]")),
        ("an address with a length", vm("networks: [{nat: default, address: 10.0.0.3/24}]")),
        ("an IPv6 address", vm("networks: [{nat: default, address: 'fd00::1'}]")),
        (
            "an address twice",
            vm("networks:\n  - {nat: a, address: 10.0.0.3}\n  - {nat: b, address: 10.0.0.3}\n  - {nat: a, address: 10.0.0.3}"),
        ),
        ("an address on a bridge and in user mode", vm("networks: [{bridge: br0, address: 10.0.0.3}, {user: true, address: 10.0.2.15}]")),
        ("a long name of a bridge", vm("networks: [{bridge: bridge-of-the-lab}]")),
        ("a model that is none", vm("networks: [{nat: default, model: ne2k}]")),
        ("a port without the host's", vm("ports: [80, '80']")),
        ("ports that are none", vm("ports: ['0:80', '80:70000', '80:http', '8000-8010:80', '80:80/sctp', 'localhost:80:80']")),
        ("a port in the long form without the guest's", vm("ports: [{host: 80, host_ip: localhost}]")),
        ("a port twice", vm("ports:\n  - '80:80'\n  - '127.0.0.1:80:8080'\n  - '80:80/udp'\n  - {host: 80, guest: 1}")),
        ("a port to nowhere", vm("networks: []\nports: ['80:80']")),
        ("a port to a bridge", vm("networks: [{bridge: br0}]\nports: ['80:80']")),
        ("a port to an isolated network", vm("networks: [{isolated: lab}]\nports: ['80:80']")),
        ("passt without user mode", vm("ports: [{host: 80, guest: 80, by: passt}]")),
        ("passt in a container", container("ports: [{host: 80, guest: 80, by: passt}]")),
        ("the executor with user mode alone", vm("networks: [{user: true}]\nports: [{host: 80, guest: 80, by: executor}]")),
    ];
    insta::assert_snapshot!("networks_and_ports", report(cases));
}

#[test]
fn cloud_init() {
    let kernel = |lines: &str| of(format!("kind: vm\nsource: {{kernel: k}}\n{lines}\n"));
    let user = |lines: &str| vm(&format!("cloud_init: {{users: [{{name: anna, {lines}}}]}}"));
    let data = |content: &str| with(vm("cloud_init: {user_data: user.yaml}"), "user.yaml", content);
    let cut = &KEY[..60];
    let cases = [
        ("without a box", kernel("cloud_init: {hostname: a}")),
        (
            "a document and short forms",
            with(vm("cloud_init:\n  user_data: user.yaml\n  packages: [vim]\n  run: [reboot]"), "user.yaml", "#cloud-config\n"),
        ),
        ("a file that is not there", with(vm("cloud_init: {user_data: user.yml}"), "user.yaml", "#cloud-config\n")),
        ("a file outside", vm("cloud_init: {user_data: ../user.yaml, network_data: /etc/net.yaml}")),
        ("a folder", with(vm("cloud_init: {user_data: files}"), "files/a", "")),
        ("a document without a first line", data("packages: [vim]\n")),
        ("a document that is broken", data("#cloud-config\npackages: [vim\n")),
        ("a document that is a list", data("#cloud-config\n- vim\n")),
        ("a document that only Compose minds", data("#cloud-config\nfoo: !bar 5\n1: 2\n")),
        ("a network that is a text", with(vm("cloud_init: {network_data: net.yaml}"), "net.yaml", "dhcp\n")),
        ("a name of a user that is none", vm("cloud_init: {users: [{name: Anna, password_hash: $6$aaaaaaaa$bbbbbbbbbbbbbbbb}]}")),
        ("a user who cannot log in", user("sudo: true")),
        (
            "a user twice",
            vm(&format!("cloud_init:\n  users:\n    - {{name: anna, ssh_keys: [{KEY}]}}\n    - {{name: anna, ssh_keys: [{KEY}]}}")),
        ),
        ("a password in clear", user("password_hash: hunter2")),
        ("a private key", user("ssh_keys: ['-----BEGIN OPENSSH PRIVATE KEY-----']")),
        ("a key that was cut", user(&format!("ssh_keys: [{cut}]"))),
        ("a key that is a path", vm("cloud_init: {ssh_keys: [~/.ssh/id_ed25519.pub]}")),
        ("a key that is no list", vm(&format!("cloud_init: {{ssh_keys: {KEY}}}"))),
        ("a host name that is none", vm("cloud_init: {hostname: my_web}")),
        ("a file to write with two contents", with(vm("cloud_init: {write_files: [{path: /a, content: b, file: c}]}"), "c", "")),
        ("a file to write without content", vm("cloud_init: {write_files: [{path: etc/motd}]}")),
        ("a file to write twice", vm("cloud_init:\n  write_files:\n    - {path: /a, content: b}\n    - {path: /a, content: c}")),
        (
            "permissions that are none",
            vm("cloud_init: {write_files: [{path: /a, content: b, permissions: 0644}, {path: /c, content: d, permissions: rw-r--r--}]}"),
        ),
        ("an empty command", vm("cloud_init: {run: ['', []]}")),
    ];
    insta::assert_snapshot!("cloud_init", report(cases));
}

#[test]
fn starting() {
    let kernel = |lines: &str| of(format!("kind: vm\nsource: {{kernel: k}}\n{lines}\n"));
    let cases = [
        ("a cdrom without an ISO", vm("boot: [cdrom, disk]")),
        ("a network without a network", vm("boot: [network]\nnetworks: []")),
        ("a disk without a disk", of("kind: vm\nsource: {iso: live}\nboot: [disk]\n")),
        ("nothing to boot from", vm("boot: []")),
        ("a device twice", vm("boot: [disk, network, disk]")),
        ("an order beside a kernel", kernel("boot: [disk]")),
        ("two conditions", vm("ready: {tcp: 22, agent: true}")),
        ("a console that is not there", vm("console: false\nready: {console: 'login:'}")),
        ("an empty text on the console", vm("ready: {console: ''}")),
        ("an address that nobody sees", vm("networks: [{bridge: br0}]\nready: {address: true}")),
        ("a port that nobody reaches", vm("networks: [{isolated: lab}]\nready: {tcp: 22}")),
        ("a port that is none", vm("ready: {tcp: 70000}")),
        ("ready in words", vm("ready: agent")),
        ("an init that is no path", container("init: init")),
        ("an init with spaces", container("init: /bin/sh -c true")),
        ("an empty init", container("init: []")),
        ("root that is root", container("idmap: false")),
        ("a secret", container("environment: {DB_PASSWORD: hunter2, TOKEN_FILE: /run/token, 1A: b, C: [d]}")),
        ("little memory", vm("memory: 64MiB")),
        ("everything at once", vm("cpus: 0\nmemory: x\ndisks: [{bus: nvme}]\nnetworks: [{}]\nports: ['80']\nboot: [floppy]\nfoo: bar")),
    ];
    insta::assert_snapshot!("starting", report(cases));
}
