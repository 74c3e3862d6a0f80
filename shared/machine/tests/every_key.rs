//! Every key of the table is read: what is written under it is in the machine, and is gone when it is not written.

#![allow(clippy::unwrap_used)]

mod telling;

use orrery_machine::schema::{Object, Shape, TOP};
use orrery_machine::{Files, canonical};
use serde_json::{Value, json};
use telling::{KEY, of};

const HASH: &str = "$6$saltsalt$abcdefghijklmnop";

/// For each key, what begins a definition that has it, the line that has it, and what the canonical form has there.
fn samples() -> Vec<(&'static str, &'static str, String, &'static str, Value)> {
    let vm = "kind: vm\nsource: {box: a}";
    let container = "kind: container\nsource: {archive: a}";
    let user = |rest: &str| format!("cloud_init: {{users: [{{name: anna, {rest}}}]}}");
    let one = |path, begin, line: &str, pointer, value| (path, begin, line.to_owned(), pointer, value);
    vec![
        one("kind", "source: {box: a}", "kind: vm", "/kind", json!("vm")),
        one("description", vm, "description: b", "/description", json!("b")),
        one("labels", vm, "labels: {a: b}", "/labels/a", json!("b")),
        one("source", "kind: vm", "source: {box: a}", "/source", json!({"box": "a"})),
        one("source.box", "kind: vm", "source: {box: a}", "/source/box", json!("a")),
        one("source.iso", "kind: vm", "source: {iso: a}", "/source/iso", json!("a")),
        one("source.archive", "kind: container", "source: {archive: a}", "/source/archive", json!("a")),
        one("source.kernel", "kind: vm", "source: {kernel: a}", "/source/kernel", json!("a")),
        one("source.initramfs", "kind: vm", "source: {kernel: a, initramfs: b}", "/source/initramfs", json!("b")),
        one("source.cmdline", "kind: vm", "source: {kernel: a, cmdline: b}", "/source/cmdline", json!("b")),
        one("cpus", vm, "cpus: 3", "/cpus", json!(3)),
        one("memory", vm, "memory: 1GiB", "/memory", json!(1 << 30)),
        one("shares", vm, "shares: {cpu: 5}", "/shares", json!({"cpu": 5})),
        one("shares.cpu", vm, "shares: {cpu: 5}", "/shares/cpu", json!(5)),
        one("shares.cpu_limit", vm, "shares: {cpu_limit: 1.5}", "/shares/cpu_limit", json!(1.5)),
        one("shares.memory_limit", vm, "shares: {memory_limit: 1GiB}", "/shares/memory_limit", json!(1 << 30)),
        one("shares.memory_reservation", vm, "shares: {memory_reservation: 64MiB}", "/shares/memory_reservation", json!(64 << 20)),
        one("disks", vm, "disks: [{name: b}]", "/disks", json!([{"name": "b", "bus": "virtio"}])),
        one("disks.name", vm, "disks: [{name: b}]", "/disks/0/name", json!("b")),
        one("disks.size", vm, "disks: [{size: 1GiB}]", "/disks/0/size", json!(1 << 30)),
        one("disks.volume", vm, "disks: [{}, {volume: b}]", "/disks/1/volume", json!("b")),
        one("disks.bus", vm, "disks: [{bus: sata}]", "/disks/0/bus", json!("sata")),
        one("networks", vm, "networks: []", "/networks", json!([])),
        one("networks.nat", vm, "networks: [{nat: b}]", "/networks/0/nat", json!("b")),
        one("networks.bridge", vm, "networks: [{bridge: b}]", "/networks/0/bridge", json!("b")),
        one("networks.isolated", vm, "networks: [{isolated: b}]", "/networks/0/isolated", json!("b")),
        one("networks.user", vm, "networks: [{user: true}]", "/networks/0/user", json!(true)),
        one("networks.mac", vm, "networks: [{nat: b, mac: '02:00:00:00:00:01'}]", "/networks/0/mac", json!("02:00:00:00:00:01")),
        one("networks.model", vm, "networks: [{nat: b, model: e1000}]", "/networks/0/model", json!("e1000")),
        one("networks.address", vm, "networks: [{nat: b, address: 10.0.0.2}]", "/networks/0/address", json!("10.0.0.2")),
        one("ports", vm, "ports: ['1:2']", "/ports", json!([{"host": 1, "guest": 2, "protocol": "tcp", "by": "executor"}])),
        one("ports.host_ip", vm, "ports: [{host: 1, guest: 2, host_ip: '::1'}]", "/ports/0/host_ip", json!("::1")),
        one("ports.host", vm, "ports: [{host: 1, guest: 2}]", "/ports/0/host", json!(1)),
        one("ports.guest", vm, "ports: [{host: 1, guest: 2}]", "/ports/0/guest", json!(2)),
        one("ports.protocol", vm, "ports: [{host: 1, guest: 2, protocol: udp}]", "/ports/0/protocol", json!("udp")),
        one("ports.by", vm, "networks: [{nat: a}, {user: true}]\nports: [{host: 1, guest: 2, by: passt}]", "/ports/0/by", json!("passt")),
        one("firmware", vm, "firmware: uefi", "/firmware", json!("uefi")),
        one("cloud_init", vm, "cloud_init: {hostname: b}", "/cloud_init/hostname", json!("b")),
        one("cloud_init.hostname", vm, "cloud_init: {hostname: b}", "/cloud_init/hostname", json!("b")),
        one("cloud_init.user_data", vm, "cloud_init: {user_data: user.yaml}", "/cloud_init/user_data", json!("user.yaml")),
        one("cloud_init.network_data", vm, "cloud_init: {network_data: user.yaml}", "/cloud_init/network_data", json!("user.yaml")),
        ("cloud_init.users", vm, user("sudo: true"), "/cloud_init/users/0/sudo", json!(true)),
        ("cloud_init.users.name", vm, user("sudo: true"), "/cloud_init/users/0/name", json!("anna")),
        ("cloud_init.users.ssh_keys", vm, user(&format!("ssh_keys: [{KEY}]")), "/cloud_init/users/0/ssh_keys", json!([KEY])),
        ("cloud_init.users.sudo", vm, user("sudo: true"), "/cloud_init/users/0/sudo", json!(true)),
        ("cloud_init.users.groups", vm, user("groups: [adm]"), "/cloud_init/users/0/groups", json!(["adm"])),
        ("cloud_init.users.shell", vm, user("shell: /bin/sh"), "/cloud_init/users/0/shell", json!("/bin/sh")),
        ("cloud_init.users.password_hash", vm, user(&format!("password_hash: {HASH}")), "/cloud_init/users/0/password_hash", json!(HASH)),
        ("cloud_init.ssh_keys", vm, format!("cloud_init: {{ssh_keys: [{KEY}]}}"), "/cloud_init/ssh_keys", json!([KEY])),
        one("cloud_init.packages", vm, "cloud_init: {packages: [vim]}", "/cloud_init/packages", json!(["vim"])),
        one("cloud_init.run", vm, "cloud_init: {run: [a, [b, c]]}", "/cloud_init/run", json!(["a", ["b", "c"]])),
        one(
            "cloud_init.write_files",
            vm,
            "cloud_init: {write_files: [{path: /a, content: b}]}",
            "/cloud_init/write_files/0/content",
            json!("b"),
        ),
        one(
            "cloud_init.write_files.path",
            vm,
            "cloud_init: {write_files: [{path: /a, content: b}]}",
            "/cloud_init/write_files/0/path",
            json!("/a"),
        ),
        one(
            "cloud_init.write_files.content",
            vm,
            "cloud_init: {write_files: [{path: /a, content: b}]}",
            "/cloud_init/write_files/0/content",
            json!("b"),
        ),
        one(
            "cloud_init.write_files.file",
            vm,
            "cloud_init: {write_files: [{path: /a, file: user.yaml}]}",
            "/cloud_init/write_files/0/file",
            json!("user.yaml"),
        ),
        one(
            "cloud_init.write_files.permissions",
            vm,
            "cloud_init: {write_files: [{path: /a, content: b, permissions: '0600'}]}",
            "/cloud_init/write_files/0/permissions",
            json!("0600"),
        ),
        one("boot", vm, "boot: [network, disk]", "/boot", json!(["network", "disk"])),
        one("autostart", vm, "autostart: true", "/autostart", json!(true)),
        one("console", vm, "console: false", "/console", json!(false)),
        one("screen", vm, "screen: vnc", "/screen", json!("vnc")),
        one("restart", vm, "restart: on-failure", "/restart", json!("on-failure")),
        one("init", container, "init: [/a, b]", "/init", json!(["/a", "b"])),
        one("environment", container, "environment: {A: b}", "/environment/A", json!("b")),
        one("idmap", container, "idmap: false", "/idmap", json!(false)),
        one("ready", vm, "ready: {agent: true}", "/ready", json!({"agent": true, "timeout": "5m0s"})),
        one("ready.running", vm, "ready: {running: true, timeout: 1s}", "/ready", json!({"running": true, "timeout": "1s"})),
        one("ready.address", vm, "ready: {address: true}", "/ready/address", json!(true)),
        one("ready.agent", vm, "ready: {agent: true}", "/ready/agent", json!(true)),
        one("ready.tcp", vm, "ready: {tcp: 22}", "/ready/tcp", json!(22)),
        one("ready.console", vm, "ready: {console: 'login:'}", "/ready/console", json!("login:")),
        one("ready.timeout", vm, "ready: {timeout: 1s}", "/ready/timeout", json!("1s")),
        one("stop_grace_period", vm, "stop_grace_period: 1s", "/stop_grace_period", json!("1s")),
    ]
}

fn bundle(text: &str) -> Files {
    telling::with(of(text), "user.yaml", "#cloud-config\npackages: [vim]\n")
}

fn keys(path: &str, object: &'static Object, all: &mut Vec<String>) {
    for key in object.keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        all.push(path.clone());
        let inner = if let Shape::List(inner, _) = key.shape { *inner } else { key.shape };
        if let Shape::Object(object) | Shape::Short(_, object) = inner {
            keys(&path, object, all);
        }
    }
}

#[test]
fn every_key_of_the_table_has_a_sample() {
    let mut all = Vec::new();
    keys("", &TOP, &mut all);
    all.sort();
    let mut sampled: Vec<String> = samples().into_iter().map(|(path, ..)| path.to_owned()).collect();
    sampled.sort();
    assert_eq!(sampled, all);
}

#[test]
fn what_is_written_under_a_key_is_in_the_machine_and_nowhere_without_it() {
    for (path, begin, line, pointer, value) in samples() {
        let written = canonical(&telling::machine(&bundle(&format!("{begin}\n{line}\n"))));
        assert_eq!(written.pointer(pointer), Some(&value), "{path}");
        let without = orrery_machine::load(&bundle(&format!("{begin}\n"))).machine;
        assert_ne!(without.map(|machine| canonical(&machine)), Some(written), "{path} changes nothing");
    }
}
