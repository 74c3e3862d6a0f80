//! The loop's port over a real broker.

use async_nats::jetstream;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::message::{Message, StreamMessage};
use async_nats::jetstream::object_store::GetErrorKind;
use async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind, Stream};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use orrery_contracts::{Time, subjects};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use crate::streams::{Asked, Bounds, Item, Link, Port};
use crate::topology;

/// A connection to NATS with JetStream.
pub(crate) struct Nats {
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) link: watch::Receiver<Link>,
}

impl Nats {
    async fn stream(&self, name: &str) -> Result<Stream<()>, String> {
        self.jetstream.get_stream_no_info(name).await.map_err(in_words)
    }
}

impl Port for Nats {
    fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    fn bounds<'a>(&'a self, stream: &'a str) -> Asked<'a, Bounds> {
        Box::pin(async move {
            let stream = self.jetstream.get_stream(stream).await.map_err(in_words)?;
            let state = &stream.cached_info().state;
            Ok(Bounds { first: state.first_sequence, last: state.last_sequence })
        })
    }

    fn message<'a>(&'a self, stream: &'a str, seq: u64) -> Asked<'a, Option<Item>> {
        Box::pin(async move { found(self.stream(stream).await?.get_raw_message(seq).await) })
    }

    fn last<'a>(&'a self, stream: &'a str, subject: &'a str) -> Asked<'a, Option<Item>> {
        Box::pin(async move { found(self.stream(stream).await?.get_last_raw_message_by_subject(subject).await) })
    }

    fn next<'a>(&'a self, stream: &'a str, subject: &'a str, from: u64) -> Asked<'a, Option<Item>> {
        Box::pin(
            async move { found(self.stream(stream).await?.raw_message_builder().sequence(from).next_by_subject(subject).send().await) },
        )
    }

    fn store<'a>(&'a self, subject: &'a str, headers: HeaderMap, body: Bytes) -> Asked<'a, u64> {
        Box::pin(async move {
            let sent = self.jetstream.publish_with_headers(subject.to_owned(), headers, body).await.map_err(in_words)?;
            sent.await.map(|acknowledged| acknowledged.sequence).map_err(in_words)
        })
    }

    fn follow<'a>(&'a self, stream: &'a str, from: u64) -> Asked<'a, BoxStream<'static, Result<Item, String>>> {
        Box::pin(async move {
            let config = pull::OrderedConfig {
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
                ..pull::OrderedConfig::default()
            };
            let consumer = self.stream(stream).await?.create_consumer(config).await.map_err(in_words)?;
            let messages = consumer.messages().await.map_err(in_words)?;
            Ok(messages.map(|message| message.map_err(in_words).and_then(|message| delivered(&message))).boxed())
        })
    }

    fn upload<'a>(&'a self, name: &'a str, most: u64) -> Asked<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let store = self.jetstream.get_object_store(subjects::UPLOADS).await.map_err(in_words)?;
            let object = match store.get(name).await {
                Ok(object) => object,
                Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(in_words(error)),
            };
            let mut bytes = Vec::new();
            object.take(most).read_to_end(&mut bytes).await.map_err(in_words)?;
            Ok(Some(bytes))
        })
    }

    fn provisioned<'a>(&'a self, streams: &'a [&'a str]) -> Asked<'a, ()> {
        Box::pin(async move { topology::verify(&self.jetstream, streams).await.map_err(in_words) })
    }

    fn tell(&self, subject: String, body: Bytes) -> Asked<'_, ()> {
        Box::pin(async move { self.client.publish(subject, body).await.map_err(in_words) })
    }
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn found(answer: Result<StreamMessage, LastRawMessageError>) -> Result<Option<Item>, String> {
    match answer {
        Ok(message) => Ok(Some(Item {
            seq: message.sequence,
            subject: message.subject.to_string(),
            headers: message.headers,
            body: message.payload,
            at: Time::new(message.time),
        })),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::InvalidSubject | LastRawMessageErrorKind::JetStream(_) | LastRawMessageErrorKind::Other => {
                Err(in_words(error))
            }
        },
    }
}

fn delivered(message: &Message) -> Result<Item, String> {
    let info = message.info().map_err(in_words)?;
    Ok(Item {
        seq: info.stream_sequence,
        subject: message.subject.to_string(),
        headers: message.headers.clone().unwrap_or_default(),
        body: message.payload.clone(),
        at: Time::new(info.published),
    })
}
