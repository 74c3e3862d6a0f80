//! The networks of machines, and what an apply waits for, on guests that ask for an address and serve a page.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};
use support::executor::{Lab, definition, until};
use support::talk;

fn guest(networks: &str, ready: &str) -> Value {
    definition(&format!(
        "kind: vm\nsource: {{kernel: kernel, initramfs: initrd, cmdline: console=ttyS0 quiet}}\nmemory: 192MiB\nnetworks: {networks}\nstop_grace_period: 2s\n\
         ready: {{{ready}}}\n"
    ))
}

#[tokio::test]
async fn the_guest_gets_the_address_that_is_reserved_for_it() {
    let lab = Lab::start().await;
    lab.boxes().await;
    let id = lab.machine_of("web", guest("[{nat: outside, address: 10.9.8.50}]", "console: address 10.9.8.50")).await;
    let seen = until("its address to be observed", async || lab.machine(id).await.filter(|seen| !seen.addresses.is_empty())).await;
    assert_eq!(seen.addresses, ["10.9.8.50"]);
    let reserved = |network: &str| lab.virsh(&["net-dumpxml", network]).lines().filter(|line| line.contains("<host ")).count();
    assert!(lab.virsh(&["net-dumpxml", "outside"]).contains("<forward mode='nat'"));

    // Another address on another network, which is of machines alone.
    lab.done("machine.version.create", "web", guest("[{isolated: inside, address: 10.9.7.60}]", "tcp: 80")).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 2})).await, "machine restarted");
    assert!(!lab.virsh(&["net-dumpxml", "inside"]).contains("<forward"));
    assert_eq!((reserved("outside"), reserved("inside")), (0, 1));

    // What its network does not have, it cannot get, and the machine stays as it is.
    lab.done("machine.version.create", "web", guest("[{isolated: inside, address: 10.9.6.60}]", "running: true")).await;
    let why = lab.refused("machine.apply", "web", json!({"version": 3})).await;
    assert!(why.contains("10.9.6.60 is no address for a guest of the network inside, which has 10.9.7.1/24"), "{why}");
    lab.done("machine.create", "rival", guest("[{isolated: inside, address: 10.9.7.60}]", "running: true")).await;
    let why = lab.refused("machine.apply", "rival", json!({"version": 1})).await;
    assert!(why.contains("keeps 10.9.7.60 for"), "{why}");
    assert_eq!(lab.virsh(&["domstate", "web"]), "running");

    // A reservation that a hand has removed is made again, and given back at the end.
    let line = lab.virsh(&["net-dumpxml", "inside"]).lines().find(|line| line.contains("<host ")).unwrap().trim().to_owned();
    lab.virsh(&["net-update", "inside", "delete", "ip-dhcp-host", &line, "--live", "--config"]);
    lab.done("machine.apply", "web", json!({"version": 2})).await;
    assert_eq!(reserved("inside"), 1);
    lab.done("machine.delete", "web", json!({"disks": true})).await;
    assert_eq!(reserved("inside"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_asks_nobody_for_its_address_is_found_by_the_neighbours_of_its_host() {
    let lab = Lab::start().await;
    lab.boxes().await;
    let own = guest("[{nat: outside}]", "address: true").to_string();
    let own = own.replace("quiet}", "quiet own=10.9.8.77}").replace("ready:", "ports: ['8080:80']\\nready:");
    // The network comes to be with the address of another machine on it.
    let other = guest("[{nat: outside, address: 10.9.8.50}]", "running: true");
    lab.machine_of("other", other).await;
    let id = lab.machine_of("web", serde_json::from_str(&own).unwrap()).await;
    let seen = until("its address to be observed", async || lab.machine(id).await.filter(|seen| !seen.addresses.is_empty())).await;
    assert_eq!(seen.addresses, ["10.9.8.77"]);
    assert!(!lab.virsh(&["net-dhcp-leases", "outside"]).contains("10.9.8.77"), "nobody leased it");
    let host = SocketAddr::from(([127, 0, 0, 1], 8080));
    let page = talk::page(&lab.libvirt.network().unwrap(), host, "/index.html");
    assert_eq!(page.as_deref(), Some("the page of the guest"), "a forward finds it there");
}

#[tokio::test]
async fn an_apply_waits_for_what_the_definition_calls_ready() {
    let lab = Lab::start().await;
    lab.boxes().await;
    lab.machine_of("web", guest("[{nat: outside}]", "running: true")).await;
    for (version, ready) in [(2, "address: true"), (3, "tcp: 80"), (4, "console: hello from the guest")] {
        lab.done("machine.stop", "web", json!({})).await;
        lab.done("machine.version.create", "web", guest("[{nat: outside}]", ready)).await;
        lab.done("machine.apply", "web", json!({"version": version})).await;
    }
    for (version, ready, words) in [
        (5, "agent: true, timeout: 3s", "its agent does not answer after 3 s"),
        (6, "tcp: 81, timeout: 3s", "port 81 does not answer after 3 s"),
        (7, "console: no such words, timeout: 3s", "its console did not say \"no such words\" after 3 s"),
    ] {
        lab.done("machine.stop", "web", json!({})).await;
        lab.done("machine.version.create", "web", guest("[{nat: outside}]", ready)).await;
        let began = Instant::now();
        let why = lab.refused("machine.apply", "web", json!({"version": version})).await;
        assert!(why.contains(words) && began.elapsed().as_secs() >= 3, "{why}");
    }
}

#[tokio::test]
async fn an_executor_that_dies_while_it_waits_goes_on_waiting() {
    let mut lab = Lab::start().await;
    lab.boxes().await;
    lab.done("machine.create", "web", guest("[{nat: outside}]", "tcp: 80")).await;
    let seq = lab.send("machine.apply", "web", json!({"version": 1})).await;
    until("the guest to be started", async || (lab.virsh(&["domstate", "web"]) == "running").then_some(())).await;
    lab.kill();
    lab.start_again();
    let ended = lab.ended(seq).await;
    let steps = lab.steps(seq).await;
    assert!(matches!(ended, orrery_contracts::Change::Done { .. }), "{ended:?}: {steps:#?}\n{}", lab.log());
    assert_eq!(steps.last().map(String::as_str), Some("machine.wait web"), "{steps:#?}");
}

#[tokio::test]
async fn what_a_killed_daemon_left_of_a_network_is_cleared_away() {
    let mut lab = Lab::start().await;
    lab.import("boots", orrery_test_libvirt::sector::disk(), json!({})).await;
    let boots = "kind: vm\nsource: {box: boots}\nmemory: 32MiB\nnetworks: [{nat: outside, address: 10.9.8.50}]\nstop_grace_period: 1s\n";
    lab.machine_of("web", definition(boots)).await;
    lab.done("machine.stop", "web", json!({})).await;
    let bridge =
        lab.virsh(&["net-info", "outside"]).lines().find_map(|line| line.strip_prefix("Bridge:").map(str::trim)).unwrap().to_owned();

    // Bridge, address and dnsmasq are there, and the daemon had not written down yet that the network runs.
    lab.libvirt.kill().unwrap();
    std::fs::remove_file(lab.libvirt.folder().join("run/libvirt/network/outside.xml")).unwrap();
    lab.libvirt.start_again().unwrap();
    let again = lab.virsh(&["net-start", "outside"]);
    assert!(!lab.virsh(&["net-list", "--name"]).contains("outside"), "libvirt clears it away by itself: {again}");

    lab.done("machine.start", "web", json!({})).await;
    assert!(lab.virsh(&["net-list", "--name"]).contains("outside"));
    assert!(lab.virsh(&["net-dumpxml", "outside"]).contains(&format!("name='{bridge}'")), "it keeps its bridge");
    assert_eq!(lab.virsh(&["domstate", "web"]), "running");
}
