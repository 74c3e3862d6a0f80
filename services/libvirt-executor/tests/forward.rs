//! Ports of the host that lead into a guest, on real parts: a broker, a libvirtd, a guest that listens, a client on the host.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm, dead_code)]

mod support;

use std::net::SocketAddr;

use orrery_test_libvirt::Neighbour;
use serde_json::{Value, json};
use support::executor::{Lab, until};
use support::talk;

/// A guest behind address translation whose address nobody reserved.
fn definition(ports: &str) -> Value {
    let yaml = format!(
        "kind: vm\nsource: {{kernel: kernel, initramfs: initrd, cmdline: console=ttyS0 quiet}}\nmemory: 192MiB\nstop_grace_period: 2s\n\
         networks: [{{nat: default}}]\nready: {{console: hello from the guest}}\nports: {ports}\n"
    );
    json!({"bundle": {"files": {"machine.yaml": yaml}}})
}

/// The guest greets whoever connects, and says back what it is told.
async fn answers(lab: &Lab, port: u16) {
    let greeted = async || lab.asked(port, b"").filter(|answer| answer.starts_with(b"hello from inside"));
    until(&format!("the guest to answer on port {port} of the host"), greeted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_the_host_leads_into_the_guest_as_long_as_it_runs() {
    let mut lab = Lab::start().await;
    lab.boxes().await;
    let (seq, _) = lab.run("machine.create", "web", definition("['12345:12345', '127.0.0.1:5353:5353/udp']")).await;
    let id = lab.id_of(seq).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "machine created");
    answers(&lab, 12345).await;
    // Each direction ends by itself: the guest says the last of it after the client has said its last.
    let said: Vec<u8> = (0..1_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let heard = lab.asked(12345, &said).unwrap();
    assert!(heard.ends_with(&said), "{} bytes came back of {}", heard.len(), said.len());
    let ports =
        until("its ports to be observed", async || lab.machine(id).await.map(|seen| seen.ports).filter(|all| !all.is_empty())).await;
    let ports: Vec<String> = ports.iter().map(|port| format!("{}:{}/{}", port.host_ip, port.host_port, port.protocol)).collect();
    assert_eq!(ports, ["0.0.0.0:12345/tcp", "127.0.0.1:5353/udp"]);
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "nothing to do");

    // A client on another host comes to an address of the host that is not its loopback.
    let neighbour = lab.neighbour();
    let outside = || talk::tcp(&neighbour.network, SocketAddr::new(Neighbour::HOST, 12345), b"hello from another host");
    assert!(outside().is_some_and(|answer| answer.ends_with(b"hello from another host")));

    // The guest boots again, and the broker is killed meanwhile.
    assert_eq!(lab.done("machine.reboot", "web", json!({})).await, "the guest boots again");
    lab.broker_starts_again().await;
    answers(&lab, 12345).await;
    assert!(outside().is_some());

    // The executor dies, and is started again.
    lab.kill();
    assert_eq!(lab.asked(12345, b""), None, "nobody listens without it");
    lab.start_again();
    answers(&lab, 12345).await;
    // The daemon does.
    lab.libvirt.kill().unwrap();
    assert!(lab.asked(12345, b"").is_some(), "the guest goes on without its daemon, and so does its port");
    lab.libvirt.start_again().unwrap();
    answers(&lab, 12345).await;

    // Another port is another port at once: the guest notices nothing.
    let before = lab.virsh(&["domid", "web"]);
    lab.done("machine.version.create", "web", definition("['12346:12345']")).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 2})).await, "machine updated");
    assert!(lab.asked(12346, b"").is_some());
    assert_eq!(lab.asked(12345, b""), None);
    assert_eq!(lab.virsh(&["domid", "web"]), before);

    // The machine ends, and its port with it.
    lab.done("machine.stop", "web", json!({})).await;
    assert_eq!(lab.asked(12346, b""), None);
    assert_eq!(lab.done("machine.start", "web", json!({})).await, "machine started");
    answers(&lab, 12346).await;
    lab.done("machine.delete", "web", json!({"disks": true})).await;
    assert_eq!(lab.asked(12346, b""), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_given_once_and_who_holds_it_is_told_before_anything_is_done() {
    let lab = Lab::start().await;
    lab.boxes().await;
    lab.done("machine.create", "web", definition("['12345:12345']")).await;
    lab.done("machine.apply", "web", json!({"version": 1})).await;
    lab.done("machine.create", "other", definition("['127.0.0.1:12345:80']")).await;
    let why = lab.refused("machine.apply", "other", json!({"version": 1})).await;
    assert_eq!(why, "rejected: port 12345/tcp of machine other is held by machine web of ada");

    let program = lab.libvirt.network().unwrap().listen("127.0.0.1:12350".parse().unwrap()).unwrap();
    lab.done("machine.version.create", "other", definition("['12350:80']")).await;
    let why = lab.refused("machine.apply", "other", json!({"version": 2})).await;
    let pid = std::process::id();
    assert!(why.starts_with("rejected: port 12350/tcp of machine other is held by ") && why.contains(&format!("process {pid}")), "{why}");
    drop(program);

    let passt = "kind: vm\nsource: {kernel: kernel}\nmemory: 192MiB\nnetworks: [{user: true}]\nports: ['12351:80']\n";
    lab.done("machine.version.create", "other", json!({"bundle": {"files": {"machine.yaml": passt}}})).await;
    let why = lab.refused("machine.apply", "other", json!({"version": 3})).await;
    assert!(why.starts_with("rejected: ports[0]: libvirt 9.") && why.contains("has no passt"), "{why}");
    assert_eq!(lab.virsh(&["list", "--all", "--name"]), "web");
}
