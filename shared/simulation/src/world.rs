//! The outside of a simulation, provisioned: a broker with an installation and its publishers, and hosts on which executors
//! are started.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_nats::HeaderMap;
use bytes::Bytes;
use orrery_contracts::{Engine, Installation, PolicyEntry, Quota, Role, Status, Time, TransitionMessage, subjects};
use orrery_queue::lock::Guard;
use orrery_queue::streams::Item;
use orrery_queue::{Executor, ExecutorConfig, Report, ServeError, serve};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::history::Control;
use crate::host::Host;
use crate::people::{self, Wish};
use crate::reference::Broken;
use crate::state::{Shared, Weather};
use crate::wire::Wire;

/// The engines of a simulated installation.
pub const ENGINES: [Engine; 2] = [Engine::Docker, Engine::Libvirt];
/// Hosts that an executor can be started on.
pub const HOSTS: usize = 3;

/// The outside.
#[derive(Debug)]
pub struct World {
    pub(crate) state: Shared,
    hosts: [Host; HOSTS],
    started: AtomicU32,
}

impl World {
    /// A provisioned installation in fair weather; `tell` keeps its story.
    #[must_use]
    pub fn new(seed: u64, tell: bool) -> Self {
        let world = Self { state: Shared::new(seed, tell), hosts: Default::default(), started: AtomicU32::new(0) };
        world.provision();
        world
    }

    fn provision(&self) {
        let created_at = Time::new(time::OffsetDateTime::UNIX_EPOCH);
        let installation = Installation { id: Uuid::from_u128(7), engines: ENGINES.to_vec(), created_at };
        let usual = PolicyEntry { role: Role::User, quota: Quota::default() };
        let small = PolicyEntry { quota: Quota { waiting_commands: 3, ..Quota::default() }, ..usual.clone() };
        let records = [
            (subjects::HEADS, subjects::INSTALLATION_KEY.to_owned(), serde_json::to_vec(&installation)),
            (subjects::POLICY, subjects::publisher_key("ci"), serde_json::to_vec(&usual)),
            (subjects::POLICY, subjects::publisher_key("greedy"), serde_json::to_vec(&small)),
        ];
        let mut state = self.state.lock();
        for (bucket, key, body) in records {
            let stored = state.streams.store(&format!("$KV.{bucket}.{key}"), HeaderMap::new(), body.unwrap_or_default().into());
            debug_assert!(stored.is_ok(), "an empty broker takes a record");
        }
    }

    /// The way of a process that begins now.
    pub fn wire(&self, control: Control) -> Arc<Wire> {
        let process = self.started.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Wire::new(process, control, &self.state)
    }

    /// Starts an executor on a host, with the marks and the lock that are there. Aborting the task is SIGKILL.
    pub fn start<E: Executor>(&self, wire: &Arc<Wire>, engine: Engine, host: usize, executor: E) -> JoinHandle<Result<(), ServeError>> {
        let disk = self.hosts.get(host).cloned().unwrap_or_default();
        let config = ExecutorConfig {
            engine,
            host: "local".to_owned(),
            streams: wire.streams(),
            marks: Arc::new(disk.marks(engine)),
            guard: Arc::new(disk) as Arc<dyn Guard>,
            report: Report::nobody(),
        };
        tokio::spawn(serve(config, executor, CancellationToken::new()))
    }

    /// Puts a command on the queue at once, and answers its sequence; none when the broker refuses it.
    pub fn publish(&self, id: u128, body: Bytes) -> Option<u64> {
        let subject = format!("orrery.commands.ci.{}", Uuid::from_u128(0x0199_7f2e_6f0a_7c3e_9a51_0000_0000_0000 | id));
        let mut state = self.state.lock();
        let item = state.streams.store(&subject, HeaderMap::new(), body).ok()?;
        let now = state.steps;
        let promise = state.reference.stored(&item, now);
        state.demand(promise);
        Some(item.seq)
    }

    /// A person retries a command.
    pub async fn retry(&self, seq: u64) {
        people::wish(Wire::new(0, Control::None, &self.state), seq, Wish::Retry).await;
    }

    /// The last message on a subject.
    #[must_use]
    pub fn last(&self, stream: &str, subject: &str) -> Option<Item> {
        self.state.lock().streams.last(stream, subject)
    }

    /// The status of a command; none before its first transition.
    #[must_use]
    pub fn status(&self, seq: u64) -> Option<Status> {
        let last = self.last(subjects::EVENTS, &subjects::transition(seq))?;
        serde_json::from_slice::<TransitionMessage>(&last.body).ok().map(|message| message.change.status())
    }

    /// Everything on a stream.
    #[must_use]
    pub fn all(&self, stream: &str) -> Vec<Item> {
        let state = self.state.lock();
        (1..=state.streams.bounds(stream).last).filter_map(|seq| state.streams.message(stream, seq)).collect()
    }

    /// The weather from now on.
    pub fn weather(&self, weather: Weather) {
        self.state.lock().weather = weather;
    }

    /// The first promise that was broken.
    #[must_use]
    pub fn broken(&self) -> Option<Broken> {
        self.state.lock().broken.clone()
    }

    /// What happened, where it was to be told.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        self.state.lock().story.clone().unwrap_or_default()
    }
}
