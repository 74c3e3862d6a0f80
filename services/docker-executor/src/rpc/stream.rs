//! A streaming answer: frames on the asker's inbox, never more than he has given credit for, ended when he closes it or
//! gives no sign of life.

use std::time::Duration;

use async_nats::{Client, Subject, Subscriber};
use futures::StreamExt;
use orrery_contracts::rpc::{INITIAL_CREDIT, StreamControl, StreamFrame};
use orrery_contracts::{Engine, Problem, subjects};
use tokio::time::Instant;
use uuid::Uuid;

/// Without a sign of life for so long nobody is there any more.
const SILENCE: Duration = Duration::from_secs(30);

/// The asker has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// An open stream to an asker.
pub(super) struct Frames {
    client: Client,
    reply: Subject,
    control: Subscriber,
    credit: u32,
    heard: Instant,
}

impl Frames {
    /// Opens a stream: the first frame says where it is steered.
    pub(super) async fn open(client: &Client, reply: Subject, host: &str) -> Result<Self, Closed> {
        let control = subjects::rpc(Engine::Docker, host, &format!("control.{}", Uuid::new_v4().simple()));
        let subscriber = client.subscribe(control.clone()).await.map_err(|_| Closed)?;
        let stream = Self { client: client.clone(), reply, control: subscriber, credit: INITIAL_CREDIT, heard: Instant::now() };
        stream.put(&StreamFrame::Open { control }).await?;
        Ok(stream)
    }

    /// Sends a frame when there is credit for it.
    pub(super) async fn send(&mut self, frame: &StreamFrame) -> Result<(), Closed> {
        while self.credit == 0 {
            self.listen().await?;
        }
        self.credit = self.credit.saturating_sub(1);
        self.put(frame).await
    }

    /// The end.
    pub(super) async fn end(&mut self, problem: Option<Problem>) {
        let _ = self.put(&StreamFrame::End { problem }).await;
        let _ = self.client.flush().await;
    }

    /// Waits for a word from the asker; an error when he closes or is silent for too long.
    pub(super) async fn listen(&mut self) -> Result<(), Closed> {
        let until = self.heard.checked_add(SILENCE).unwrap_or(self.heard);
        let message = tokio::time::timeout_at(until, self.control.next()).await.map_err(|_| Closed)?.ok_or(Closed)?;
        self.heard = Instant::now();
        match serde_json::from_slice(&message.payload) {
            Ok(StreamControl::Credit(more)) => {
                self.credit = self.credit.saturating_add(more);
                Ok(())
            }
            Ok(StreamControl::Close) | Err(_) => Err(Closed),
        }
    }

    async fn put(&self, frame: &StreamFrame) -> Result<(), Closed> {
        let body = serde_json::to_vec(frame).unwrap_or_default();
        self.client.publish(self.reply.clone(), body.into()).await.map_err(|_| Closed)
    }
}
