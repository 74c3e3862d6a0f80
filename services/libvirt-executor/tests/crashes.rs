//! The executor, and libvirt, killed at every few steps of each command: there is never a second domain, never a lost disk, and never a
//! command that does not end.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use orrery_contracts::Change;
use orrery_test_libvirt::sector;
use serde_json::{Value, json};
use support::executor::{Lab, definition, until};

#[derive(Clone, Copy, Debug)]
enum Victim {
    Executor,
    Daemon,
}

/// What is done to a machine, in this order, and whether it runs afterwards.
const COMMANDS: [(&str, &str, Option<bool>); 8] = [
    ("machine.apply", r#"{"version": 1}"#, Some(true)),
    ("machine.apply", r#"{"version": 2}"#, Some(true)),
    ("machine.rollback", r#"{"version": 1}"#, Some(true)),
    ("machine.snapshot.create", r#"{"name": "one"}"#, Some(true)),
    ("machine.snapshot.revert", r#"{"name": "one"}"#, Some(true)),
    ("machine.stop", "{}", Some(false)),
    ("machine.start", "{}", Some(true)),
    ("machine.delete", r#"{"disks": true}"#, None),
];

fn version(memory: u32, hostname: &str) -> Value {
    definition(&format!(
        "kind: vm\nsource: {{box: boots}}\nmemory: {memory}MiB\nnetworks: [{{nat: outside, address: 10.9.8.50}}]\nstop_grace_period: 1s\n\
         cloud_init: {{hostname: {hostname}}}\n"
    ))
}

/// Waits until a command has begun so many steps, or has ended.
async fn begun(lab: &Lab, seq: u64, steps: usize) {
    for _ in 0..6000 {
        let made = lab.steps(seq).await.iter().filter(|step| !step.starts_with("planned")).count();
        if made >= steps || lab.end_of(seq).await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("command {seq} did not begin {steps} steps: {:#?}\n{}", lab.steps(seq).await, lab.log());
}

async fn sweep(victim: Victim) {
    let mut lab = Lab::start().await;
    lab.import("boots", sector::disk(), json!({})).await;
    for after in [1, 2, 4, 6] {
        let (seq, _) = lab.run("machine.create", "web", version(32, "one")).await;
        let id = lab.id_of(seq).await;
        lab.done("machine.version.create", "web", version(40, "two")).await;
        let disk = lab.libvirt.folder().join(format!("pool/{id}.root.qcow2"));
        let mut inode = None;
        for (kind, payload, runs) in COMMANDS {
            let seq = lab.send(kind, "web", serde_json::from_str(payload).unwrap()).await;
            begun(&lab, seq, after).await;
            match victim {
                Victim::Executor => {
                    lab.kill();
                    lab.start_again();
                }
                Victim::Daemon => {
                    lab.libvirt.kill().unwrap();
                    lab.libvirt.start_again().unwrap();
                }
            }
            let ended = lab.ended(seq).await;
            let what = || format!("{victim:?} killed after {after} steps of {kind}");
            assert!(matches!(ended, Change::Done { .. }), "{}: {ended:?}\n{}", what(), lab.log());
            let (domains, state) = match runs {
                Some(true) => ("web", "running"),
                Some(false) => ("web", "shut off"),
                None => ("", ""),
            };
            assert_eq!(
                (lab.virsh(&["list", "--all", "--name"]).as_str(), lab.virsh(&["domstate", "web"]).as_str()),
                (domains, state),
                "{}",
                what()
            );
            let found = std::fs::metadata(&disk).ok().map(|found| found.ino());
            assert_eq!(found.is_some(), runs.is_some(), "{}", what());
            assert!(inode.is_none() || found.is_none() || found == inode, "{}: another disk lies in its place", what());
            inode = found;
        }
        let left = lab.virsh(&["vol-list", "orrery"]);
        assert!(!left.contains(&id.to_string()), "{left}");
    }
}

#[tokio::test]
async fn an_executor_that_is_killed_at_any_step_ends_what_it_began() {
    sweep(Victim::Executor).await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_at_any_step_is_waited_for() {
    sweep(Victim::Daemon).await;
}

/// Waits until a command has begun so many waits for its machine to be ready.
async fn waits(lab: &Lab, seq: u64, times: usize) {
    until("the machine to be waited for", async || {
        let waits = lab.steps(seq).await.iter().filter(|step| step.starts_with("machine.wait")).count();
        (waits == times).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_wait_that_is_broken_off_is_no_failure() {
    let mut lab = Lab::start().await;
    lab.import("boots", sector::disk(), json!({})).await;
    lab.machine_of("web", version(32, "one")).await;
    let silent = "kind: vm\nsource: {box: boots}\nmemory: 40MiB\nnetworks: [{nat: outside, address: 10.9.8.50}]\nstop_grace_period: 1s\n\
                  ready: {tcp: 80, timeout: 10m}\n";
    lab.done("machine.version.create", "web", definition(silent)).await;

    let seq = lab.send("machine.apply", "web", json!({"version": 2})).await;
    waits(&lab, seq, 1).await;
    lab.terminate();
    assert_eq!(lab.end_of(seq).await, None, "{}", lab.log());
    lab.start_again();
    // The next executor takes it up, and waits for what was not seen.
    waits(&lab, seq, 2).await;

    lab.cancel(seq).await;
    assert_eq!(lab.ended(seq).await, Change::Cancelled { reason: "cancelled by ada".to_owned() }, "{}", lab.log());
    let found = lab.virsh(&["dominfo", "web"]);
    assert!(found.contains("32768 KiB"), "the old machine runs again: {found}\n{:#?}\n{}", lab.steps(seq).await, lab.log());
    assert_eq!(lab.virsh(&["domstate", "web"]), "running");
}

#[tokio::test]
async fn a_revert_that_was_begun_is_told_whatever_becomes_of_it() {
    let mut lab = Lab::start().await;
    lab.import("boots", sector::disk(), json!({})).await;
    let id = lab.machine_of("web", version(32, "one")).await;
    lab.done("machine.snapshot.create", "web", json!({"name": "one"})).await;
    lab.done("machine.version.create", "web", version(40, "two")).await;
    lab.done("machine.apply", "web", json!({"version": 2})).await;

    let seq = lab.send("machine.snapshot.revert", "web", json!({"name": "one"})).await;
    until("libvirt to have brought it back", async || lab.virsh(&["dominfo", "web"]).contains("32768 KiB").then_some(())).await;
    lab.kill();
    lab.cancel(seq).await;
    lab.start_again();
    let ended = lab.ended(seq).await;
    let told = async || lab.machine(id).await.filter(|seen| seen.version == Some(1) && seen.drift.is_empty());
    let seen = until(&format!("what was brought back to be what is wanted, after {ended:?}"), told).await;
    assert_eq!(seen.memory, 32 << 20, "{}", lab.log());
}
