//! Connections to libvirt, each owned by a thread: the library blocks, so nothing of it is ever called on the runtime. A
//! question is a closure that is sent to the thread and answered over a channel, with a deadline on the asking side.
//!
//! A connection is made when its thread starts, watched (by keepalive, by libvirt's close callback, and by a look at it
//! once a second), dropped when the daemon is gone, and made again with growing pauses. A thread that does not come back
//! from a question in time is left behind with its connection, and another takes its place.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use virt::connect::Connect;

use super::Kind;
use super::error::{Class, EngineError};
use super::events::{DomainEvent, EventHub};
use super::raw;

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The pauses between tries to connect: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Seconds between two signs of life, and how many may be missing.
const KEEPALIVE: (i32, u32) = (5, 3);
/// How many threads may be left behind; more would only pile up on a daemon that hangs.
const LEFT_BEHIND: u32 = 8;

type Job = Box<dyn FnOnce(&mut Slot) + Send>;

/// A connection and the thread that owns it. Clones share both; they end with the last of them.
#[derive(Clone)]
pub struct Owner(Arc<Shared>);

struct Shared {
    uri: String,
    name: &'static str,
    events: Option<(Kind, EventHub)>,
    thread: Mutex<Thread>,
    now: Mutex<Now>,
}

/// The present thread.
struct Thread {
    jobs: mpsc::Sender<Job>,
    generation: u32,
}

/// What others may know of the connection.
#[derive(Default)]
struct Now {
    connection: Option<Connect>,
    away: Option<String>,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner").field("uri", &self.0.uri).field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl Owner {
    /// Starts a thread that keeps a connection to this URI. `events` are told of what happens to its domains.
    #[must_use]
    pub fn start(uri: impl Into<String>, name: &'static str, events: Option<(Kind, EventHub)>) -> Self {
        raw::run_event_loop();
        let (jobs, receiver) = mpsc::channel();
        let thread = Mutex::new(Thread { jobs, generation: 0 });
        let uri = uri.into();
        let now = Now { connection: None, away: Some(format!("libvirt at {uri}, which has not been asked yet")) };
        let shared = Arc::new(Shared { uri, name, events, thread, now: Mutex::new(now) });
        spawn(&shared, 0, receiver);
        Self(shared)
    }

    /// Where it connects to.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.0.uri
    }

    /// What is waited for, in words, while there is no connection.
    #[must_use]
    pub fn away(&self) -> Option<String> {
        lock(&self.0.now).away.clone()
    }

    /// The connection, for a thread that has a stream on it; none while the daemon is away.
    pub(super) fn connection(&self) -> Result<Connect, EngineError> {
        let now = lock(&self.0.now);
        now.connection.clone().ok_or_else(|| EngineError::away(now.away.clone().unwrap_or_default()))
    }

    /// Asks on the owner's thread. A question whose asker has gone is not begun.
    ///
    /// # Errors
    /// What the question answers; `engine_away` while there is no connection; `engine_slow` when the time is over, in which
    /// case nobody knows what came of it.
    pub async fn ask<T, F>(&self, within: Duration, question: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&Connect) -> Result<T, EngineError> + Send + 'static,
    {
        let (tell, answer) = oneshot::channel();
        let job: Job = Box::new(move |slot| {
            if !tell.is_closed() {
                let said = slot.connection().and_then(question);
                slot.judge(said.as_ref().err());
                // The asker may have gone meanwhile.
                let _ = tell.send(said);
            }
        });
        let generation = self.send(job);
        match tokio::time::timeout(within, answer).await {
            Ok(Ok(said)) => said,
            Ok(Err(_)) => {
                self.replace(generation);
                Err(EngineError::away(format!("the thread of libvirt at {} has ended", self.0.uri)))
            }
            Err(_) => {
                self.replace(generation);
                let message = format!("libvirt at {} did not answer within {} s", self.0.uri, within.as_secs());
                Err(EngineError::new(Class::Wait, "engine_slow", message))
            }
        }
    }

    /// Hands a job over, and says to which thread.
    fn send(&self, job: Job) -> u32 {
        let thread = lock(&self.0.thread);
        // A thread that has ended drops the job, and the asker sees that nobody answers.
        let _ = thread.jobs.send(job);
        thread.generation
    }

    /// Puts a new thread in the place of one that hangs or has ended, unless somebody did.
    fn replace(&self, generation: u32) {
        let mut thread = lock(&self.0.thread);
        if thread.generation != generation || generation >= LEFT_BEHIND {
            return;
        }
        tracing::warn!(uri = %self.0.uri, thread = self.0.name, "a thread is left behind, and another started");
        let (jobs, receiver) = mpsc::channel();
        *thread = Thread { jobs, generation: generation.saturating_add(1) };
        lock(&self.0.now).connection = None;
        spawn(&self.0, generation.saturating_add(1), receiver);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(shared: &Arc<Shared>, generation: u32, jobs: mpsc::Receiver<Job>) {
    let mut slot = Slot { shared: Arc::downgrade(shared), generation, open: None, pause: PAUSES.0, retry: Instant::now(), why: None };
    let run = move || {
        slot.look();
        loop {
            match jobs.recv_timeout(slot.patience()) {
                Ok(job) => job(&mut slot),
                Err(RecvTimeoutError::Timeout) => slot.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name(format!("libvirt-{}", shared.name)).spawn(run) {
        tracing::error!("no thread for libvirt: {error}");
    }
}

/// What a thread owns.
struct Slot {
    shared: Weak<Shared>,
    generation: u32,
    open: Option<Open>,
    pause: Duration,
    retry: Instant,
    why: Option<String>,
}

/// A connection, and what is registered on it.
struct Open {
    connection: Connect,
    events: Option<(raw::Registered, Kind, EventHub)>,
}

impl Slot {
    /// How long nothing needs to be looked at.
    fn patience(&self) -> Duration {
        if self.open.is_some() { LOOK } else { self.retry.saturating_duration_since(Instant::now()) }
    }

    /// Drops a connection that is dead, and makes one where there is none and it is time.
    fn look(&mut self) {
        if self.open.as_ref().is_some_and(|open| !open.connection.is_alive().unwrap_or(false)) {
            self.drop_it("the connection broke");
        }
        if self.open.is_none() && Instant::now() >= self.retry {
            self.connect();
        }
    }

    /// The connection.
    fn connection(&mut self) -> Result<&Connect, EngineError> {
        self.look();
        let why = self.why.clone().unwrap_or_default();
        self.open.as_ref().map(|open| &open.connection).ok_or_else(|| EngineError::away(why))
    }

    /// What an answer says about the connection.
    fn judge(&mut self, error: Option<&EngineError>) {
        if error.is_some_and(|error| error.class == Class::Wait) {
            self.look();
        }
    }

    fn connect(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        match Connect::open(Some(&shared.uri)) {
            Ok(connection) => self.opened(&shared, connection),
            Err(error) => {
                let why = format!("no libvirt answers at {}: {}", shared.uri, error.message());
                if self.why.as_ref() != Some(&why) {
                    tracing::warn!(thread = shared.name, "{why}");
                }
                self.retry = Instant::now().checked_add(self.pause).unwrap_or(self.retry);
                self.pause = self.pause.saturating_mul(2).min(PAUSES.1);
                self.publish(None, Some(why));
            }
        }
    }

    fn opened(&mut self, shared: &Arc<Shared>, connection: Connect) {
        // A driver without a daemon (test) has neither, and cannot break.
        if let Err(error) = connection.set_keep_alive(KEEPALIVE.0, KEEPALIVE.1) {
            tracing::debug!(uri = %shared.uri, "no keepalive: {error}");
        }
        let weak = Weak::clone(&self.shared);
        let wake = Box::new(move || {
            if let Some(shared) = weak.upgrade() {
                Owner(shared).send(Box::new(Slot::look));
            }
        });
        if let Err(error) = raw::on_close(&connection, wake) {
            tracing::debug!(uri = %shared.uri, "no word when the connection breaks: {error}");
        }
        tracing::info!(uri = %shared.uri, thread = shared.name, "connected to libvirt");
        self.pause = PAUSES.0;
        self.publish(Some(connection.clone()), None);
        let events = shared.events.clone().map(|(kind, hub)| {
            let registered = raw::listen(&connection, kind, &hub);
            hub.tell(DomainEvent::Connected(kind));
            (registered, kind, hub)
        });
        self.open = Some(Open { connection, events });
    }

    fn drop_it(&mut self, why: &str) {
        let Some(open) = self.open.take() else { return };
        let uri = self.shared.upgrade().map(|shared| shared.uri.clone()).unwrap_or_default();
        self.publish(None, Some(format!("no libvirt answers at {uri}: {why}")));
        raw::forget_close(&open.connection);
        if let Some((registered, kind, hub)) = open.events {
            raw::forget(&open.connection, registered);
            hub.tell(DomainEvent::Lost(kind));
        }
        self.retry = Instant::now();
    }

    /// Tells others, unless another thread has taken the place of this one.
    fn publish(&mut self, connection: Option<Connect>, away: Option<String>) {
        self.why.clone_from(&away);
        if let Some(shared) = self.shared.upgrade()
            && lock(&shared.thread).generation == self.generation
        {
            *lock(&shared.now) = Now { connection, away };
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.drop_it("nobody asks any more");
    }
}
