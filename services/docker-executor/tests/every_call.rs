//! Every type of command, with its executor killed before and after each of its calls to the broker and to the engine,
//! each action on the engine made twice, and each refused once: the same end as the unharmed run. The whole executor runs,
//! on the broker and the engine in memory and in simulated time.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm, clippy::print_stderr)]

#[path = "support/wired.rs"]
mod wired;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use orrery_contracts::bundle::BundleLimits;
use orrery_contracts::{Change, Engine as Which, Secret, StackChange, StackEvent, Status, TransitionMessage, subjects};
use orrery_docker_executor::commands::DockerExecutor;
use orrery_docker_executor::engine::memory::MemoryEngine;
use orrery_docker_executor::files::DataDir;
use orrery_queue::Definitions;
use orrery_simulation::{Control, Trap, Weather, Wire, World};
use serde_json::{Value, json};
use tokio::time::sleep;
use wired::{Mischief, Wired};

const IMAGE: &str = "shop:1";

/// One installation with its host, and an executor that can be killed.
struct Stage {
    world: World,
    engine: Arc<MemoryEngine>,
    data: tempfile::TempDir,
    acts: Arc<AtomicU64>,
    published: u128,
}

/// What is left at the end.
#[derive(Debug, PartialEq, Eq)]
struct End {
    inventory: Vec<String>,
    heads: Vec<Value>,
    versions: usize,
    told: BTreeSet<String>,
}

impl Stage {
    fn new() -> Self {
        let world = World::new(1, false);
        world.weather(Weather { delay: 1, ..Weather::default() });
        let engine = Arc::new(MemoryEngine::with_images(&[IMAGE]));
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("sealing.key"), [7; 32]).unwrap();
        Self { world, engine, data, acts: Arc::default(), published: 0 }
    }

    fn start(&mut self, mischief: Mischief) -> (Arc<Wire>, tokio::task::AbortHandle) {
        let wire = self.world.wire(Control::None);
        let (engine, acts) = (Arc::clone(&self.engine), Arc::clone(&self.acts));
        let engine = Wired { engine, wire: Arc::clone(&wire), mischief, acts, drifted: Arc::default() };
        let definitions = Definitions::new(&wire.streams());
        let data = DataDir::in_step(self.data.path());
        let executor = DockerExecutor::new(definitions, engine, data, BundleLimits::default(), "local".to_owned());
        let task = self.world.start(&wire, Which::Docker, 0, executor).abort_handle();
        (wire, task)
    }

    fn publish(&mut self, body: &Value) -> u64 {
        self.published += 1;
        self.world.publish(self.published, body.to_string().into()).unwrap()
    }

    fn last(&self, seq: u64) -> Option<TransitionMessage> {
        self.world.last(subjects::EVENTS, &subjects::transition(seq)).map(|item| serde_json::from_slice(&item.body).unwrap())
    }

    /// Waits until a command has stopped, in one way or another.
    async fn stopped(&self, seq: u64) -> Change {
        for _ in 0..100_000 {
            let stopped = |last: &TransitionMessage| !matches!(last.change.status(), Status::Running | Status::Pending);
            if let Some(last) = self.last(seq).filter(stopped) {
                return last.change;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("command {seq} does not stop: {:?}", self.last(seq));
    }

    async fn done(&self, seq: u64) {
        let change = self.stopped(seq).await;
        assert!(matches!(change, Change::Done { .. }), "command {seq}: {change:?}");
    }

    fn end(&self) -> End {
        assert_eq!(self.world.broken(), None);
        let mut heads = std::collections::BTreeMap::new();
        for item in self.world.all(&format!("KV_{}", subjects::HEADS)) {
            if item.subject.contains(".stack.") {
                let mut head: Value = serde_json::from_slice(&item.body).unwrap();
                head["created_at"].take();
                for secret in head.get_mut("secrets").and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut()) {
                    secret["at"].take();
                }
                heads.insert(item.subject, head);
            }
        }
        let events = self.world.all(subjects::EVENTS).into_iter().filter(|item| item.subject.starts_with("orrery.events.stack."));
        let told = events.map(|item| serde_json::from_slice::<StackEvent>(&item.body).unwrap()).map(|event| match event.change {
            StackChange::SecretsChanged { secrets } => {
                format!("{:?}", Secret::all(&secrets).iter().map(|one| one.version).collect::<Vec<_>>())
            }
            change => format!("{change:?}"),
        });
        End {
            inventory: self.engine.inventory(),
            heads: heads.into_values().collect(),
            versions: self.world.all(subjects::VERSIONS).len(),
            told: told.collect(),
        }
    }
}

fn compose(mark: &str, extra: &str) -> Value {
    let text = format!(
        "services:\n  web:\n    image: {IMAGE}\n    environment: {{MARK: '{mark}'}}\n    ports: ['8080:80']\n    volumes: [files:/files]\n    depends_on:\n      db: {{condition: service_healthy}}\n      job: {{condition: service_completed_successfully}}\n  db:\n    image: {IMAGE}\n    environment: {{BEHAVE: healthy}}\n  job:\n    image: {IMAGE}\n    environment: {{BEHAVE: 'ends:0', MARK: '{mark}'}}\n{extra}volumes:\n  files:\n"
    );
    json!({ "files": { "compose.yaml": text } })
}

fn first() -> Value {
    compose("1", &format!("  old:\n    image: {IMAGE}\n"))
}

fn second() -> Value {
    compose("2", &format!("  new:\n    image: {IMAGE}\n    networks: [inner]\nnetworks:\n  inner:\n"))
}

fn command(kind: &str, payload: Value) -> Value {
    json!({ "type": kind, "target": "shop", "payload": payload })
}

/// A version that mounts a secret and has it in a variable.
fn with_secret() -> Value {
    let text = format!(
        "services:\n  web:\n    image: {IMAGE}\n    environment: {{TOKEN: 'secret://token'}}\n    secrets: [token]\nsecrets:\n  token: {{external: true}}\n"
    );
    json!({ "files": { "compose.yaml": text } })
}

/// "from elsewhere", sealed to the key whose secret half is 32 times 7.
const SEALED: &str = "kGY4dGoAxnNvGSTITxPGqJt3YcsAONcQvSEc6Zw8WjcjKamx/JY9XXxsknR3wvmGyYquG6yTs9o2/Y5tWmU=";

/// What comes before, and the command itself.
fn case(name: &str) -> (Vec<Value>, Value) {
    let create = command("stack.create", json!({ "bundle": first() }));
    let version = command("stack.version.create", json!({ "bundle": second() }));
    let apply = |version: u32| command("stack.apply", json!({ "version": version }));
    let plain = |kind: &str| command(kind, json!({}));
    let secret = command("stack.secret.put", json!({ "name": "token", "sealed": SEALED }));
    let version_with_secret = command("stack.version.create", json!({ "bundle": with_secret() }));
    match name {
        "create" => (vec![], create),
        "version" => (vec![create], version),
        "apply the first" => (vec![create], apply(1)),
        "apply a change" => (vec![create, apply(1), version], apply(2)),
        "rollback" => (vec![create, apply(1), version, apply(2)], command("stack.rollback", json!({ "version": 1 }))),
        "deploy" => (vec![create, apply(1)], command("stack.deploy", json!({ "bundle": second() }))),
        "start" => (vec![create, apply(1), plain("stack.stop")], plain("stack.start")),
        "stop" => (vec![create, apply(1)], plain("stack.stop")),
        "restart" => (vec![create, apply(1)], plain("stack.restart")),
        "delete" => (vec![create, apply(1)], plain("stack.delete")),
        "secret" => (vec![create], secret),
        "secret removed" => (vec![create, secret], command("stack.secret.remove", json!({ "name": "token" }))),
        "apply with another value" => (vec![create, version_with_secret, secret.clone(), apply(2), secret], apply(2)),
        "delete with volumes" => (vec![create, apply(1)], command("stack.delete", json!({ "volumes": true }))),
        other => panic!("there is no case {other}"),
    }
}

/// What a story came to, and how many calls and actions its command took.
struct Told {
    end: End,
    calls: u64,
    acts: u64,
    fell: bool,
}

fn tell(name: &str, mischief: Mischief) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut stage = Stage::new();
        let (before, command) = case(name);
        let (wire, first) = stage.start(mischief_of_acts(Mischief::None));
        for command in before {
            let seq = stage.publish(&command);
            stage.done(seq).await;
        }
        // The same process goes on; only what befalls it is new. An executor between two commands may be replaced.
        first.abort();
        sleep(Duration::from_millis(50)).await;
        stage.acts.store(0, Ordering::Relaxed);
        drop(wire);
        let (wire, process) = stage.start(mischief_of_acts(mischief));
        sleep(Duration::from_secs(5)).await;
        let (calls, ran) = (wire.calls(), stage.engine.up());
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
        if let (Mischief::Refused(_), Change::Failed { failure }) = (mischief, stage.stopped(seq).await) {
            if !name.starts_with("st") && !name.starts_with("re") && !name.starts_with("se") && !name.starts_with("delete") {
                let runs: Vec<String> = stage.engine.up().into_keys().collect();
                assert_eq!(runs, ran.into_keys().collect::<Vec<_>>(), "{name}, {mischief:?}: {failure:?}");
            }
            stage.world.retry(seq).await;
        }
        stage.done(seq).await;
        let calls = wire.calls() - calls;
        // Whatever comes a moment later belongs to it too.
        sleep(Duration::from_secs(3)).await;
        Told { end: stage.end(), calls, acts: stage.acts.load(Ordering::Relaxed), fell }
    })
}

fn mischief_of_acts(mischief: Mischief) -> Mischief {
    match mischief {
        Mischief::Dies(_) => Mischief::None,
        other => other,
    }
}

const CASES: [&str; 14] = [
    "create",
    "version",
    "apply the first",
    "apply a change",
    "rollback",
    "deploy",
    "start",
    "stop",
    "restart",
    "delete",
    "delete with volumes",
    "secret",
    "secret removed",
    "apply with another value",
];

#[test]
fn killed_before_and_after_every_call_each_command_ends_as_unharmed() {
    for name in CASES {
        let unharmed = tell(name, Mischief::None);
        let mut fell = 0;
        for at in 1..=unharmed.calls {
            for trap in [Trap::Before(at), Trap::After(at)] {
                let told = tell(name, Mischief::Dies(trap));
                assert_eq!(told.end, unharmed.end, "{name}, killed {trap:?} of {}", unharmed.calls);
                fell += u64::from(told.fell);
            }
        }
        eprintln!("{name}: {} calls, {} actions, {fell} kills", unharmed.calls, unharmed.acts);
        assert!(fell + 4 >= 2 * unharmed.calls, "{name}: {fell} kills at {} calls", unharmed.calls);
    }
}

#[test]
fn every_action_may_come_twice() {
    for name in CASES {
        let unharmed = tell(name, Mischief::None);
        for at in 0..unharmed.acts {
            assert_eq!(tell(name, Mischief::Twice(at)).end, unharmed.end, "{name}, action {at} twice");
        }
    }
}

#[test]
fn every_action_may_fail_once_and_a_retry_ends_as_unharmed() {
    for name in CASES {
        let unharmed = tell(name, Mischief::None);
        for at in 0..unharmed.acts {
            assert_eq!(tell(name, Mischief::Refused(at)).end, unharmed.end, "{name}, action {at} refused");
        }
    }
}
