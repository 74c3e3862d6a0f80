//! Apply, rollback and delete on the real engine and the real broker, with the executor's process killed at each of its points:
//! before and after each message that it stores and each call that changes something on the engine. Whatever the point, what is
//! there afterwards is what is there after the unharmed run.
//!
//! The points are counted in the unharmed run, so no list of them goes stale. A bounded sample by default; `ORRERY_SOAK_POINTS`
//! says how many of each command, or `all`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm, clippy::print_stdout)]

#[path = "support/engine.rs"]
mod real;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use orrery_contracts::{Change, PolicyEntry, Role, StackHead, StackId, TransitionMessage, subjects};
use orrery_docker_executor::definition::identity as labels;
use orrery_nats::testing::Broker;
use orrery_nats::users::User;
use orrery_tests::history::{History, Watch};
use orrery_tests::service::Process;
use orrery_tests::{Engine, Service};
use serde_json::{Value, json};
use uuid::Uuid;

const WITHIN: Duration = Duration::from_secs(120);

/// A broker, the machine's engine, and one executor that dies where it is told to.
struct Stage {
    broker: Broker,
    js: jetstream::Context,
    engine: Engine,
    watch: Watch,
    executor: Process,
    harm: PathBuf,
    name: String,
}

/// What is there after a command.
#[derive(Debug, PartialEq, Eq)]
struct End {
    end: &'static str,
    /// Name, hash of the configuration, whether it runs.
    containers: Vec<(String, String, bool)>,
    networks: Vec<String>,
    volumes: Vec<String>,
    /// Latest and current version, what is wanted, whether it is deleted.
    head: Option<(u32, Option<u32>, String, bool)>,
}

/// What became of a command: its end, and the point at which its executor died.
struct Told {
    end: End,
    died: Option<String>,
    points: Vec<String>,
}

impl Stage {
    async fn start(name: String) -> Self {
        real::engine().await;
        let broker = Broker::provisioned().await.expect("a broker of one's own");
        let js = jetstream::new(broker.connect(User::Api).await.unwrap());
        let engine = Engine::connect().await.unwrap();
        let watch = Watch::begin(&engine, &jetstream::new(broker.connect(User::Projector).await.unwrap())).await.unwrap();
        let harm = broker.data().join("harm");
        let executor = Process::new(Service::DockerExecutor, broker.data(), environment(&broker)).harmed(&harm, &[]).unwrap();
        let stage = Self { broker, js, engine, watch, executor, harm, name };
        for key in ["user.ada", "publisher.api"] {
            let body = serde_json::to_vec(&PolicyEntry { role: Role::Admin, quota: Default::default() }).unwrap();
            stage.js.publish(format!("$KV.POLICY.{key}"), body.into()).await.unwrap().await.unwrap();
        }
        stage
    }

    /// A command, whose executor dies at this point of it and is started again.
    async fn run(&mut self, kind: &str, payload: Value, dies_at: Option<String>) -> Told {
        for file in ["trap", "points", "died", "over"] {
            let _ = std::fs::remove_file(self.harm.join(file));
        }
        if let Some(point) = &dies_at {
            std::fs::write(self.harm.join("trap"), point).unwrap();
        }
        let body = json!({"type": kind, "target": self.name, "payload": payload, "actor": "ada"}).to_string();
        let subject = format!("orrery.commands.api.{}", Uuid::now_v7());
        let seq = self.js.publish(subject, body.into()).await.unwrap().await.unwrap().sequence;
        let change = self.ended(seq).await;
        let end = match change {
            Change::Done { .. } => "DONE",
            Change::Failed { failure } => panic!("{kind}, killed at {dies_at:?}, fails: {failure:?}\n{}", self.executor.tail(30)),
            other => panic!("{kind}, killed at {dies_at:?}: {other:?}"),
        };
        let died = std::fs::read_to_string(self.harm.join("died")).ok().map(|text| text.trim().to_owned());
        let points = std::fs::read_to_string(self.harm.join("points")).unwrap_or_default().lines().map(str::to_owned).collect();
        Told { end: self.seen(end).await, died, points }
    }

    /// Waits until a command has ended and its executor has passed its last point, or died there.
    async fn ended(&mut self, seq: u64) -> Change {
        let until = Instant::now() + WITHIN;
        loop {
            let last: Option<TransitionMessage> = self.last(subjects::EVENTS, &subjects::transition(seq)).await;
            let change = last.map(|last| last.change).filter(|change| !matches!(change, Change::Running { .. } | Change::Pending {}));
            let over = std::fs::read_to_string(self.harm.join("over")).is_ok_and(|text| text.lines().any(|line| line == seq.to_string()));
            if let Some(change) = change.filter(|_| over || self.harm.join("died").exists()) {
                return change;
            }
            self.executor.ended().unwrap();
            if self.executor.pid().is_none() {
                self.executor.start().unwrap();
            }
            assert!(Instant::now() < until, "command {seq} does not end: {}", self.executor.tail(30));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn last<T: serde::de::DeserializeOwned>(&self, stream: &str, subject: &str) -> Option<T> {
        let stream = self.js.get_stream_no_info(stream).await.ok()?;
        serde_json::from_slice(&stream.get_last_raw_message_by_subject(subject).await.ok()?.payload).ok()
    }

    /// What is there now.
    async fn seen(&self, end: &'static str) -> End {
        let hash = |seen: &orrery_tests::Seen| seen.labels.get(labels::HASH).cloned().unwrap_or_default();
        let containers = self.engine.of_project(&self.name).await.unwrap();
        let (mut networks, mut volumes) =
            (self.engine.networks_of(&self.name).await.unwrap(), self.engine.volumes_of(&self.name).await.unwrap());
        networks.sort();
        volumes.sort();
        End {
            end,
            containers: containers.iter().map(|seen| (seen.name.clone(), hash(seen), seen.state == "running")).collect(),
            networks,
            volumes,
            head: self.head().await,
        }
    }

    /// The head of the stack that was made last.
    async fn head(&self) -> Option<(u32, Option<u32>, String, bool)> {
        let installation: orrery_contracts::Installation = self.last("KV_HEADS", "$KV.HEADS.installation").await.unwrap();
        let mut made = self.js.get_stream(subjects::COMMANDS).await.unwrap().info().await.unwrap().state.last_sequence;
        while made > 0 {
            let id = StackId::derive(installation.id, made);
            let head: Option<StackHead> = self.last("KV_HEADS", &format!("$KV.HEADS.stack.{id}")).await;
            if let Some(head) = head {
                return Some((head.latest, head.current, format!("{:?}", head.desired), head.deleted));
            }
            made -= 1;
        }
        None
    }

    /// One life of a stack, in which each named command dies at its point.
    async fn story(&mut self, points: &BTreeMap<&'static str, String>) -> BTreeMap<&'static str, Told> {
        let mut told = BTreeMap::new();
        let life = [
            ("stack.create", "create", json!({"bundle": bundle(FIRST)})),
            ("stack.apply", "apply the first", json!({"version": 1})),
            ("stack.version.create", "version", json!({"bundle": bundle(SECOND)})),
            ("stack.apply", "apply a change", json!({"version": 2})),
            ("stack.rollback", "rollback", json!({"version": 1})),
            ("stack.delete", "delete", json!({"volumes": true})),
        ];
        for (kind, name, payload) in life {
            told.insert(name, self.run(kind, payload, points.get(name).cloned()).await);
        }
        told
    }
}

fn environment(broker: &Broker) -> Vec<(String, String)> {
    let password = broker.layout().password(User::DockerExecutor).display().to_string();
    let data = broker.data().display().to_string();
    let mut environment = vec![
        ("ORRERY_LOCK_DIR".to_owned(), format!("{data}/lock")),
        ("ORRERY_NATS_URL".to_owned(), broker.url()),
        ("ORRERY_NATS_PASSWORD_FILE".to_owned(), password),
        ("ORRERY_DATA_DIR".to_owned(), data),
    ];
    environment.extend(std::env::var("DOCKER_HOST").map(|host| ("DOCKER_HOST".to_owned(), host)));
    environment
}

const FIRST: &str = "services:
  web: {image: 'orrery/busybox:test', command: [sleep, '1000'], stop_signal: SIGKILL, volumes: ['files:/files'], depends_on: {db: {condition: service_healthy}}}
  db: {image: 'orrery/busybox:test', command: [sleep, '1000'], stop_signal: SIGKILL, healthcheck: {test: [CMD, 'true'], interval: 200ms}}
  old: {image: 'orrery/busybox:test', command: [sleep, '1000'], stop_signal: SIGKILL}
volumes: {files: {}}
";

/// `web` is another one, `old` goes, `new` comes with a second network.
const SECOND: &str = "services:
  web: {image: 'orrery/busybox:test', command: [sleep, '2000'], stop_signal: SIGKILL, volumes: ['files:/files'], depends_on: {db: {condition: service_healthy}}}
  db: {image: 'orrery/busybox:test', command: [sleep, '1000'], stop_signal: SIGKILL, healthcheck: {test: [CMD, 'true'], interval: 200ms}}
  new: {image: 'orrery/busybox:test', command: [sleep, '1000'], stop_signal: SIGKILL, networks: [default, inner]}
volumes: {files: {}}
networks: {inner: {}}
";

fn bundle(text: &str) -> Value {
    json!({"files": {"compose.yaml": text}})
}

/// The points that are tried: all, or so many, one drawn from each equal part of them.
fn tried(count: u64, wanted: Option<u64>, draw: &mut u64) -> Vec<u64> {
    let Some(wanted) = wanted.filter(|wanted| *wanted < count) else { return (1..=count).collect() };
    let part = |n: u64| n * count / wanted;
    (0..wanted)
        .map(|n| {
            *draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1 + part(n) + (*draw >> 33) % (part(n + 1) - part(n)).max(1)
        })
        .collect()
}

#[tokio::test]
async fn killed_at_any_point_a_command_ends_as_unharmed() {
    let wanted = std::env::var("ORRERY_SOAK_POINTS").unwrap_or_else(|_| "4".to_owned()).parse().ok();
    let mut draw: u64 = std::env::var("ORRERY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let name = real::unique("points");
    let _project = real::Project(name.clone());
    let mut stage = Stage::start(name).await;
    let unharmed = stage.story(&BTreeMap::new()).await;
    let mut plans: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for name in ["apply the first", "apply a change", "rollback", "delete"] {
        let count = unharmed[name].points.len() as u64;
        assert!(count > 20, "{name} has {count} points: {:?}", unharmed[name].points);
        plans.insert(name, tried(count, wanted, &mut draw));
    }
    let stories = plans.values().map(Vec::len).max().unwrap();
    let mut died: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for story in 0..stories {
        let points = plans.iter().filter_map(|(name, points)| Some((*name, points.get(story)?.to_string()))).collect();
        for (name, told) in stage.story(&points).await {
            assert_eq!(told.end, unharmed[name].end, "{name}, killed at {:?}: {:?}", points.get(name), told.died);
            died.entry(name).or_default().extend(told.died);
        }
    }
    // Between a container's first network and its second: few points, which a sample would miss.
    for point in ["before POST networks connect", "after POST networks connect"] {
        let told = stage.story(&BTreeMap::from([("apply a change", point.to_owned())])).await.remove("apply a change").unwrap();
        assert_eq!(told.end, unharmed["apply a change"].end, "killed {point}");
        assert_eq!(told.died.as_deref(), Some(point));
    }
    for (name, points) in &plans {
        let (count, fell) = (unharmed[name].points.len(), died[name].len());
        let of = |word: &str| died[name].iter().filter(|what| what.contains(word)).count();
        let calls = of(" POST ") + of(" DELETE ");
        println!(
            "points: {name}: {count} points, {} tried, {fell} kills: {} at a step's start, {} at its end, {calls} at a call of the engine",
            points.len(),
            of(" started "),
            of(" ended")
        );
        // Steps side by side come in another order each time, and a few points more or less.
        assert!(fell + 4 >= points.len() && fell > 0, "{name}: {fell} kills at {} points", points.len());
    }
    let reading = jetstream::new(stage.broker.connect(User::Projector).await.unwrap());
    let history = History::gather(&reading, &stage.watch, Vec::new()).await.unwrap();
    history.audited("points").unwrap();
    println!("points: every promise holds over {} commands and {} events", history.commands.len(), history.events.len());
}
