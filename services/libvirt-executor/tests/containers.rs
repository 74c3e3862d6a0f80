//! Containers as machines: a root filesystem from an archive, versions, power and drift, through the queue on libvirt's LXC driver.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use orrery_contracts::{DomainState, MachineKind};
use orrery_test_libvirt::Neighbour;
use serde_json::{Value, json};
use support::executor::{Lab, definition, until};
use support::{guests, talk};

/// A name that no other test's container has: libvirt names the control groups of the whole host by it.
fn name(lab: &Lab, name: &str) -> String {
    format!("{}-{name}", lab.libvirt.tag)
}

fn container(more: &str) -> Value {
    definition(&format!("kind: container\nsource: {{archive: small}}\nmemory: 64MiB\ninit: /bin/boot\n{more}"))
}

#[tokio::test]
async fn a_container_lives_its_whole_life() {
    let lab = Lab::start().await;
    let name = name(&lab, "life");
    let web = name.as_str();
    let imported = lab.import("small", guests::archive(lab.folder()), json!({"format": "rootfs"})).await;
    assert!(imported.starts_with("box small imported: rootfs, "), "{imported}");
    let ready = "ready: {console: hello from the guest}\nnetworks: []\nstop_grace_period: 20s\n";
    let id = lab.machine_of(web, container(ready)).await;
    assert_eq!(lab.virsh_lxc(&["domstate", web]), "running");
    let seen = until("it to be observed", async || lab.machine(id).await.filter(|seen| seen.state.is_up())).await;
    assert_eq!((seen.kind, seen.version, seen.drift.as_slice()), (MachineKind::Container, Some(1), [].as_slice()));
    let root = lab.libvirt.folder().join(format!("pool/{id}.rootfs"));
    let owner = |path: &str| std::fs::metadata(root.join(path)).unwrap().uid();
    assert_eq!((owner("."), owner("bin"), owner("bin/busybox")), (100_000, 100_000, 100_000), "root in it is nobody outside");
    assert_eq!(lab.done("machine.apply", web, json!({"version": 1})).await, "nothing to do");

    assert_eq!(lab.done("machine.suspend", web, json!({})).await, "the guest stands still");
    assert_eq!(lab.done("machine.resume", web, json!({})).await, "the guest goes on");
    assert_eq!(lab.done("machine.shutdown", web, json!({})).await, "the guest has ended");
    assert_eq!(lab.done("machine.start", web, json!({})).await, "machine started");
    let why = lab.refused("machine.snapshot.create", web, json!({"name": "one"})).await;
    assert!(why.contains("libvirt takes no snapshots of containers"), "{why}");

    // A change that takes another boot, the way back, and a hand from outside.
    lab.done("machine.version.create", web, container(&format!("{ready}environment: {{GREETING: hello}}\n"))).await;
    assert_eq!(lab.done("machine.apply", web, json!({"version": 2})).await, "machine restarted");
    assert_eq!(lab.done("machine.rollback", web, json!({"version": 1})).await, "machine restarted");
    lab.virsh_lxc(&["desc", web, "--config", "somebody was here"]);
    until("the drift to be seen", async || lab.machine(id).await.filter(|seen| !seen.drift.is_empty())).await;
    assert_eq!(lab.done("machine.apply", web, json!({"version": 1})).await, "machine restarted");
    until("the drift to be gone", async || lab.machine(id).await.filter(|seen| seen.drift.is_empty())).await;

    // Its root is a copy, so that the box may go; another root takes another machine.
    lab.done("machine.version.create", web, container(&format!("{ready}idmap: false\n"))).await;
    let why = lab.refused("machine.apply", web, json!({"version": 3})).await;
    assert!(why.contains("idmap differs, which takes a new disk"), "{why}");
    let kept = lab.done("machine.delete", web, json!({"disks": false})).await;
    assert_eq!(kept, "machine removed; 1 disk(s) stay in the pool");
    assert!(root.join("bin/busybox").exists());
    assert_eq!(lab.virsh_lxc(&["list", "--all", "--name"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_its_address_its_port_and_its_limits_and_goes_with_all_that_is_in_it() {
    let lab = Lab::start().await;
    let name = name(&lab, "net");
    let web = name.as_str();
    lab.import("small", guests::archive(lab.folder()), json!({"format": "rootfs"})).await;
    let more = "shares: {cpu: 512, cpu_limit: 0.5, memory_reservation: 32MiB}\nnetworks: [{nat: outside, address: 10.9.8.70}]\nports: ['8080:80']\n\
                ready: {tcp: 80}\nstop_grace_period: 2s\ninit: [/bin/busybox, httpd, -f, -p, '80', -h, /]\n";
    let definition = container(more).to_string().replace("init: /bin/boot\\n", "");
    let id = lab.machine_of(web, serde_json::from_str(&definition).unwrap()).await;
    let seen = until("it to be observed", async || lab.machine(id).await.filter(|seen| !seen.ports.is_empty())).await;
    assert_eq!((seen.state, seen.name.as_str(), seen.addresses), (DomainState::Running, web, vec!["10.9.8.70".to_owned()]));
    let neighbour = lab.neighbour();
    let page = talk::page(&neighbour.network, SocketAddr::new(Neighbour::HOST, 8080), "/index.html");
    assert_eq!(page.as_deref(), Some("the page of the container"));

    // What the kernel holds it to, in the control groups of either kind.
    let limit = |names: [&str; 2]| limits(web, names).unwrap_or_else(|| panic!("no control group of {web} has {names:?}"));
    assert_eq!(limit(["memory.limit_in_bytes", "memory.max"]), (64 << 20).to_string());
    assert_eq!(limit(["memory.soft_limit_in_bytes", "memory.high"]), (32 << 20).to_string());
    assert!(["50000", "50000 100000"].contains(&limit(["cpu.cfs_quota_us", "cpu.max"]).as_str()));
    assert_eq!(limit(["cpu.shares", "cpu.weight"]), "512");

    // Killed at any time, it is found as it was left.
    let gone = lab.done("machine.delete", web, json!({"disks": true})).await;
    assert_eq!(gone, "machine and 1 volume(s) removed");
    assert!(!lab.libvirt.folder().join(format!("pool/{id}.rootfs")).exists());
    assert_eq!(lab.done("box.remove", "small", json!({})).await, "box small removed");
}

/// What stands in the first of these files that a control group of this name has.
fn limits(name: &str, files: [&str; 2]) -> Option<String> {
    fn look(folder: &Path, name: &str, files: [&str; 2], depth: u32) -> Option<String> {
        let entries = folder.read_dir().ok()?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        entries.map(|entry| entry.path()).find_map(|path| {
            let its = path.file_name().is_some_and(|found| found.to_string_lossy().contains(name));
            let told = files.iter().filter(|_| its).find_map(|file| std::fs::read_to_string(path.join(file)).ok());
            told.map(|told| told.trim().to_owned()).or_else(|| (depth > 0).then(|| look(&path, name, files, depth - 1)).flatten())
        })
    }
    look(Path::new("/sys/fs/cgroup"), name, files, 4)
}

#[tokio::test]
async fn what_is_no_root_filesystem_is_no_box_of_one() {
    let lab = Lab::start().await;
    let (seq, ended) = lab.run("box.import", "small", lab.payload(b"no archive".to_vec(), json!({"format": "rootfs"}))).await;
    assert!(format!("{ended:?}").contains("this is no archive of a root filesystem"), "{seq}: {ended:?}");
    lab.import("file", b"no archive".to_vec(), json!({"format": "file"})).await;
    lab.done("machine.create", "web", definition("kind: container\nsource: {archive: file}\nrestart: on-failure\n")).await;
    let why = lab.refused("machine.apply", "web", json!({"version": 1})).await;
    assert!(why.contains("the box file is of format file, and a container needs rootfs"), "{why}");
    assert!(why.contains("restart: libvirt does not tell how a container has ended; take always or no"), "{why}");
}

#[tokio::test]
async fn a_container_that_ends_by_itself_is_started_again_and_one_that_was_stopped_is_not() {
    let lab = Lab::start().await;
    let name = name(&lab, "again");
    let web = name.as_str();
    lab.import("small", guests::archive(lab.folder()), json!({"format": "rootfs"})).await;
    let id = lab.machine_of(web, container("restart: always\nnetworks: []\nstop_grace_period: 20s\n")).await;
    let number = || lab.virsh_lxc(&["domid", web]);
    let first = number();
    // What its first process does when it is told to end.
    let ends = || std::process::Command::new("virsh").args(["-c", &lab.libvirt.container(), "shutdown", web, "--mode", "signal"]).output();
    for _ in 0..2 {
        let before = number();
        ends().unwrap();
        until("it to run again", async || Some(number()).filter(|now| *now != before && now.parse::<u64>().is_ok())).await;
    }
    assert_ne!(number(), first);

    lab.done("machine.shutdown", web, json!({})).await;
    until("it to be off", async || lab.machine(id).await.filter(|seen| !seen.state.is_up())).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(lab.virsh_lxc(&["domstate", web]), "shut off", "a stop by command is not undone: {}", lab.log());

    // A hand from outside is no end of its own.
    lab.done("machine.start", web, json!({})).await;
    lab.virsh_lxc(&["destroy", web]);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(lab.virsh_lxc(&["domstate", web]), "shut off");
}
