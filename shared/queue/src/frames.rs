//! A streaming answer of an executor: frames on the asker's inbox, never more than he has given credit for, ended when he closes
//! it or gives no sign of life. Where the stream goes both ways, what he says comes back here.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::{Client, Subject, Subscriber};
use futures::StreamExt as _;
use orrery_contracts::rpc::{INITIAL_CREDIT, StreamControl, StreamFrame};
use orrery_contracts::{Engine, Problem, subjects};
use tokio::time::Instant;
use uuid::Uuid;

/// Without a sign of life for so long nobody is there any more.
const SILENCE: Duration = Duration::from_secs(30);
/// How much of what the asker says may wait, in bytes: who says more than is taken is not listened to any longer.
const UNHEARD: usize = 1024 * 1024;

/// The asker has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// An open stream to an asker.
pub struct Frames {
    client: Client,
    reply: Subject,
    control: Subscriber,
    credit: u32,
    heard: Instant,
    said: VecDeque<Vec<u8>>,
}

impl Frames {
    /// Opens a stream: the first frame says where it is steered.
    ///
    /// # Errors
    /// [`Closed`] when the broker is away.
    pub async fn open(client: &Client, reply: Subject, engine: Engine, host: &str) -> Result<Self, Closed> {
        let control = subjects::rpc(engine, host, &format!("control.{}", Uuid::new_v4().simple()));
        let subscriber = client.subscribe(control.clone()).await.map_err(|_| Closed)?;
        let (client, heard, said) = (client.clone(), Instant::now(), VecDeque::new());
        let stream = Self { client, reply, control: subscriber, credit: INITIAL_CREDIT, heard, said };
        stream.put(&StreamFrame::Open { control }).await?;
        Ok(stream)
    }

    /// Sends a frame when there is credit for it.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn send(&mut self, frame: &StreamFrame) -> Result<(), Closed> {
        while self.credit == 0 {
            self.listen().await?;
        }
        self.credit = self.credit.saturating_sub(1);
        self.put(frame).await
    }

    /// The end.
    pub async fn end(&mut self, problem: Option<Problem>) {
        let _ = self.put(&StreamFrame::End { problem }).await;
        let _ = self.client.flush().await;
    }

    /// Waits for a word from the asker; an error when he closes or is silent for too long. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn listen(&mut self) -> Result<(), Closed> {
        let until = self.heard.checked_add(SILENCE).unwrap_or(self.heard);
        let message = tokio::time::timeout_at(until, self.control.next()).await.map_err(|_| Closed)?.ok_or(Closed)?;
        self.heard = Instant::now();
        match serde_json::from_slice(&message.payload) {
            Ok(StreamControl::Credit(more)) => {
                self.credit = self.credit.saturating_add(more);
                Ok(())
            }
            Ok(StreamControl::Bytes(bytes)) => {
                self.said.push_back(bytes.0);
                let waiting: usize = self.said.iter().map(Vec::len).sum();
                if waiting > UNHEARD { Err(Closed) } else { Ok(()) }
            }
            Ok(StreamControl::Close) | Err(_) => Err(Closed),
        }
    }

    /// What the asker has said and nobody has taken yet, in his order.
    pub fn said(&mut self) -> Option<Vec<u8>> {
        self.said.pop_front()
    }

    async fn put(&self, frame: &StreamFrame) -> Result<(), Closed> {
        let body = serde_json::to_vec(frame).unwrap_or_default();
        self.client.publish(self.reply.clone(), body.into()).await.map_err(|_| Closed)
    }
}

/// Answers a question for a stream with why there is none.
pub async fn refuse(client: &Client, reply: Subject, problem: Problem) {
    let body = serde_json::to_vec(&StreamFrame::End { problem: Some(problem) }).unwrap_or_default();
    if let Err(error) = client.publish(reply, body.into()).await {
        tracing::debug!("a question could not be answered: {error}");
    }
}
