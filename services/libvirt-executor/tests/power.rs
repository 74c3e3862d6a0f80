//! Power, snapshots, and what happens to machines when their host starts again, through the queue with real guests.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use orrery_contracts::DomainState;
use orrery_test_libvirt::sector;
use serde_json::{Value, json};
use support::executor::{Lab, definition, until};

const LINUX: &str = "kind: vm\nsource: {kernel: kernel, initramfs: initrd, cmdline: console=ttyS0 quiet}\nmemory: 192MiB\nnetworks: []\n\
                     ready: {console: hello from the guest}\n";

/// A guest of one sector that is to say this. It does not hear when it is asked to end.
fn deaf(memory: u32, text: &str, more: &str) -> Value {
    definition(&format!(
        "kind: vm\nsource: {{box: boots}}\nmemory: {memory}MiB\nnetworks: []\nstop_grace_period: 2s\nready: {{console: {text:?}}}\n{more}"
    ))
}

#[tokio::test]
async fn a_guest_is_asked_to_end_and_ended_when_its_time_is_over() {
    let lab = Lab::start().await;
    lab.boxes().await;
    // One that starts again whenever it ends by itself ends all the same when it is told to.
    for (name, restart) in [("web", "no"), ("again", "always")] {
        lab.machine_of(name, definition(&format!("{LINUX}restart: {restart}\n"))).await;
        assert_eq!(lab.done("machine.shutdown", name, json!({})).await, "the guest has ended");
        assert_eq!(lab.virsh(&["domstate", name]), "shut off");
        assert_eq!(lab.done("machine.shutdown", name, json!({})).await, "nothing to do");
    }
    for kind in ["machine.suspend", "machine.resume", "machine.reboot"] {
        let why = lab.refused(kind, "web", json!({})).await;
        assert!(why.contains("the machine is off: start it first"), "{kind}: {why}");
    }
    assert_eq!(lab.done("machine.start", "web", json!({})).await, "machine started");

    lab.import("boots", sector::disk(), json!({})).await;
    lab.machine_of("deaf", deaf(32, "that is all", "")).await;
    let forced = lab.done("machine.shutdown", "deaf", json!({})).await;
    assert!(forced.starts_with("the guest has ended; the guest did not end within 2 s, so it was "), "{forced}");
    lab.done("machine.start", "deaf", json!({})).await;
    let forced = lab.done("machine.shutdown", "deaf", json!({"grace_seconds": 1})).await;
    assert!(forced.contains("did not end within 1 s"), "{forced}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_boots_again_when_it_is_asked_and_is_made_to_when_it_does_not_hear() {
    let lab = Lab::start().await;
    lab.boxes().await;
    let asker = lab.asker().await;
    let web = lab.machine_of("web", definition(LINUX)).await;
    let mut console = asker.look("console", web).await.unwrap();
    console.sees("hello from the guest").await;
    let number = lab.virsh(&["domid", "web"]);
    for _ in 0..2 {
        assert_eq!(lab.done("machine.reboot", "web", json!({})).await, "the guest boots again");
        console.sees("hello from the guest").await;
    }
    assert_eq!((lab.virsh(&["domid", "web"]), lab.virsh(&["domstate", "web"])), (number, "running".to_owned()), "its life goes on");

    // One that counts its boots on its disk, and does not hear.
    lab.import("boots", sector::disk(), json!({})).await;
    let deaf = lab.machine_of("deaf", deaf(32, "boot 1", "")).await;
    let mut console = asker.look("console", deaf).await.unwrap();
    console.sees("boot 1").await;
    let forced = lab.done("machine.reboot", "deaf", json!({})).await;
    assert_eq!(forced, "the guest boots again; the guest did not boot again within 2 s, so it was made to");
    console.sees("boot 2").await;
}

#[tokio::test]
async fn snapshots_bring_disk_and_memory_and_version_back() {
    let lab = Lab::start().await;
    lab.import("boots", sector::disk(), json!({})).await;
    let seed = "cloud_init: {hostname: web}\n";
    let id = lab.machine_of("web", deaf(32, "boot 1", seed)).await;
    lab.done("machine.stop", "web", json!({})).await;
    assert_eq!(lab.done("machine.snapshot.create", "web", json!({"name": "off"})).await, "snapshot off made");
    lab.done("machine.version.create", "web", deaf(32, "boot 2", seed)).await;
    lab.done("machine.apply", "web", json!({"version": 2})).await;
    lab.done("machine.snapshot.create", "web", json!({"name": "on", "description": "while it runs"})).await;
    lab.done("machine.version.create", "web", deaf(48, "boot 3", seed)).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 3})).await, "machine restarted");
    let seen = until("both to be seen", async || lab.machine(id).await.filter(|seen| seen.snapshots.len() == 2)).await;
    let told: Vec<_> = seen.snapshots.iter().map(|one| (one.name.as_str(), one.description.as_str(), one.running)).collect();
    assert_eq!(told, [("off", "", false), ("on", "while it runs", true)]);

    assert_eq!(lab.done("machine.snapshot.revert", "web", json!({"name": "on"})).await, "as at snapshot on");
    let back = until("it to be back", async || lab.machine(id).await.filter(|seen| seen.version == Some(2))).await;
    assert_eq!((back.state, back.memory, back.drift.as_slice()), (DomainState::Running, 32 << 20, [].as_slice()));
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 2})).await, "nothing to do");

    // The disk has been booted once again.
    lab.done("machine.snapshot.revert", "web", json!({"name": "off"})).await;
    assert_eq!(lab.virsh(&["domstate", "web"]), "shut off");
    lab.done("machine.apply", "web", json!({"version": 2})).await;

    assert!(
        lab.refused("machine.snapshot.revert", "web", json!({"name": "other"})).await.contains("no snapshot \"other\"; it has off, on")
    );
    for name in ["off", "on"] {
        assert_eq!(lab.done("machine.snapshot.delete", "web", json!({"name": name})).await, format!("snapshot {name} forgotten"));
    }
    assert_eq!(lab.virsh(&["snapshot-list", "web", "--name"]), "");
    lab.done("machine.snapshot.create", "web", json!({"name": "last"})).await;
    lab.done("machine.delete", "web", json!({"disks": true})).await;
    assert_eq!(lab.virsh(&["list", "--all", "--name"]), "");
}

#[tokio::test]
async fn a_snapshot_that_could_not_be_brought_back_is_refused() {
    let lab = Lab::start().await;
    lab.boxes().await;
    let yaml = LINUX.replace("ready: {console: hello from the guest}", "ready: {running: true}");
    lab.machine_of("firm", definition(&format!("{yaml}firmware: uefi\ndisks: [{{name: data, size: 1MiB}}]\n"))).await;
    let why = lab.refused("machine.snapshot.create", "firm", json!({"name": "one"})).await;
    assert!(why.contains("cannot bring a machine with UEFI firmware back"), "{why}");
    lab.done("machine.delete", "firm", json!({"disks": true})).await;
}

#[tokio::test]
async fn what_starts_with_the_host_runs_after_the_host_started_again() {
    let mut lab = Lab::start().await;
    lab.boxes().await;
    let yaml = LINUX.replace("networks: []", "networks: [{nat: outside, address: 10.9.8.50}]");
    let id = lab.machine_of("web", definition(&format!("{yaml}autostart: true\n"))).await;
    lab.machine_of("other", definition(LINUX)).await;
    for name in ["web", "other"] {
        lab.virsh(&["destroy", name]);
    }
    lab.host_starts_again();
    until("it to run", async || (lab.virsh(&["domstate", "web"]) == "running").then_some(())).await;
    assert_eq!(lab.virsh(&["domstate", "other"]), "shut off");
    until("it to be observed", async || lab.machine(id).await.filter(|seen| seen.state == DomainState::Running)).await;

    // What does not start with the host any more stays off.
    lab.done("machine.version.create", "web", definition(&yaml)).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 2})).await, "machine updated");
    assert!(lab.virsh(&["dominfo", "web"]).lines().any(|line| line.starts_with("Autostart:") && line.ends_with("disable")));
}
