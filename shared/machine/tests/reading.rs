//! What a definition means: the typed machine, where things are written, and what two machines differ in.

#![allow(clippy::unwrap_used)]

mod telling;

use std::time::Duration;

use orrery_machine::model::{
    Attachment, Backing, BootDevice, Bus, Carrier, Condition, Content, Firmware, Kind, Mac, Restart, Run, Screen, Source, UserData,
};
use orrery_machine::{Change, Files, Problem, diff, load, read};
use serde_json::json;
use telling::{KEY, container, machine, of, vm, with};

#[test]
fn a_vm_has_defaults_for_all_but_its_source() {
    let machine = machine(&vm(""));
    let vm = machine.vm().unwrap();
    assert_eq!((machine.kind(), vm.cpus, machine.memory), (Kind::Vm, 1, 512 << 20));
    assert_eq!(vm.source, Source::Box { name: "debian-12".to_owned() });
    assert_eq!(vm.disks.len(), 1);
    assert_eq!((vm.disks[0].name.as_str(), &vm.disks[0].backing, vm.disks[0].bus), ("root", &Backing::Overlay { size: None }, Bus::Virtio));
    assert_eq!(machine.networks.len(), 1);
    assert_eq!(machine.networks[0].attachment, Attachment::Nat("default".to_owned()));
    assert_eq!((vm.firmware, vm.screen, vm.boot.as_slice()), (Firmware::Bios, Screen::None, [BootDevice::Disk].as_slice()));
    assert_eq!((machine.autostart, machine.console, machine.restart), (false, true, Restart::No));
    assert_eq!((machine.ready.until.clone(), machine.ready.timeout), (Condition::Running, Duration::from_secs(300)));
    assert_eq!(machine.stop_grace_period, Duration::from_secs(60));
    assert!(machine.cloud_init().is_none() && machine.container().is_none());
}

#[test]
fn a_container_has_defaults_for_all_but_its_archive() {
    let machine = machine(&container(""));
    let container = machine.container().unwrap();
    assert_eq!(
        (container.archive.as_str(), container.init.as_slice(), container.idmap),
        ("busybox", ["/sbin/init".to_owned()].as_slice(), true)
    );
    assert_eq!(machine.networks[0].model, None);
    assert!(machine.vm().is_none());
}

#[test]
fn both_names_of_the_file_are_taken() {
    let files: Files = [("machine.yml", "kind: vm\nsource: {box: a}\n")].into_iter().collect();
    assert!(load(&files).machine.is_some());
    assert!(read(&files, "machine.yml").machine.is_some());
    assert!(read(&files, "machine.yaml").machine.is_none());
}

#[test]
fn the_first_disk_is_the_overlay_and_others_are_empty_or_volumes() {
    let machine = machine(&vm("disks: [{size: 10GiB}, {name: data, size: 1GiB, bus: sata}, {volume: old}]"));
    let disks = &machine.vm().unwrap().disks;
    let backings: Vec<_> = disks.iter().map(|disk| (disk.name.as_str(), disk.backing.clone())).collect();
    assert_eq!(
        backings,
        [
            ("root", Backing::Overlay { size: Some(10 << 30) }),
            ("data", Backing::Empty { size: 1 << 30 }),
            ("old", Backing::Volume { volume: "old".to_owned() }),
        ]
    );
    let iso = telling::machine(&of("kind: vm\nsource: {iso: netinst}\ndisks: [{size: 1GiB, bus: ide}]\n"));
    assert_eq!(iso.vm().unwrap().disks[0].backing, Backing::Empty { size: 1 << 30 });
    assert_eq!(iso.vm().unwrap().boot, [BootDevice::Disk, BootDevice::Cdrom]);
    assert!(iso.vm().unwrap().needs_ide());
}

#[test]
fn a_port_goes_by_who_can_carry_it() {
    let carriers = |lines: &str| machine(&vm(lines)).ports.iter().map(|port| port.by).collect::<Vec<_>>();
    assert_eq!(carriers("ports: ['80:80', {host: 81, guest: 81}]"), [Carrier::Executor, Carrier::Executor]);
    assert_eq!(carriers("networks: [{user: true}]\nports: ['80:80', {host: 81, guest: 81}]"), [Carrier::Passt, Carrier::Passt]);
    assert_eq!(carriers("networks: [{isolated: lab, address: 10.0.0.2}]\nports: ['80:80']"), [Carrier::Executor]);
    let mixed = "networks: [{nat: default}, {user: true}]\nports: ['80:80', {host: 81, guest: 81, by: passt}]";
    assert_eq!(carriers(mixed), [Carrier::Executor, Carrier::Passt]);
}

#[test]
fn one_port_may_be_taken_on_two_addresses_and_by_two_protocols() {
    let outcome = load(&vm("ports: ['127.0.0.1:53:53', '127.0.0.2:53:53', '53:53/udp', '54:53']"));
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
}

#[test]
fn the_limit_on_processors_is_a_quota() {
    let shares = machine(&vm("shares: {cpu: 512, cpu_limit: 1.5}")).shares;
    assert_eq!((shares.cpu, shares.quota()), (Some(512), Some(150_000)));
    assert_eq!(machine(&vm("")).shares.quota(), None);
}

#[test]
fn texts_of_a_mapping_are_what_stands_there() {
    let machine = machine(&container("environment: {A: 0755, B: 1e3, C: true, D: 1.10, E: 2024-01-01}"));
    let values: Vec<&str> = machine.container().unwrap().environment.values().map(String::as_str).collect();
    assert_eq!(values, ["0755", "1e3", "true", "1.10", "2024-01-01"]);
}

#[test]
fn the_cloud_init_section_has_its_files_with_it() {
    let text = format!(
        "cloud_init:\n  users: [{{name: anna, ssh_keys: [{KEY}]}}]\n  run: [reboot, [echo, a]]\n  write_files: [{{path: /a, file: ./data/blob}}]"
    );
    let mut files = vm(&text);
    files.insert("data/blob", b"\xff".to_vec());
    let machine = machine(&files);
    let UserData::Short(short) = &machine.cloud_init().unwrap().user_data else { panic!("{machine:?}") };
    assert_eq!((short.users[0].shell.as_str(), short.users[0].sudo), ("/bin/bash", false));
    assert_eq!(short.run, [Run::Line("reboot".to_owned()), Run::Words(vec!["echo".to_owned(), "a".to_owned()])]);
    let Content::File { file } = &short.write_files[0].content else { panic!("{short:?}") };
    assert_eq!((file.path.as_str(), file.content.as_slice()), ("data/blob", b"\xff".as_slice()));
    assert_eq!(short.write_files[0].permissions, "0644");
}

#[test]
fn a_mac_address_is_written_in_one_way() {
    let machine = machine(&vm("networks: [{nat: a, mac: '52:54:00:AB:CD:EF'}]"));
    assert_eq!(machine.networks[0].mac.unwrap().to_string(), "52:54:00:ab:cd:ef");
    assert_eq!(Mac::parse("52:54:00:ab:cd:ef"), machine.networks[0].mac);
}

/// An executor that has no such bridge says so at the line of the bridge.
#[test]
fn what_only_an_executor_can_say_has_its_place() {
    let outcome = load(&vm("networks:\n  - nat: default\n  - bridge: br7"));
    let problem = Problem::refused(&outcome.place("networks[1].bridge"), "there is no bridge br7");
    assert_eq!((problem.file.as_str(), problem.line, problem.column, problem.path.as_str()), ("machine.yaml", 5, 13, "networks[1].bridge"));
    let dotted = load(&vm("labels:\n  a: b\n  a.b: c")).place("labels.a.b");
    assert_eq!((dotted.line, dotted.column), (5, 8));
    let implied = outcome.place("memory");
    assert_eq!((implied.line, &*implied.path), (1, "memory"));
    let near = outcome.place("networks[1].mac");
    assert_eq!((near.line, &*near.path), (5, "networks[1].mac"));
}

fn changes(old: &Files, new: &Files) -> Vec<(String, serde_json::Value, serde_json::Value)> {
    let show = |change: Change| (change.path, change.from.unwrap_or_default(), change.to.unwrap_or_default());
    diff(&machine(old), &machine(new)).into_iter().map(show).collect()
}

#[test]
fn disks_are_compared_by_name() {
    let old = vm("disks: [{name: root}, {name: a, size: 1GiB}, {name: b, size: 2GiB}]");
    let grown = vm("disks: [{name: root}, {name: a, size: 1GiB}, {name: b, size: 3GiB}]");
    assert_eq!(changes(&old, &grown), [("disks.b.size".to_owned(), json!("2GiB"), json!("3GiB"))]);
    let fewer = vm("disks: [{name: root}, {name: b, size: 2GiB}]");
    assert_eq!(changes(&old, &fewer), [("disks.a".to_owned(), json!({"size": "1GiB", "bus": "virtio"}), json!(null))]);
    let turned = vm("disks: [{name: root}, {name: b, size: 2GiB}, {name: a, size: 1GiB}]");
    assert_eq!(changes(&old, &turned), [("disks".to_owned(), json!(["root", "a", "b"]), json!(["root", "b", "a"]))]);
}

#[test]
fn other_lists_are_compared_by_place() {
    let old = vm("networks: [{nat: default, address: 10.0.0.2}, {isolated: lab}]\nlabels: {team: a}");
    let new = vm("networks: [{nat: default, address: 10.0.0.3}, {isolated: lab}]\ncpus: 2");
    assert_eq!(
        changes(&old, &new),
        [
            ("cpus".to_owned(), json!(1), json!(2)),
            ("labels.team".to_owned(), json!("a"), json!(null)),
            ("networks[0].address".to_owned(), json!("10.0.0.2"), json!("10.0.0.3")),
        ]
    );
}

#[test]
fn a_default_that_is_written_is_no_change() {
    let written = vm("cpus: 1\nmemory: 524288KiB\nnetworks: [{nat: default, model: virtio}]\nready: {timeout: 300s}\nboot: [disk]");
    assert_eq!(changes(&vm(""), &written), []);
}

#[test]
fn a_file_counts_with_its_content() {
    let text = "cloud_init: {user_data: user.yaml}";
    let with = |content: &str| with(vm(text), "user.yaml", content);
    let changed = changes(&with("#cloud-config\n"), &with("#cloud-config\npackages: [vim]\n"));
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].0, "cloud_init.user_data");
    assert!(changed[0].1.as_str().unwrap().starts_with("user.yaml (sha256 "), "{changed:?}");
    let written = |content: &str| telling::with(vm("cloud_init: {write_files: [{path: /a, file: f}]}"), "f", content);
    assert_eq!(changes(&written("a"), &written("b"))[0].0, "cloud_init.write_files[0].file");
    assert_eq!(changes(&written("a"), &written("a")), []);
}

#[test]
fn another_kind_is_a_change_of_nearly_everything() {
    let paths: Vec<String> = changes(&vm(""), &container("")).into_iter().map(|(path, ..)| path).collect();
    for path in ["kind", "source.box", "source.archive", "disks", "idmap"] {
        assert!(paths.iter().any(|found| found == path || found.starts_with(&format!("{path}."))), "{path}: {paths:?}");
    }
}
