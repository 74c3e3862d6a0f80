//! What the loop asks of a broker, and no more: streams of numbered messages, each subject changed by compare-and-set.
//! [`Broker`](crate::Broker) answers it over NATS; a simulation answers it from memory.

use std::fmt;
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use orrery_contracts::Time;
use tokio::sync::watch;

/// What was asked: an answer, or in words why there is none. Without one nobody knows what became of the question.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, String>>;

/// A message of a stream.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its sequence.
    pub seq: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When the broker took it.
    pub at: Time,
}

/// Where a stream begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The sequence of its first message; of an empty one, the next that it will give.
    pub first: u64,
    /// The sequence of its last message; 0 when it never had one.
    pub last: u64,
}

/// Whether the broker can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// It cannot, since when it was last heard of; with the last reason known.
    Away(String),
    /// It can; each connection counts one up.
    Connected(u64),
}

/// A broker, as the loop needs it. Reads are answered by the stream's leader: they see every message that was stored.
pub trait Port: Send + Sync + 'static {
    /// Whether the broker can be reached; follows changes.
    fn link(&self) -> watch::Receiver<Link>;

    /// Where a stream begins and ends.
    fn bounds<'a>(&'a self, stream: &'a str) -> Asked<'a, Bounds>;

    /// The message at a sequence.
    fn message<'a>(&'a self, stream: &'a str, seq: u64) -> Asked<'a, Option<Item>>;

    /// The last message on a subject.
    fn last<'a>(&'a self, stream: &'a str, subject: &'a str) -> Asked<'a, Option<Item>>;

    /// The first message on a subject at or behind a sequence; `>` at the subject's end stands for whatever follows.
    fn next<'a>(&'a self, stream: &'a str, subject: &'a str, from: u64) -> Asked<'a, Option<Item>>;

    /// Stores a message, and answers its sequence. With the header `Nats-Expected-Last-Subject-Sequence` only where that
    /// is the last of its subject; one error serves "taken" and "disk full".
    fn store<'a>(&'a self, subject: &'a str, headers: HeaderMap, body: Bytes) -> Asked<'a, u64>;

    /// Every message of a stream from a sequence on, those that come later too, until the connection ends.
    fn follow<'a>(&'a self, stream: &'a str, from: u64) -> Asked<'a, BoxStream<'static, Result<Item, String>>>;

    /// An upload by its name, at most so many bytes of it.
    fn upload<'a>(&'a self, name: &'a str, most: u64) -> Asked<'a, Option<Vec<u8>>>;

    /// Whether these streams are there and as they should be; in words what is missing.
    fn provisioned<'a>(&'a self, streams: &'a [&'a str]) -> Asked<'a, ()>;

    /// Sends a message that is not waited for; it may be lost.
    fn tell(&self, subject: String, body: Bytes) -> Asked<'_, ()>;
}

/// A broker that comes and goes. Clones share it.
#[derive(Clone)]
pub struct Streams {
    port: Arc<dyn Port>,
}

impl Streams {
    /// Over a port.
    pub fn new(port: Arc<dyn Port>) -> Self {
        Self { port }
    }

    /// The port underneath, for a test that puts another one before it.
    #[must_use]
    pub fn port(&self) -> Arc<dyn Port> {
        Arc::clone(&self.port)
    }

    /// Whether the broker can be reached; follows changes.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.port.link()
    }

    /// Whether the broker can be reached now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(*self.link().borrow(), Link::Connected(_))
    }

    /// Resolves when the broker can be reached; answers how many connections there have been.
    pub async fn connected(&self) -> u64 {
        let mut link = self.link();
        loop {
            if let Link::Connected(count) = *link.borrow_and_update() {
                return count;
            }
            if link.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits for an answer as long as the present connection lasts: what was asked on one connection is never answered on
    /// the next, and waiting for its time-out would only cost time.
    async fn answered<T>(&self, asked: Asked<'_, T>) -> Result<T, String> {
        let mut link = self.link();
        let before = link.borrow_and_update().clone();
        tokio::select! {
            biased;
            answer = asked => answer,
            _ = link.wait_for(|now| *now != before) => Err("the connection was lost before the answer".to_owned()),
        }
    }

    pub(crate) async fn bounds(&self, stream: &str) -> Result<Bounds, String> {
        self.answered(self.port.bounds(stream)).await
    }

    pub(crate) async fn message(&self, stream: &str, seq: u64) -> Result<Option<Item>, String> {
        self.answered(self.port.message(stream, seq)).await
    }

    pub(crate) async fn last(&self, stream: &str, subject: &str) -> Result<Option<Item>, String> {
        self.answered(self.port.last(stream, subject)).await
    }

    /// The first message on a subject at or behind a sequence.
    pub(crate) async fn next(&self, stream: &str, subject: &str, from: u64) -> Result<Option<Item>, String> {
        self.answered(self.port.next(stream, subject, from)).await
    }

    /// Every message on a subject, in order.
    pub(crate) async fn all(&self, stream: &str, subject: &str) -> Result<Vec<Item>, String> {
        let mut items: Vec<Item> = Vec::new();
        loop {
            let from = items.last().map_or(1, |last| last.seq.saturating_add(1));
            match self.next(stream, subject, from).await? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
    }

    pub(crate) async fn store(&self, subject: &str, headers: HeaderMap, body: Bytes) -> Result<u64, String> {
        self.answered(self.port.store(subject, headers, body)).await
    }

    pub(crate) async fn follow(&self, stream: &str, from: u64) -> Result<BoxStream<'static, Result<Item, String>>, String> {
        self.answered(self.port.follow(stream, from)).await
    }

    pub(crate) async fn upload(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, String> {
        self.answered(self.port.upload(name, most)).await
    }

    pub(crate) async fn provisioned(&self, streams: &[&str]) -> Result<(), String> {
        self.answered(self.port.provisioned(streams)).await
    }

    /// Sends what may be lost, and says so in the log when it is.
    pub async fn tell(&self, subject: String, body: Vec<u8>) {
        if !self.is_connected() {
            return;
        }
        if let Err(error) = self.answered(self.port.tell(subject, body.into())).await {
            tracing::debug!("a message that nobody waits for is lost: {error}");
        }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("link", &*self.link().borrow()).finish_non_exhaustive()
    }
}

/// The headers of a message that is stored only where this is the last sequence of its subject.
#[must_use]
pub fn expecting(last: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string());
    headers
}
