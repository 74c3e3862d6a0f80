//! What an apply has to do, from what is wanted and what there is: no libvirt anywhere.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use orrery_contracts::command::BoxFormat;
use orrery_contracts::{BoxHead, Digest, MachineId, Time};
use orrery_libvirt_executor::definition::{Desired, Host, Identity, Pool, Record, compile};
use orrery_libvirt_executor::engine::{Accelerator, Observed, Other, Seen, SeenNetwork, SeenVolume, State};
use orrery_libvirt_executor::plan::{Circumstances, DomainAction, Todo, plan};
use orrery_machine::{Files, Machine, load};
use uuid::Uuid;

const BASE: &str = "kind: vm\nsource: {box: debian}\nmemory: 1GiB\ndisks: [{name: root, size: 10GiB}]\nnetworks: [{nat: default}]\n";

fn machine(yaml: &str) -> Machine {
    let files: Files = [("machine.yaml", yaml)].into_iter().collect();
    let outcome = load(&files);
    outcome.machine.unwrap_or_else(|| panic!("{:?}", outcome.problems))
}

fn boxes() -> BTreeMap<String, BoxHead> {
    let head = BoxHead {
        name: "debian".parse().unwrap(),
        owner: "ada".parse().unwrap(),
        host: "local".into(),
        format: BoxFormat::Qcow2,
        volume: "box.debian.qcow2".into(),
        sha256: Digest::of(b""),
        size: 300 << 20,
        capacity: 2 << 30,
        description: String::new(),
        origin: "https://host/debian.qcow2".into(),
        imported_at: Time::parse("2026-01-01T00:00:00Z").unwrap(),
        deleted: false,
        command: 1,
    };
    BTreeMap::from([("debian".to_owned(), head)])
}

fn try_desired(yaml: &str) -> Result<Desired, Vec<String>> {
    let identity = Identity {
        installation: Uuid::from_u128(1),
        machine: MachineId::new(Uuid::from_u128(2)),
        owner: "ada".into(),
        domain: "web".into(),
        version: 1,
        command: 7,
    };
    let host = Host {
        pool: Pool { path: "/pool".into() },
        accelerator: Accelerator::Tcg,
        passt: false,
        libvirt: "9.0.0".into(),
        volumes: BTreeMap::new(),
        subnets: BTreeMap::new(),
    };
    let compiled = compile(&machine(yaml), &identity, &host, &boxes());
    compiled.map_err(|faults| faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect())
}

fn desired(yaml: &str) -> Desired {
    try_desired(yaml).unwrap()
}

/// The world in which this was applied, and runs.
fn applied(desired: &Desired) -> Observed {
    let record = Record { taken: Some("t".into()), ..desired.record() };
    let seen = Seen {
        domain: desired.domain(),
        name: "web".into(),
        state: State::Running,
        reason: "booted",
        persistent: true,
        autostart: desired.machine.autostart,
        saved: false,
        metadata: record.json(),
        hash: Some("t".into()),
        vcpus: 1,
        memory: 1 << 30,
        addresses: vec![],
        unaddressed: false,
        snapshots: vec![],
    };
    let network = |name: &String| SeenNetwork {
        name: name.clone(),
        active: true,
        autostart: true,
        bridge: None,
        metadata: None,
        hash: String::new(),
        subnets: vec![],
        reservations: vec![],
    };
    let volume = |name: &str, capacity: u64| SeenVolume {
        name: name.to_owned(),
        path: format!("/pool/{name}"),
        capacity,
        allocation: 0,
        format: "qcow2".into(),
        backing: None,
        uploaded: true,
    };
    let seed = desired.seed.iter().map(|seed| volume(&seed.volume, 1 << 20));
    Observed {
        domains: vec![seen],
        others: vec![],
        volumes: desired.disks.iter().map(|disk| volume(&disk.name, disk.capacity)).chain(seed).collect(),
        networks: desired.networks.keys().map(network).collect(),
    }
}

fn planned(new: &str, observed: &Observed, old: Option<&str>) -> Todo {
    let old = old.map(machine);
    plan(&desired(new), observed, &Circumstances { old: old.as_ref(), ..Circumstances::default() })
}

#[test]
fn nothing_is_there_and_everything_is_made() {
    let todo = planned(BASE, &Observed::default(), None);
    assert!(todo.pool && todo.domain == DomainAction::Create && todo.volumes.len() == 1 && todo.networks == ["default"]);
    let shown = todo.shown(&desired(BASE));
    let actions: Vec<&str> = shown.actions.iter().map(|action| action.action.as_str()).collect();
    assert_eq!(actions, ["pool.ensure", "network.ensure", "volume.create", "machine.create"]);
}

#[test]
fn what_was_applied_needs_nothing() {
    for yaml in [BASE, &format!("{BASE}cloud_init: {{hostname: web}}\nautostart: true\n")] {
        let todo = planned(yaml, &applied(&desired(yaml)), Some(yaml));
        assert!(todo.is_empty(), "{todo:#?}");
        assert!(todo.shown(&desired(yaml)).empty);
    }
}

#[test]
fn each_difference_costs_what_its_key_costs() {
    for (more, action, because) in [
        ("description: other\n", DomainAction::Redefine, "description differ"),
        ("shares: {cpu: 512}\n", DomainAction::Redefine, "shares.cpu differ"),
        ("cloud_init: {hostname: web}\n", DomainAction::Restart, "cloud_init take effect when it boots again"),
    ] {
        let todo = planned(&format!("{BASE}{more}"), &applied(&desired(BASE)), Some(BASE));
        assert_eq!((todo.domain, todo.reason.as_str()), (action, because), "{more}");
        assert!(todo.refusals.is_empty(), "{more}");
    }
    let more = BASE.replace("1GiB", "2GiB");
    let todo = planned(&more, &applied(&desired(BASE)), Some(BASE));
    assert_eq!((todo.domain, todo.reason.as_str()), (DomainAction::Restart, "memory take effect when it boots again"));
    let larger = BASE.replace("10GiB", "20GiB");
    let todo = planned(&larger, &applied(&desired(BASE)), Some(BASE));
    assert_eq!((todo.domain, todo.grow.len()), (DomainAction::Restart, 1), "{todo:#?}");
}

#[test]
fn what_stands_still_or_is_off_is_brought_back() {
    for (state, action) in [(State::Off, DomainAction::Start), (State::Crashed, DomainAction::Start), (State::Paused, DomainAction::Resume)]
    {
        let mut observed = applied(&desired(BASE));
        observed.domains.iter_mut().for_each(|seen| seen.state = state);
        assert_eq!(planned(BASE, &observed, Some(BASE)).domain, action, "{state:?}");
    }
}

#[test]
fn a_hand_from_outside_is_put_right() {
    let mut observed = applied(&desired(BASE));
    observed.domains.iter_mut().for_each(|seen| seen.hash = Some("another".into()));
    let todo = planned(BASE, &observed, Some(BASE));
    assert_eq!((todo.domain, todo.reason.as_str()), (DomainAction::Restart, "its definition was changed outside of Orrery"));
}

#[test]
fn a_disk_is_never_lost_without_a_word_and_nobody_elses_domain_is_taken() {
    let kernel = "kind: vm\nsource: {kernel: debian}\nmemory: 1GiB\n";
    assert_eq!(try_desired(kernel).unwrap_err(), ["source.kernel: the box debian is of format qcow2, and file is needed here"]);
    let smaller = BASE.replace("10GiB", "1GiB");
    assert!(try_desired(&smaller).unwrap_err()[0].contains("cannot be smaller"));

    let other = BASE.replace("debian", "debian-old");
    let todo = plan(&desired(BASE), &applied(&desired(BASE)), &Circumstances { old: Some(&machine(&other)), ..Circumstances::default() });
    assert_eq!(todo.refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), ["new_disk"]);

    let mut observed = Observed::default();
    observed.others.push(Other { domain: desired(BASE).domain(), name: "web".into(), state: State::Off, ours: false });
    assert_eq!(planned(BASE, &observed, None).refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), ["name_taken"]);
}
