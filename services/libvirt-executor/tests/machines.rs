//! The whole executor as a process, on a real broker and a libvirtd of its own: a command goes in, a guest runs, and everything that
//! is told of it can be read back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use orrery_contracts::Change;
use serde_json::{Value, json};
use support::executor::{Lab, until};

fn definition(more: &str) -> Value {
    let yaml = format!(
        "kind: vm\nsource: {{kernel: kernel, initramfs: initrd, cmdline: console=ttyS0 quiet}}\nmemory: 192MiB\nstop_grace_period: 2s\n\
         disks: [{{name: data, size: 16MiB}}]\nnetworks: []\nready: {{console: hello from the guest}}\n{more}"
    );
    support::executor::definition(&yaml)
}

#[tokio::test]
async fn a_machine_lives_its_whole_life() {
    let lab = Lab::start().await;
    lab.boxes().await;
    let (seq, made) = lab.run("machine.create", "web", definition("")).await;
    assert!(matches!(made, Change::Done { .. }), "{made:?}\n{}", lab.log());
    let id = lab.id_of(seq).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "machine created");
    assert_eq!(lab.virsh(&["domstate", "web"]), "running");
    let seen = until("the machine to be observed", async || lab.machine(id).await.filter(|seen| seen.state.is_up())).await;
    assert_eq!((seen.version, seen.drift.as_slice(), seen.name.as_str()), (Some(1), [].as_slice(), "web"));

    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "nothing to do");
    assert_eq!(lab.done("machine.suspend", "web", json!({})).await, "the guest stands still");
    assert_eq!(lab.virsh(&["domstate", "web"]), "paused");
    assert_eq!(lab.done("machine.resume", "web", json!({})).await, "the guest goes on");

    // What the guest takes while it runs, and the way back.
    lab.done("machine.version.create", "web", definition("description: more\nshares: {cpu: 512}\n")).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 2})).await, "machine updated");
    assert_eq!(lab.done("machine.rollback", "web", json!({"version": 1})).await, "machine updated");

    // A hand from outside is seen, and put right.
    lab.virsh(&["dumpxml", "web"]);
    lab.virsh(&["setmem", "web", "131072", "--config"]);
    until("the drift to be seen", async || lab.machine(id).await.filter(|seen| !seen.drift.is_empty())).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "machine restarted");
    until("the drift to be gone", async || lab.machine(id).await.filter(|seen| seen.drift.is_empty())).await;

    assert_eq!(lab.done("machine.stop", "web", json!({})).await, "the guest was ended");
    assert_eq!(lab.done("machine.start", "web", json!({})).await, "machine started");
    let gone = lab.done("machine.delete", "web", json!({"disks": true})).await;
    assert!(gone.starts_with("machine and 1 volume"), "{gone}");
    assert_eq!(lab.virsh(&["list", "--all", "--name"]), "");
    until("its observation to be gone", async || lab.machine(id).await.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_failed_apply_leaves_the_old_machine_running() {
    let lab = Lab::start().await;
    lab.boxes().await;
    lab.done("machine.create", "web", definition("")).await;
    lab.done("machine.apply", "web", json!({"version": 1})).await;
    let never = definition("").to_string().replace("192MiB", "224MiB");
    let never = never.replace("hello from the guest}", "what nobody says, timeout: 5s}");
    lab.done("machine.version.create", "web", serde_json::from_str(&never).unwrap()).await;
    let (seq, ended) = lab.run("machine.apply", "web", json!({"version": 2})).await;
    let Change::Cancelled { reason } = ended else { panic!("{ended:?}") };
    assert!(reason.contains("did not say"), "{reason}; {:#?}", lab.steps(seq).await);
    assert_eq!(lab.virsh(&["domstate", "web"]), "running");
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "nothing to do");
}

#[tokio::test]
async fn what_cannot_be_is_rejected_and_disturbs_nobody() {
    let lab = Lab::start().await;
    for (kind, target, payload, why) in [
        (
            "machine.create",
            "a",
            json!({"bundle": {"files": {"machine.yaml": "kind: vm\nsource: {box: x}\nmemroy: 1GiB\n"}}}),
            "machine.yaml:3:1",
        ),
        ("machine.apply", "nobody", json!({"version": 1}), "there is no machine"),
        ("box.remove", "nothing", json!({}), "there is no box nothing"),
        ("box.import", "a", json!({"url": "http://127.0.0.1:1/x"}), "http is not encrypted"),
    ] {
        let (_, ended) = lab.run(kind, target, payload).await;
        let Change::Cancelled { reason } = ended else { panic!("{kind}: {ended:?}") };
        assert!(reason.starts_with("rejected: ") && reason.contains(why), "{kind}: {reason}");
    }
    lab.done("machine.create", "web", definition("")).await;
    let (_, ended) = lab.run("machine.apply", "web", json!({"version": 1})).await;
    let Change::Cancelled { reason } = ended else { panic!("{ended:?}") };
    assert!(reason.contains("there is no box kernel") && reason.contains("there is no box initrd"), "{reason}");
}

#[tokio::test]
async fn an_executor_that_dies_in_the_middle_of_an_apply_goes_on() {
    let mut lab = Lab::start().await;
    lab.boxes().await;
    lab.done("machine.create", "web", definition("")).await;
    for (round, pause) in [50, 150, 400, 900].into_iter().enumerate() {
        let seq = lab.send("machine.apply", "web", json!({"version": 1})).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        lab.kill();
        lab.start_again();
        let ended = lab.ended(seq).await;
        assert!(matches!(ended, Change::Done { .. }), "round {round}: {ended:?}\n{}", lab.log());
        assert_eq!(lab.virsh(&["list", "--all", "--name"]), "web");
        assert_eq!(lab.virsh(&["domstate", "web"]), "running");
        lab.done("machine.delete", "web", json!({"disks": true})).await;
        lab.done("machine.create", "web", definition("")).await;
    }
}
