//! What this service says to the broker, and what it may ask there: commands, its own transitions, uploads, questions.
//!
//! A broker that is away is waited for, ten seconds at most, and then said to be away.

mod definitions;
mod enqueue;
mod questions;
mod room;
mod transitions;

use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use orrery_contracts::{Code, subjects};
use tokio::time::{Instant, timeout, timeout_at};

use crate::problems::{Answer, Refusal};

pub use enqueue::Published;
pub use questions::Frames;
pub use transitions::{Moved, Standing};

/// How long a request waits for the broker or an executor.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long one exchange with the broker may take before it is tried again.
const EXCHANGE: Duration = Duration::from_secs(4);

/// The broker, as this service uses it.
pub struct Broker {
    link: orrery_queue::Broker,
    room: room::Room,
}

impl Broker {
    /// Over a connection that comes and goes.
    pub fn new(link: orrery_queue::Broker) -> Self {
        Self { link, room: room::Room::default() }
    }

    /// The connection.
    pub fn client(&self) -> &async_nats::Client {
        self.link.client()
    }

    /// Whether the broker can be reached now.
    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// Why the broker cannot be reached, when it cannot.
    pub fn why_away(&self) -> Option<String> {
        match &*self.link.link().borrow() {
            orrery_queue::Link::Away(reason) => Some(reason.clone()),
            orrery_queue::Link::Connected(_) => None,
        }
    }

    /// Waits until the broker went away or came back.
    pub async fn changed(&self) {
        let mut link = self.link.link();
        link.mark_unchanged();
        // An error means that the process is ending.
        let _ = link.changed().await;
    }

    async fn connected(&self, deadline: Instant) -> Answer<()> {
        timeout_at(deadline, self.link.connected()).await.map(drop).map_err(|_| away("it did not come back within ten seconds"))
    }

    async fn stream(&self, name: &str) -> Answer<Stream<()>> {
        let stream = self.link.jetstream().get_stream_no_info(name).await;
        stream.map_err(|error| away(&format!("{name}: {error}")))
    }

    /// The last message on a subject, as the leader has it.
    async fn last_on(&self, stream: &str, subject: &str) -> Answer<Option<StreamMessage>> {
        use async_nats::jetstream::stream::LastRawMessageErrorKind as Kind;
        let found = timeout(EXCHANGE, self.stream(stream).await?.get_last_raw_message_by_subject(subject)).await;
        match found {
            Ok(Ok(message)) => Ok(Some(message)),
            Ok(Err(error)) if matches!(error.kind(), Kind::NoMessageFound) => Ok(None),
            Ok(Err(error)) => Err(away(&format!("{stream}: {error}"))),
            Err(_) => Err(away(&format!("{stream} did not answer"))),
        }
    }

    /// The last sequence of COMMANDS, unless the broker does not say it in time.
    pub async fn end_of_commands(&self, patience: Duration) -> Option<u64> {
        let asked = async { self.stream(subjects::COMMANDS).await.ok()?.get_info().await.ok() };
        timeout(patience, asked).await.ok().flatten().map(|info| info.state.last_sequence)
    }

    /// The body of the command at a sequence.
    ///
    /// # Errors
    /// When the broker is away.
    pub async fn command_body(&self, seq: u64) -> Answer<Option<Bytes>> {
        use async_nats::jetstream::stream::LastRawMessageErrorKind as Kind;
        let found = timeout(EXCHANGE, self.stream(subjects::COMMANDS).await?.get_raw_message(seq)).await;
        match found {
            Ok(Ok(message)) => Ok(Some(message.payload)),
            Ok(Err(error)) if matches!(error.kind(), Kind::NoMessageFound) => Ok(None),
            Ok(Err(error)) => Err(away(&error.to_string())),
            Err(_) => Err(away("COMMANDS did not answer")),
        }
    }

    /// Writes an entry of POLICY, unless it says the same already.
    ///
    /// # Errors
    /// When the broker is away.
    pub async fn put_policy(&self, key: &str, body: Vec<u8>) -> Answer<()> {
        let subject = format!("$KV.{}.{key}", subjects::POLICY);
        let bucket = format!("KV_{}", subjects::POLICY);
        if self.last_on(&bucket, &subject).await?.is_some_and(|entry| entry.payload == body) {
            return Ok(());
        }
        let sent = timeout(EXCHANGE, async { self.link.jetstream().publish(subject, body.into()).await?.await }).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(away(&format!("{bucket}: {error}"))),
            Err(_) => Err(away(&format!("{bucket} did not answer"))),
        }
    }
}

/// The refusal for a broker that cannot be reached.
fn away(why: &str) -> Refusal {
    Refusal::new(Code::BrokerAway, format!("the broker cannot be reached: {why}"))
}
