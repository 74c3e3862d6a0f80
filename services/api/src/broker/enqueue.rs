//! Putting a command on the queue: once, however often it is tried, and only said to be there when the broker has it.

use std::time::Duration;

use bytes::Bytes;
use orrery_contracts::{Code, CommandId, Time, subjects};
use tokio::time::{Instant, sleep, timeout};

use super::{Broker, EXCHANGE, PATIENCE, away};
use crate::problems::{Answer, Refusal};

/// A command that the broker has.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Its place in the one order.
    pub seq: u64,
    /// False when it lay there before this request.
    pub is_new: bool,
    /// When it was accepted.
    pub at: Time,
}

impl Broker {
    /// Publishes a command under an id. The broker takes an id once, so trying again is safe; what lies there already
    /// with the same body counts as published now.
    ///
    /// # Errors
    /// 503 when the broker is away, 507 when it has no room, 422 when another command has this id.
    pub async fn publish_command(&self, id: CommandId, body: Bytes) -> Answer<Published> {
        let deadline = Instant::now() + PATIENCE;
        let subject = subjects::command(subjects::API_PUBLISHER, id);
        loop {
            self.connected(deadline).await?;
            match self.try_to_publish(&subject, body.clone()).await {
                Ok(published) => return Ok(published),
                Err(refusal) if refusal.code() != Code::BrokerAway || Instant::now() >= deadline => return Err(refusal),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn try_to_publish(&self, subject: &str, body: Bytes) -> Answer<Published> {
        self.must_have_room().await?;
        let sent = timeout(EXCHANGE, async { self.link.jetstream().publish(subject.to_owned(), body.clone()).await?.await }).await;
        if let Ok(Ok(acknowledged)) = &sent {
            return Ok(Published { seq: acknowledged.sequence, is_new: true, at: time::OffsetDateTime::now_utc().into() });
        }
        // Refused or not answered: only the stream knows.
        match self.last_on(subjects::COMMANDS, subject).await? {
            Some(message) if message.payload == body => Ok(Published { seq: message.sequence, is_new: false, at: message.time.into() }),
            Some(_) => Err(Refusal::new(Code::IdempotencyKeyReused, "this Idempotency-Key was used for another request; take a new one")),
            None => Err(match sent {
                Ok(Err(error)) if self.is_full().await => {
                    Refusal::new(Code::StorageFull, format!("the broker takes no more commands: {error}"))
                }
                Ok(Err(error)) => away(&error.to_string()),
                Ok(Ok(_)) | Err(_) => away("it did not acknowledge the command; repeat the request with the same Idempotency-Key"),
            }),
        }
    }

    /// The command that lies under an id of ours, when there is one.
    ///
    /// # Errors
    /// When the broker is away.
    pub async fn command_under(&self, id: CommandId) -> Answer<Option<(Published, Bytes)>> {
        let deadline = Instant::now() + PATIENCE;
        self.connected(deadline).await?;
        let found = self.last_on(subjects::COMMANDS, &subjects::command(subjects::API_PUBLISHER, id)).await?;
        Ok(found.map(|message| (Published { seq: message.sequence, is_new: false, at: message.time.into() }, message.payload)))
    }
}
