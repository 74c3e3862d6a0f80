//! A third party at the broker: his own credentials, his own account, his own names for everything.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::jetstream;
use orrery_contracts::rest::Command;
use orrery_contracts::rpc::StatusAnswer;
use orrery_contracts::{Problem, Status};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::wait::eventually;

/// A publisher, connected as the file of his credentials says.
#[derive(Clone, Debug)]
pub struct Publisher {
    client: async_nats::Client,
}

/// What the broker said to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The command's id.
    pub id: String,
    /// Its place in the one order.
    pub seq: u64,
}

impl Publisher {
    /// Signs in with what lies in `<data dir>/publishers/<name>.env`, as his program would.
    ///
    /// # Errors
    /// When the file is wrong or the broker does not let him in.
    pub async fn sign_in(credentials: &str) -> anyhow::Result<Self> {
        let value = |name: &str| {
            let line = credentials.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.map(str::to_owned).with_context(|| format!("{name} is missing"))
        };
        let (user, password) = (value("NATS_USER")?, value("NATS_PASSWORD")?);
        let client = async_nats::ConnectOptions::with_user_and_password(user.clone(), password)
            .custom_inbox_prefix(format!("_INBOX.{user}"))
            .request_timeout(Some(Duration::from_secs(70)))
            .connect(value("NATS_URL")?)
            .await?;
        Ok(Self { client })
    }

    /// Publishes a body under an id; the broker's acknowledgement, or its refusal as it came.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn publish_raw(&self, id: &str, body: impl Into<bytes::Bytes>) -> anyhow::Result<Value> {
        let answer = self.client.request(format!("orrery.commands.{id}"), body.into()).await?;
        serde_json::from_slice(&answer.payload).with_context(|| format!("no acknowledgement: {answer:?}"))
    }

    /// Publishes a command under a new id.
    ///
    /// # Errors
    /// When the broker does not take it.
    pub async fn publish(&self, body: &Value) -> anyhow::Result<Acknowledged> {
        self.publish_bytes(body.to_string().into_bytes()).await
    }

    /// Publishes any bytes under a new id.
    ///
    /// # Errors
    /// When the broker does not take them.
    pub async fn publish_bytes(&self, body: Vec<u8>) -> anyhow::Result<Acknowledged> {
        let id = Uuid::now_v7().to_string();
        self.publish_under(&id, body).await
    }

    /// Publishes any bytes under this id.
    ///
    /// # Errors
    /// When the broker does not take them.
    pub async fn publish_under(&self, id: &str, body: Vec<u8>) -> anyhow::Result<Acknowledged> {
        let answer = self.publish_raw(id, body).await?;
        let seq = answer.get("seq").and_then(Value::as_u64).with_context(|| format!("refused: {answer}"))?;
        ensure!(answer.get("stream").and_then(Value::as_str) == Some("COMMANDS"), "acknowledged by another stream: {answer}");
        Ok(Acknowledged { id: id.to_owned(), seq })
    }

    /// Asks for one of his commands, waiting for its end. While the api connects again, nobody listens: as any client does,
    /// he asks again.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn ask(&self, question: &Value) -> anyhow::Result<Result<Command, Problem>> {
        let asked = || async { Ok(Some(self.client.request("orrery.status", question.to_string().into()).await?)) };
        let answer = eventually("an answer about a command", Duration::from_secs(90), asked).await?;
        match serde_json::from_slice(&answer.payload).with_context(|| String::from_utf8_lossy(&answer.payload).into_owned())? {
            StatusAnswer::Command(command) => Ok(Ok(*command)),
            StatusAnswer::Problem(problem) => Ok(Err(problem)),
        }
    }

    /// Waits until a command of his is DONE, CANCELLED or FAILED.
    ///
    /// # Errors
    /// When it takes too long, or it is not his.
    pub async fn settled(&self, id: &str) -> anyhow::Result<Command> {
        for _ in 0..10 {
            let question = json!({"id": id, "wait": "30s"});
            let command = self.ask(&question).await?.map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
            match command.status {
                Status::Done | Status::Cancelled | Status::Failed => return Ok(command),
                Status::Pending | Status::Running => {}
            }
        }
        anyhow::bail!("{id} has not settled within five minutes")
    }

    /// Publishes a command that must end DONE.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn done(&self, body: &Value) -> anyhow::Result<Command> {
        let id = self.publish(body).await?.id;
        let command = self.settled(&id).await?;
        ensure!(command.status == Status::Done, "{body} ended {:?}: {:?} {:?}", command.status, command.reason, command.error);
        Ok(command)
    }

    /// Publishes a command that must end as a rejection; answers its reason.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn rejected(&self, body: &[u8]) -> anyhow::Result<String> {
        let id = self.publish_bytes(body.to_vec()).await?.id;
        let command = self.settled(&id).await?;
        let reason = command.reason.unwrap_or_default();
        let said = String::from_utf8_lossy(body);
        ensure!(command.status == Status::Cancelled && reason.starts_with("rejected:"), "{said} ended {:?}: {reason:?}", command.status);
        Ok(reason)
    }

    /// The client underneath.
    #[must_use]
    pub const fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// JetStream as this publisher may use it: not at all, which is what a test wants to see.
    #[must_use]
    pub fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.client.clone())
    }
}
