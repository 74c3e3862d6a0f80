//! What the broker has: the ends of streams, single messages, and messages as they come. It changes nothing there.

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream as Handle};
use async_nats::jetstream::{self, message::StreamMessage};
use futures::StreamExt as _;
use orrery_contracts::{Installation, subjects};
use tokio::sync::mpsc;

use crate::errors::ProjectError;
use crate::message::{Message, Stream, header_lines};

/// The most messages that one request asks for: with bodies of a megabyte each, what one stream may take of our memory.
const PULL: i64 = 16;

/// The first and the last number of a stream; the last is one less than the first when it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

impl Ends {
    /// Whether it holds nothing. One that never held anything may say that it begins at 0.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.last == 0 || self.last < self.first
    }

    /// The last number that was given, also when the stream holds nothing.
    #[must_use]
    pub const fn given(self) -> u64 {
        let before = self.first.saturating_sub(1);
        if before > self.last { before } else { self.last }
    }
}

/// The broker's streams.
#[derive(Clone, Debug)]
pub struct Source {
    jetstream: jetstream::Context,
}

fn broker(error: impl std::fmt::Display) -> ProjectError {
    ProjectError::Broker(error.to_string())
}

impl Source {
    /// Reads from this connection.
    #[must_use]
    pub const fn new(jetstream: jetstream::Context) -> Self {
        Self { jetstream }
    }

    /// What HEADS says of the installation; none before it was provisioned.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub async fn installation(&self) -> Result<Option<Installation>, ProjectError> {
        use async_nats::jetstream::context::GetStreamErrorKind;
        match self.jetstream.get_stream(format!("KV_{}", subjects::HEADS)).await {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => return Ok(None),
            Err(error) => return Err(broker(error)),
        }
        let heads = self.jetstream.get_key_value(subjects::HEADS).await.map_err(broker)?;
        let value = heads.get(subjects::INSTALLATION_KEY).await.map_err(broker)?;
        value.map(|value| serde_json::from_slice(&value).map_err(broker)).transpose()
    }

    /// Where a stream begins and ends.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub async fn ends(&self, stream: Stream) -> Result<Ends, ProjectError> {
        let state = self.handle(stream).await?.get_info().await.map_err(broker)?.state;
        Ok(Ends { first: state.first_sequence, last: state.last_sequence })
    }

    /// The same; none when there is no such stream.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub async fn ends_if_there(&self, stream: Stream) -> Result<Option<Ends>, ProjectError> {
        use async_nats::jetstream::context::GetStreamErrorKind;
        match self.jetstream.get_stream(stream.name()).await {
            Ok(found) => {
                let state = &found.cached_info().state;
                Ok(Some(Ends { first: state.first_sequence, last: state.last_sequence }))
            }
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => Ok(None),
            Err(error) => Err(broker(error)),
        }
    }

    /// One message; none when the stream does not have it.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub async fn message(&self, stream: Stream, seq: u64) -> Result<Option<Message>, ProjectError> {
        match self.handle(stream).await?.get_raw_message(seq).await {
            Ok(message) => Ok(Some(stored(stream, message))),
            Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(broker(error)),
        }
    }

    /// Messages behind each other as they come, the first being `from`, until the receiver goes or an error is sent.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub async fn follow(&self, stream: Stream, from: u64, to: mpsc::Sender<Result<Message, ProjectError>>) -> Result<(), ProjectError> {
        let deliver_policy = match from {
            0 | 1 => DeliverPolicy::All,
            start_sequence => DeliverPolicy::ByStartSequence { start_sequence },
        };
        let config = pull::OrderedConfig { deliver_policy, max_batch: PULL, ..pull::OrderedConfig::default() };
        let consumer = self.handle(stream).await?.create_consumer(config).await.map_err(broker)?;
        let mut messages = consumer.messages().await.map_err(broker)?;
        while let Some(message) = messages.next().await {
            let message = message.map_err(broker).and_then(|message| delivered(stream, &message));
            let failed = message.is_err();
            if to.send(message).await.is_err() || failed {
                return Ok(());
            }
        }
        Err(broker("the consumer has ended"))
    }

    async fn handle(&self, stream: Stream) -> Result<Handle<()>, ProjectError> {
        self.jetstream.get_stream_no_info(stream.name()).await.map_err(broker)
    }
}

fn stored(stream: Stream, message: StreamMessage) -> Message {
    Message {
        stream,
        seq: message.sequence,
        subject: message.subject.to_string(),
        headers: header_lines(&message.headers),
        body: message.payload,
        at_ns: nanoseconds(message.time),
    }
}

fn delivered(stream: Stream, message: &jetstream::Message) -> Result<Message, ProjectError> {
    let info = message.info().map_err(broker)?;
    Ok(Message {
        stream,
        seq: info.stream_sequence,
        subject: message.subject.to_string(),
        headers: message.headers.as_ref().and_then(header_lines),
        body: message.payload.clone(),
        at_ns: nanoseconds(info.published),
    })
}

fn nanoseconds(at: time::OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos()).unwrap_or_default()
}
