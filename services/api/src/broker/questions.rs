//! Questions to executors: one answer, or a stream of frames under credit.
//!
//! An executor that nobody hears is waited for, ten seconds at most. Nothing here is stored, and nothing changes.

use std::time::Duration;

use async_nats::{RequestErrorKind, Subscriber};
use bytes::Bytes;
use futures::StreamExt as _;
use orrery_contracts::rpc::{Answer as Told, INITIAL_CREDIT, Raw, StreamControl, StreamFrame};
use orrery_contracts::{Code, Engine, subjects};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use super::{Broker, PATIENCE, away};
use crate::executors::Executors;
use crate::problems::{Answer, Refusal};

/// How long an executor may think about a question that it has received.
const THINKING: Duration = Duration::from_secs(60);
/// How often a stream's sender hears that somebody still reads.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

impl Broker {
    /// Asks an executor and waits for its answer, as long as the executor gives signs of life.
    ///
    /// # Errors
    /// 503 when the broker or the executor is away, or whatever the executor answers.
    pub async fn ask<Q: Serialize, T: DeserializeOwned>(
        &self,
        executors: &Executors,
        (engine, host): (Engine, &str),
        verb: &str,
        question: &Q,
    ) -> Answer<T> {
        let body = question_bytes(question)?;
        let subject = subjects::rpc(engine, host, verb);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.connected(deadline).await?;
            let request = async_nats::Request::new().payload(body.clone()).timeout(Some(THINKING));
            let asked = tokio::select! {
                asked = self.client().send_request(subject.clone(), request) => asked,
                () = executors.fallen_silent(engine, host) => return Err(nobody(engine, host)),
            };
            match asked {
                Ok(message) => return told(&message.payload),
                Err(error) if Instant::now() >= deadline => {
                    return Err(match error.kind() {
                        RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => nobody(engine, host),
                        RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::Other => {
                            away(&error.to_string())
                        }
                    });
                }
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Asks an executor for a stream of frames. Dropping it tells the sender that nobody reads any more.
    ///
    /// # Errors
    /// 503 when the broker or the executor is away, or whatever the executor answers first.
    pub async fn ask_for_frames<Q: Serialize>(
        &self,
        executors: &Executors,
        (engine, host): (Engine, &str),
        verb: &str,
        question: &Q,
    ) -> Answer<Frames> {
        let body = question_bytes(question)?;
        let subject = subjects::rpc(engine, host, verb);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.connected(deadline).await?;
            let client = self.client().clone();
            let inbox = client.new_inbox();
            let mut frames = client.subscribe(inbox.clone()).await.map_err(|error| away(&error.to_string()))?;
            client.publish_with_reply(subject.clone(), inbox, body.clone()).await.map_err(|error| away(&error.to_string()))?;
            let first = tokio::select! {
                first = timeout(THINKING, frames.next()) => first,
                () = executors.fallen_silent(engine, host) => return Err(nobody(engine, host)),
            };
            match first {
                Ok(Some(first)) if first.status == Some(async_nats::StatusCode::NO_RESPONDERS) => {}
                Ok(Some(first)) => return Frames::opened(client, frames, &first.payload),
                Ok(None) => return Err(away("the connection ended")),
                Err(_) => return Err(nobody(engine, host)),
            }
            if Instant::now() >= deadline {
                return Err(nobody(engine, host));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

fn question_bytes<Q: Serialize>(question: &Q) -> Answer<Bytes> {
    serde_json::to_vec(question).map(Bytes::from).map_err(|error| Refusal::internal("writing a question", &error))
}

fn told<T: DeserializeOwned>(body: &[u8]) -> Answer<T> {
    match serde_json::from_slice::<Told<T>>(body) {
        Ok(Told::Ok(answer)) => Ok(answer),
        Ok(Told::Err(problem)) => Err(Refusal::of(problem)),
        Err(error) => Err(Refusal::internal("reading an executor's answer", &error)),
    }
}

fn nobody(engine: Engine, host: &str) -> Refusal {
    Refusal::new(Code::ExecutorAway, format!("the executor {engine}@{host} does not answer; commands wait for it"))
}

/// Frames of an executor, with the credit that keeps them coming.
pub struct Frames {
    client: async_nats::Client,
    frames: Subscriber,
    control: String,
    owed: u32,
    told: Instant,
    ended: bool,
}

impl Frames {
    fn opened(client: async_nats::Client, frames: Subscriber, first: &[u8]) -> Answer<Self> {
        match serde_json::from_slice::<StreamFrame>(first) {
            Ok(StreamFrame::Open { control }) => Ok(Self { client, frames, control, owed: 0, told: Instant::now(), ended: false }),
            Ok(StreamFrame::End { problem: Some(problem) }) => Err(Refusal::of(problem)),
            Ok(StreamFrame::End { problem: None } | StreamFrame::Lines(_) | StreamFrame::Bytes(_)) => {
                Err(Refusal::new(Code::Internal, "the executor's stream does not begin as one"))
            }
            Err(error) => Err(Refusal::internal("reading an executor's stream", &error)),
        }
    }

    /// The next frame; none at the end. Signs of life are given while waiting. Dropping the future loses no frame.
    pub async fn next(&mut self) -> Option<StreamFrame> {
        while !self.ended {
            self.pay().await;
            let quiet = SIGN_OF_LIFE.saturating_sub(self.told.elapsed());
            let Ok(message) = timeout(quiet, self.frames.next()).await else { continue };
            match serde_json::from_slice::<StreamFrame>(&message?.payload) {
                Ok(frame) => {
                    self.ended = matches!(frame, StreamFrame::End { .. });
                    self.owed = self.owed.saturating_add(1);
                    return Some(frame);
                }
                Err(error) => tracing::warn!("a frame of an executor cannot be read: {error}"),
            }
        }
        None
    }

    /// Says something to who sends the frames, where the stream goes both ways.
    pub async fn say(&self, bytes: Vec<u8>) {
        self.tell(StreamControl::Bytes(Raw(bytes))).await;
    }

    /// Gives credit for what was read, half a window at a time, and a sign of life every ten seconds.
    async fn pay(&mut self) {
        if self.owed >= INITIAL_CREDIT / 2 || self.told.elapsed() >= SIGN_OF_LIFE {
            self.tell(StreamControl::Credit(self.owed)).await;
            // Only now: who stops waiting for a frame in the middle of this still owes it.
            (self.told, self.owed) = (Instant::now(), 0);
        }
    }

    async fn tell(&self, control: StreamControl) {
        let Ok(body) = serde_json::to_vec(&control) else { return };
        if let Err(error) = self.client.publish(self.control.clone(), body.into()).await {
            tracing::debug!("an executor was not told to go on: {error}");
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (client, control) = (self.client.clone(), std::mem::take(&mut self.control));
        let Ok(body) = serde_json::to_vec(&StreamControl::Close) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { client.publish(control, body.into()).await });
        }
    }
}
