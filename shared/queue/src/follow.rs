//! Following a stream from a number on, message by message, without a durable consumer: each connection makes an
//! ordered consumer of its own and goes on behind the last message seen. A missing or doubled number never passes.

use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::message::Message;
use bytes::Bytes;
use futures::StreamExt;
use orrery_contracts::Time;
use tokio::sync::mpsc;

use crate::broker::{Broker, Link};

/// Between two tries to follow.
const PAUSE: Duration = Duration::from_millis(20);

/// A message of a stream.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its sequence.
    pub seq: u64,
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub body: Bytes,
    /// When the broker took it.
    pub at: Time,
}

/// What a follower says.
#[derive(Clone, Debug)]
pub enum Followed {
    /// The next message.
    Message(Item),
    /// Everything that was there when the present connection began has been said.
    CaughtUp,
    /// The connection is another one: what is known must be compared with the stream before it goes on. The follower
    /// waits for nothing; its next messages lie behind the last one said.
    Reconnected,
    /// The stream does not continue where it was left.
    Gap {
        /// The last message said.
        after: u64,
        /// The next that there is.
        found: u64,
    },
}

/// Follows all of a stream behind `after`, until the receiver is dropped.
pub async fn follow(broker: Broker, stream: &'static str, after: u64, tell: mpsc::Sender<Followed>) {
    let mut follower = Follower { broker, stream, last: after, begun: false, tell };
    while !follower.tell.is_closed() {
        let connection = follower.broker.connected().await;
        match follower.follow_connection(connection).await {
            Ok(()) => tracing::debug!(stream, "followed anew"),
            Err(reason) => tracing::debug!(stream, "followed anew: {reason}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Follower {
    broker: Broker,
    stream: &'static str,
    last: u64,
    begun: bool,
    tell: mpsc::Sender<Followed>,
}

impl Follower {
    async fn follow_connection(&mut self, connection: u64) -> Result<(), String> {
        if self.begun && !self.say(Followed::Reconnected).await {
            return Ok(());
        }
        let stream = self.broker.answered(self.broker.jetstream().get_stream(self.stream)).await?;
        let state = &stream.cached_info().state;
        let (first, end) = (state.first_sequence, state.last_sequence);
        if !self.begun && first > self.last.saturating_add(1) {
            // A stream that begins above everything seen is a new one; the marks were compared before.
            self.last = first.saturating_sub(1);
        }
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.last.saturating_add(1) },
            ..pull::OrderedConfig::default()
        };
        let consumer = self.broker.answered(stream.create_consumer(config)).await?;
        let mut messages = self.broker.answered(consumer.messages()).await?;
        self.begun = true;
        let mut caught_up = self.last >= end;
        if caught_up && !self.say(Followed::CaughtUp).await {
            return Ok(());
        }
        let mut link = self.broker.link();
        let another = link.wait_for(|link| *link != Link::Connected(connection));
        tokio::pin!(another);
        loop {
            let message = tokio::select! {
                message = messages.next() => message.ok_or("the broker ended it")?.map_err(|error| error.to_string())?,
                _ = &mut another => return Ok(()),
                () = self.tell.closed() => return Ok(()),
            };
            if !self.pass(&message).await? {
                return Ok(());
            }
            if !caught_up && self.last >= end {
                caught_up = true;
                if !self.say(Followed::CaughtUp).await {
                    return Ok(());
                }
            }
        }
    }

    /// Says the message when it is the next one; false when nobody listens any more.
    async fn pass(&mut self, message: &Message) -> Result<bool, String> {
        let info = message.info().map_err(|error| error.to_string())?;
        let seq = info.stream_sequence;
        if seq <= self.last {
            return Err(format!("the consumer begins again at {seq}"));
        }
        let expected = self.last.saturating_add(1);
        if seq != expected {
            return Ok(self.say(Followed::Gap { after: self.last, found: seq }).await);
        }
        self.last = seq;
        let at = Time::new(info.published);
        let item = Item { seq, subject: message.subject.to_string(), body: message.payload.clone(), at };
        Ok(self.say(Followed::Message(item)).await)
    }

    async fn say(&self, followed: Followed) -> bool {
        self.tell.send(followed).await.is_ok()
    }
}
