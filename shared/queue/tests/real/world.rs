//! A private broker with people on it: a publisher, the api, and executors that can be started, stopped and killed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull;
use futures::StreamExt as _;
use orrery_contracts::{
    CancelRequest, Change, Digest, Engine, Installation, PolicyEntry, Quota, Role, Status, StepMessage, Time, TransitionMessage, subjects,
};
use orrery_nats::User;
use orrery_nats::testing;
use orrery_queue::streams::Item;
use orrery_queue::{Broker, BrokerConfig, Definitions, ExecutorConfig, Report, ServeError, serve, topology};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::toy::{Toy, ToyEngine};

const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until something is found, or the test has waited long enough.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn now() -> Time {
    Time::new(time::OffsetDateTime::now_utc())
}

/// What an executor says that it waits for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Waits {
    fn report(&self) -> Report {
        let waits = Arc::clone(&self.0);
        Report::new(move |what, detail| {
            let mut waits = waits.lock().unwrap();
            match detail {
                Some(detail) => drop(waits.insert(what, detail)),
                None => drop(waits.remove(what)),
            }
        })
    }

    pub(crate) fn for_what(&self, what: &str) -> Option<String> {
        self.0.lock().unwrap().get(what).cloned()
    }
}

/// A running executor.
pub(crate) struct Running {
    pub(crate) task: JoinHandle<Result<(), ServeError>>,
    pub(crate) waits: Waits,
    shutdown: CancellationToken,
}

impl Running {
    /// As SIGTERM would.
    pub(crate) async fn stop(self) -> Result<(), ServeError> {
        self.shutdown.cancel();
        self.task.await.unwrap()
    }

    /// As SIGKILL would: nothing of it goes on.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub(crate) struct World {
    pub(crate) broker: testing::Broker,
    pub(crate) engine: ToyEngine,
    pub(crate) folder: TempDir,
    api: Broker,
    ci: async_nats::Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        let _ = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).with_test_writer().try_init();
        Self::on(testing::Broker::provisioned().await.unwrap()).await
    }

    /// On this broker.
    pub(crate) async fn on(broker: testing::Broker) -> Self {
        let ci = testing::connect(&broker.publisher("ci").await.unwrap()).await.unwrap();
        let api = Broker::connect(&config(&broker, User::Api)).await.unwrap();
        api.connected().await;
        let world = Self { broker, engine: ToyEngine::default(), folder: tempfile::tempdir().unwrap(), api, ci };
        world.publishers_again().await;
        world
    }

    /// Makes the streams of a broker that lost its store; with numbers from `first` on where that is given.
    pub(crate) async fn provision(&self, first: Option<u64>) {
        let ops = self.connection(User::Ops).await;
        let settings = topology::Settings { commands_from: first, events_from: first, ..topology::Settings::default() };
        topology::ensure(ops.jetstream(), &settings).await.unwrap();
        let installation = Installation { id: Uuid::now_v7(), engines: vec![Engine::Docker, Engine::Libvirt], created_at: now() };
        Definitions::new(ops.streams()).found_installation(&installation).await.unwrap();
    }

    /// Gives the publisher and the user their rights again.
    pub(crate) async fn publishers_again(&self) {
        self.api.connected().await;
        self.policy("publisher.ci", Role::User, Quota::default()).await;
        self.policy("user.anna", Role::Admin, Quota::default()).await;
    }

    pub(crate) async fn policy(&self, key: &str, role: Role, quota: Quota) {
        self.api.connected().await;
        let store = self.api.jetstream().get_key_value(subjects::POLICY).await.unwrap();
        store.put(key, serde_json::to_vec(&PolicyEntry { role, quota }).unwrap().into()).await.unwrap();
    }

    /// A connection as a service.
    pub(crate) async fn connection(&self, user: User) -> Broker {
        let broker = Broker::connect(&config(&self.broker, user)).await.unwrap();
        broker.connected().await;
        broker
    }

    /// Starts an executor with the lock and marks of the usual place.
    pub(crate) async fn start(&self, engine: Engine) -> Running {
        self.start_as(engine, "one", "here").await
    }

    /// Starts an executor that reaches the broker by another address.
    pub(crate) async fn start_through(&self, engine: Engine, url: &str) -> Running {
        self.start_with(engine, "one", "here", url).await
    }

    /// Starts an executor; `place` names its folder of marks and locks.
    pub(crate) async fn start_as(&self, engine: Engine, by: &'static str, place: &str) -> Running {
        self.start_with(engine, by, place, &self.broker.url()).await
    }

    async fn start_with(&self, engine: Engine, by: &'static str, place: &str, url: &str) -> Running {
        let user = match engine {
            Engine::Docker => User::DockerExecutor,
            Engine::Libvirt => User::LibvirtExecutor,
        };
        let broker = Broker::connect(&BrokerConfig { url: url.to_owned(), ..config(&self.broker, user) }).await.unwrap();
        let waits = Waits::default();
        let shutdown = CancellationToken::new();
        let toy = Toy { by, engine, world: self.engine.clone() };
        let (data, locks) = (self.place(place), self.place(place).join("locks"));
        let config = ExecutorConfig::in_folders(engine, &broker, &data, &locks, waits.report());
        let task = tokio::spawn(serve(config, toy, shutdown.clone()));
        Running { task, waits, shutdown }
    }

    pub(crate) fn place(&self, place: &str) -> PathBuf {
        self.folder.path().join(place)
    }

    /// Publishes a command as the publisher `ci`, under a new id.
    pub(crate) async fn command(&self, body: &Value) -> u64 {
        self.publish(&Uuid::now_v7().to_string(), body.to_string()).await.unwrap()
    }

    /// `stack.start` of a script.
    pub(crate) async fn run(&self, script: &str) -> u64 {
        self.command(&json!({ "type": "stack.start", "target": script })).await
    }

    /// Publishes whatever, as the publisher `ci`; the broker's refusal is an error.
    pub(crate) async fn publish(&self, id: &str, body: impl Into<Vec<u8>>) -> Result<u64, String> {
        let answer = self.ci.request(format!("orrery.commands.{id}"), body.into().into()).await.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        answer["seq"].as_u64().filter(|_| answer.get("error").is_none()).ok_or_else(|| answer.to_string())
    }

    /// Publishes as the api.
    pub(crate) async fn publish_as_api(&self, body: &Value) -> u64 {
        let subject = format!("orrery.commands.api.{}", Uuid::now_v7());
        self.api.jetstream().publish(subject, body.to_string().into()).await.unwrap().await.unwrap().sequence
    }

    /// The transitions of a command, with their places in EVENTS.
    pub(crate) async fn transitions(&self, seq: u64) -> Vec<TransitionMessage> {
        self.events(&subjects::transition(seq)).await.into_iter().map(|(_, message)| message).collect()
    }

    /// The step log of a command.
    pub(crate) async fn steps(&self, seq: u64) -> Vec<StepMessage> {
        self.events(&subjects::step(seq)).await.into_iter().map(|(_, message)| message).collect()
    }

    async fn events<T: serde::de::DeserializeOwned>(&self, subject: &str) -> Vec<(u64, T)> {
        self.api.connected().await;
        let stream = self.api.jetstream().get_stream_no_info(subjects::EVENTS).await.unwrap();
        let mut found: Vec<(u64, T)> = Vec::new();
        loop {
            let from = found.last().map_or(1, |(sequence, _)| sequence + 1);
            let next = stream.raw_message_builder().sequence(from).next_by_subject(subject).send().await;
            let Ok(next) = next else { return found };
            found.push((next.sequence, serde_json::from_slice(&next.payload).unwrap()));
        }
    }

    /// The story of a command, one word a transition.
    pub(crate) async fn story(&self, seq: u64) -> String {
        let word = |message: &TransitionMessage| match &message.change {
            Change::Running { .. } => format!("RUNNING {}.{}", message.attempt, message.run),
            Change::Done { summary } => format!("DONE {summary}"),
            Change::Failed { failure } => format!("FAILED {}", failure.code),
            Change::Cancelled { reason } => format!("CANCELLED {reason}"),
            Change::Pending {} => format!("PENDING {}", message.attempt),
        };
        self.transitions(seq).await.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    pub(crate) async fn status(&self, seq: u64) -> Status {
        self.transitions(seq).await.last().map_or(Status::Pending, |message| message.change.status())
    }

    /// Waits until the command has this status.
    pub(crate) async fn becomes(&self, seq: u64, status: Status) {
        until(&format!("command {seq} to become {}", status.as_str()), async || (self.status(seq).await == status).then_some(())).await;
    }

    /// Waits for DONE without a pause between two looks.
    pub(crate) async fn is_done_at_once(&self, seq: u64) {
        let stream = self.api.jetstream().get_stream_no_info(subjects::EVENTS).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let last = stream.get_last_raw_message_by_subject(&subjects::transition(seq)).await;
            if last.is_ok_and(|last| String::from_utf8_lossy(&last.payload).contains("\"DONE\"")) {
                return;
            }
        }
        panic!("command {seq} did not become DONE");
    }

    /// Waits until an effect of this name has begun so often.
    pub(crate) async fn enters(&self, what: &str, times: usize) {
        let often = async || (self.engine.entered().iter().filter(|effect| effect.what == what).count() >= times).then_some(());
        until(&format!("{what} to begin {times} times"), often).await;
    }

    /// The api's cancel of a RUNNING command.
    pub(crate) async fn ask_to_cancel(&self, seq: u64, attempt: u32) {
        let at = now();
        let request = CancelRequest { event_id: Uuid::now_v7(), seq, attempt, at, by: "anna".into() };
        let body = serde_json::to_vec(&request).unwrap();
        self.api.jetstream().publish(subjects::cancel(seq), body.into()).await.unwrap().await.unwrap();
    }

    /// A transition as the api, or any other service, would publish it.
    pub(crate) async fn transition(&self, user: User, seq: u64, attempt: u32, run: u32, change: Change) -> Result<u64, String> {
        let broker = self.connection(user).await;
        let body = self.body(seq).await;
        let message = TransitionMessage {
            event_id: Uuid::now_v7(),
            seq,
            command_sha256: Digest::of(&body),
            attempt,
            run,
            at: now(),
            by: "anna".into(),
            change,
        };
        self.publish_event(&broker, &subjects::transition(seq), serde_json::to_vec(&message).unwrap()).await
    }

    /// Publishes behind whatever is the last message of the subject.
    pub(crate) async fn publish_event(&self, broker: &Broker, subject: &str, body: Vec<u8>) -> Result<u64, String> {
        let stream = broker.jetstream().get_stream_no_info(subjects::EVENTS).await.unwrap();
        let last = stream.get_last_raw_message_by_subject(subject).await.map_or(0, |last| last.sequence);
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", last.to_string());
        let sent = broker.jetstream().publish_with_headers(subject.to_owned(), headers, body.into()).await.unwrap();
        sent.await.map(|ack| ack.sequence).map_err(|error| error.to_string())
    }

    /// Holds everything that the broker has stored against the promises.
    pub(crate) async fn audit(&self) {
        let broker = self.connection(User::Projector).await;
        let (commands, events) = (stored(&broker, subjects::COMMANDS).await, stored(&broker, subjects::EVENTS).await);
        assert_eq!(orrery_simulation::audit(&commands, &events), Ok(()));
    }

    async fn body(&self, seq: u64) -> Vec<u8> {
        let stream: jetstream::stream::Stream<()> = self.api.jetstream().get_stream_no_info(subjects::COMMANDS).await.unwrap();
        stream.get_raw_message(seq).await.unwrap().payload.to_vec()
    }
}

/// Everything on a stream.
async fn stored(broker: &Broker, name: &str) -> Vec<Item> {
    let stream = broker.jetstream().get_stream(name).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut messages = stream.create_consumer(pull::OrderedConfig::default()).await.unwrap().messages().await.unwrap();
    let mut items: Vec<Item> = Vec::new();
    while items.last().map_or(0, |item| item.seq) < last {
        let message = messages.next().await.unwrap().unwrap();
        let info = message.info().unwrap();
        let (seq, at) = (info.stream_sequence, Time::new(info.published));
        let (subject, headers) = (message.subject.to_string(), message.headers.clone().unwrap_or_default());
        items.push(Item { seq, subject, headers, body: message.payload.clone(), at });
    }
    items
}

fn config(broker: &testing::Broker, user: User) -> BrokerConfig {
    BrokerConfig { url: broker.url(), user: user.name().to_owned(), password_file: Some(broker.layout().password(user)), authority: None }
}
