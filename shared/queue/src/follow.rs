//! Following a stream from a number on, message by message, without a durable consumer: each connection makes an
//! ordered consumer of its own and goes on behind the last message seen. A missing or doubled number never passes.

use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;

use crate::streams::{Bounds, Item, Link, Streams};

/// Between two tries to follow.
const PAUSE: Duration = Duration::from_millis(20);

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
pub async fn follow(streams: Streams, stream: &'static str, after: u64, tell: mpsc::Sender<Followed>) {
    let mut follower = Follower { streams, stream, last: after, begun: false, tell };
    while !follower.tell.is_closed() {
        let connection = follower.streams.connected().await;
        match follower.follow_connection(connection).await {
            Ok(()) => tracing::debug!(stream, "followed anew"),
            Err(reason) => tracing::debug!(stream, "followed anew: {reason}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Follower {
    streams: Streams,
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
        let Bounds { first, last: end } = self.streams.bounds(self.stream).await?;
        if !self.begun && first > self.last.saturating_add(1) {
            // A stream that begins above everything seen is a new one; the marks were compared before.
            self.last = first.saturating_sub(1);
        }
        let mut messages = self.streams.follow(self.stream, self.last.saturating_add(1)).await?;
        self.begun = true;
        let mut caught_up = self.last >= end;
        if caught_up && !self.say(Followed::CaughtUp).await {
            return Ok(());
        }
        let mut link = self.streams.link();
        let another = link.wait_for(|link| *link != Link::Connected(connection));
        tokio::pin!(another);
        loop {
            let message = tokio::select! {
                biased;
                message = messages.next() => message.ok_or("the broker ended it")??,
                _ = &mut another => return Ok(()),
                () = self.tell.closed() => return Ok(()),
            };
            if !self.pass(message).await? {
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
    async fn pass(&mut self, item: Item) -> Result<bool, String> {
        let seq = item.seq;
        if seq <= self.last {
            return Err(format!("the consumer begins again at {seq}"));
        }
        let expected = self.last.saturating_add(1);
        if seq != expected {
            return Ok(self.say(Followed::Gap { after: self.last, found: seq }).await);
        }
        self.last = seq;
        Ok(self.say(Followed::Message(item)).await)
    }

    async fn say(&self, followed: Followed) -> bool {
        self.tell.send(followed).await.is_ok()
    }
}
