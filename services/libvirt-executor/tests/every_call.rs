//! Every type of command of machines and boxes, with its executor killed before and after each of its calls to the broker and to
//! libvirt, each act on libvirt made twice, and each refused once: the same end as the unharmed run. The whole executor runs, on the
//! broker and the engine in memory and in simulated time; what it writes to its own folders is on a disk.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm, clippy::print_stderr)]

#[path = "support/stage.rs"]
mod stage;
#[path = "support/wired.rs"]
mod wired;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use orrery_contracts::{Change, CommandType};
use orrery_simulation::Trap;
use serde_json::{Value, json};
use stage::{End, Stage, difference};
use tokio::time::sleep;
use wired::Mischief;

fn command(kind: &str, payload: Value) -> Value {
    json!({ "type": kind, "target": "web", "payload": payload })
}

fn bundle(yaml: &str) -> Value {
    json!({ "bundle": { "files": { "machine.yaml": yaml } } })
}

/// A machine with everything around it that there is: a network of its own, a reserved address, a port, two disks, a seed, a console.
fn machine(stage: &Stage, more: &str) -> Value {
    bundle(&format!(
        "kind: vm\nsource: {{box: boots}}\nnetworks: [{{nat: default, address: 192.168.122.60}}]\nports: [{}]\n\
         disks: [{{name: root}}, {{name: data, size: 1MiB}}]\nready: {{console: hello}}\n{more}",
        stage.port
    ))
}

fn first(stage: &Stage) -> Value {
    machine(stage, "memory: 64MiB\ncloud_init: {hostname: one}\n")
}

/// What takes another boot, and leaves a seed and an address behind.
fn second(stage: &Stage) -> Value {
    let yaml = machine(stage, "memory: 128MiB\nautostart: true\ncloud_init: {hostname: two}\n").to_string();
    serde_json::from_str(&yaml.replace("1MiB", "2MiB").replace("122.60", "122.61")).unwrap()
}

/// What the guest does not notice.
fn livelier(stage: &Stage) -> Value {
    machine(stage, "memory: 64MiB\nshares: {cpu: 2048}\nautostart: true\ndescription: two\ncloud_init: {hostname: one}\n")
}

fn container(memory: u32) -> Value {
    let yaml = format!(
        "kind: container\nsource: {{archive: tree}}\nmemory: {memory}MiB\nidmap: false\nnetworks: [{{isolated: inner, address: 10.9.8.7}}]\n"
    );
    bundle(&yaml)
}

/// What comes before, and the command itself.
fn case(name: &str, stage: &Stage) -> (Vec<Value>, Value) {
    let import = |name: &str, sum: &str| json!({ "type": "box.import", "target": name, "payload": { "upload": sum } });
    let (boots, tree) = (import("boots", &stage.disk), import("tree", &stage.archive));
    let apply = |version: u32| command("machine.apply", json!({ "version": version }));
    let plain = |kind: &str| command(kind, json!({}));
    let one = |kind: &str| command(kind, json!({ "name": "one" }));
    let make = command("machine.create", first(stage));
    let version = command("machine.version.create", second(stage));
    let runs = vec![boots.clone(), make.clone(), apply(1)];
    let with = |more: Vec<Value>| runs.iter().cloned().chain(more).collect::<Vec<_>>();
    let holds = vec![tree.clone(), command("machine.create", container(64)), apply(1)];
    match name {
        "box.import" => (vec![], boots),
        "box.import of an archive" => (vec![], tree),
        "box.remove" => (vec![boots], json!({ "type": "box.remove", "target": "boots", "payload": {} })),
        "machine.create" => (vec![boots], make),
        "machine.version.create" => (vec![boots, make], version),
        "machine.apply" => (vec![boots, make], apply(1)),
        "machine.apply of another boot" => (with(vec![version]), apply(2)),
        "machine.apply of what is live" => (with(vec![command("machine.version.create", livelier(stage))]), apply(2)),
        "machine.rollback" => (with(vec![version, apply(2)]), command("machine.rollback", json!({ "version": 1 }))),
        "machine.deploy" => (runs, command("machine.deploy", second(stage))),
        "machine.start" => (with(vec![plain("machine.stop")]), plain("machine.start")),
        "machine.shutdown" => (runs, plain("machine.shutdown")),
        "machine.stop" => (runs, plain("machine.stop")),
        "machine.reboot" => (runs, plain("machine.reboot")),
        "machine.suspend" => (runs, plain("machine.suspend")),
        "machine.resume" => (with(vec![plain("machine.suspend")]), plain("machine.resume")),
        "machine.delete" => (runs, plain("machine.delete")),
        "machine.delete with disks" => (runs, command("machine.delete", json!({ "disks": true }))),
        "machine.snapshot.create" => (runs, one("machine.snapshot.create")),
        "machine.snapshot.revert" => (with(vec![one("machine.snapshot.create"), version, apply(2)]), one("machine.snapshot.revert")),
        "machine.snapshot.delete" => (with(vec![one("machine.snapshot.create")]), one("machine.snapshot.delete")),
        "machine.apply of a container" => (vec![tree, command("machine.create", container(64))], apply(1)),
        "machine.deploy of a container" => (holds, command("machine.deploy", container(128))),
        "machine.delete with disks of a container" => (holds, command("machine.delete", json!({ "disks": true }))),
        other => panic!("there is no case {other}"),
    }
}

const CASES: [&str; 24] = [
    "box.import",
    "box.import of an archive",
    "box.remove",
    "machine.create",
    "machine.version.create",
    "machine.apply",
    "machine.apply of another boot",
    "machine.apply of what is live",
    "machine.rollback",
    "machine.deploy",
    "machine.start",
    "machine.shutdown",
    "machine.stop",
    "machine.reboot",
    "machine.suspend",
    "machine.resume",
    "machine.delete",
    "machine.delete with disks",
    "machine.snapshot.create",
    "machine.snapshot.revert",
    "machine.snapshot.delete",
    "machine.apply of a container",
    "machine.deploy of a container",
    "machine.delete with disks of a container",
];

/// Cases whose machine has a port of the host: who holds one is looked for in all of the host's processes, which takes its time.
const PUBLISH: [&str; 4] = ["machine.apply", "machine.deploy", "machine.start", "machine.delete"];

/// Whether a command that has failed leaves all domains as they were.
fn leaves_as_they_were(name: &str) -> bool {
    !["start", "stop", "shutdown", "suspend", "resume", "delete"].iter().any(|word| name.contains(word))
}

/// What a story came to, and how many calls and acts its command took.
struct Told {
    end: End,
    calls: u64,
    acts: u64,
    fell: bool,
    failed: bool,
    /// The acts that were not found done.
    done: Vec<String>,
}

fn tell(name: &str, folder: &Path, mischief: Mischief) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut stage = Stage::new(folder);
        stage.port = if PUBLISH.contains(&name) { format!("'{}:8080:80'", stage.host_ip()) } else { String::new() };
        let (before, command) = case(name, &stage);
        let (_, first) = stage.start(Mischief::None);
        for command in before {
            let seq = stage.publish(&command);
            stage.done(seq).await;
        }
        first.abort();
        sleep(Duration::from_millis(50)).await;
        stage.acts.store(0, Ordering::Relaxed);
        let (wire, process) = stage.start(if matches!(mischief, Mischief::Dies(_)) { Mischief::None } else { mischief });
        sleep(Duration::from_secs(5)).await;
        let (calls, ran, made) = (wire.calls(), stage.domains(), stage.engine.acts().len());
        if let Mischief::Dies(trap) = mischief {
            wire.trap(match trap {
                Trap::Before(at) => Trap::Before(calls + at),
                Trap::After(at) => Trap::After(calls + at),
            });
        }
        let seq = stage.publish(&command);
        let fell = tokio::select! {
            biased;
            () = wire.fallen() => true,
            _ = stage.stopped(seq) => false,
        };
        if fell {
            process.abort();
            sleep(Duration::from_millis(50)).await;
            stage.start(Mischief::None);
        }
        let mut failed = false;
        if let (Mischief::Refused(_), Change::Failed { failure }) = (mischief, stage.stopped(seq).await) {
            if leaves_as_they_were(name) {
                assert_eq!(stage.domains(), ran, "{name}, {mischief:?}: {failure:?}");
            }
            failed = true;
            stage.world.retry(seq).await;
        }
        stage.done(seq).await;
        let calls = wire.calls() - calls;
        // Whatever comes a moment later belongs to it too.
        sleep(Duration::from_secs(3)).await;
        let done = stage.engine.acts().split_off(made);
        Told { end: stage.end(), calls, acts: stage.acts.load(Ordering::Relaxed), fell, failed, done }
    })
}

fn same(told: &Told, wanted: &End, what: &str) {
    let difference = difference(&told.end, wanted);
    assert!(difference.is_empty(), "{what}: {difference:#?}\n{:#?}", told.done);
}

/// Acts that leave nothing by which somebody could see that they were done.
const CANNOT_BE_SEEN: [&str; 2] = ["machine.reboot", "snapshot.revert"];

/// Some of the cases, so that they run side by side.
fn killed_everywhere(cases: &[&str]) {
    let folder = stage::folder();
    for name in cases {
        let unharmed = tell(name, folder.path(), Mischief::None);
        let (mut fell, mut twice) = (0, 0);
        for at in 1..=unharmed.calls {
            for trap in [Trap::Before(at), Trap::After(at)] {
                let told = tell(name, folder.path(), Mischief::Dies(trap));
                same(&told, &unharmed.end, &format!("{name}, killed {trap:?} of {}", unharmed.calls));
                fell += u64::from(told.fell);
                twice += u64::from(told.done.iter().filter(|act| CANNOT_BE_SEEN.iter().any(|word| act.starts_with(word))).count() > 1);
            }
        }
        eprintln!("{name}: {} calls, {} acts, {fell} kills", unharmed.calls, unharmed.acts);
        assert!(twice <= 2, "{name} was done twice for {twice} kills, and is when nobody could write that it was done");
        assert!(fell + 4 >= 2 * unharmed.calls, "{name}: {fell} kills at {} calls", unharmed.calls);
    }
}

#[test]
fn every_type_of_command_is_a_case() {
    let has = |kind: &str| CASES.iter().any(|case| case.split(' ').next() == Some(kind));
    let types = CommandType::ALL.iter().map(|kind| kind.as_str()).filter(|kind| !kind.starts_with("stack."));
    let missing: Vec<&str> = types.filter(|kind| !has(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn killed_before_and_after_every_call_the_first_commands_end_as_unharmed() {
    killed_everywhere(&CASES[..9]);
}

#[test]
fn killed_before_and_after_every_call_the_other_commands_end_as_unharmed() {
    killed_everywhere(&CASES[9..]);
}

#[test]
fn every_act_may_come_twice() {
    let folder = stage::folder();
    for name in CASES {
        let unharmed = tell(name, folder.path(), Mischief::None);
        for at in 0..unharmed.acts {
            same(&tell(name, folder.path(), Mischief::Twice(at)), &unharmed.end, &format!("{name}, act {at} twice"));
        }
    }
}

#[test]
fn every_act_may_fail_once_and_a_retry_ends_as_unharmed() {
    let folder = stage::folder();
    for name in CASES {
        let unharmed = tell(name, folder.path(), Mischief::None);
        for at in 0..unharmed.acts {
            let (mut told, mut wanted) = (tell(name, folder.path(), Mischief::Refused(at)), unharmed.end.clone());
            if !told.failed {
                // The machine is as it should be, and what it does not need any more stays till the next apply.
                let stays = |line: &String| line.contains(".seed-") || line.starts_with("network");
                told.end.retain(|line| !stays(line));
                wanted.retain(|line| !stays(line));
            }
            same(&told, &wanted, &format!("{name}, act {at} refused"));
        }
    }
}
