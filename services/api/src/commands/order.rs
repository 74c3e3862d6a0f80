//! One command on its way to the queue: its bytes, its id, and the answer to whoever asked for it.

use std::time::Duration;

use bytes::Bytes;
use orrery_contracts::command::{COMMAND_SCHEMA, CommandType, NewCommand};
use orrery_contracts::rest::{Command, Machine, Stack};
use orrery_contracts::{MachineId, StackId, Status, Versioned, subjects};
use serde::Serialize;
use uuid::Uuid;

use super::writer::{Writer, key_reused};
use crate::auth::{Client, Principal, audit};
use crate::broker::Published;
use crate::consistency::{self, Stream};
use crate::extract::Accepted;
use crate::problems::{Answer, Refusal};
use crate::queries::commands::{self, Wanted};
use crate::state::Api;

/// How long the answer to a repeated request waits for the read model.
const PATIENCE: Duration = Duration::from_secs(2);

/// A command that is about to be put on the queue.
pub(crate) struct Order {
    kind: CommandType,
    target: String,
    body: Bytes,
}

/// What a command is about, as far as it is known before it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// The stack or machine; none for one that is to be made.
    pub(crate) of: Option<Versioned>,
    /// Its name.
    pub(crate) name: String,
    /// The version.
    pub(crate) version: Option<u32>,
}

impl About {
    /// About a stack, and perhaps one of its versions.
    pub(crate) fn stack(stack: &Stack, version: Option<u32>) -> Self {
        Self { of: Some(stack.id.into()), name: stack.name.clone(), version }
    }

    /// About a machine, and perhaps one of its versions.
    pub(crate) fn machine(machine: &Machine, version: Option<u32>) -> Self {
        Self { of: Some(machine.id.into()), name: machine.name.clone(), version }
    }
}

impl Order {
    /// A command of this user: the same request makes the same bytes.
    pub(crate) fn new<P: Serialize>(writer: &Writer, kind: CommandType, target: impl Into<String>, payload: P) -> Answer<Self> {
        let target = target.into();
        let command = NewCommand {
            r#type: kind,
            schema: COMMAND_SCHEMA,
            target: target.clone(),
            payload,
            on_failure: writer.terms.on_failure.unwrap_or_default(),
            actor: Some(writer.principal.name.clone()),
            deadline_seconds: writer.terms.deadline_seconds,
        };
        let body = serde_json::to_vec(&command).map_err(|error| Refusal::internal("writing a command", &error))?;
        Ok(Self { kind, target, body: body.into() })
    }

    /// The answer to a request that was made before with the same key; none when it is a new one.
    pub(crate) async fn made_before(&self, api: &Api, writer: &Writer) -> Answer<Option<Accepted>> {
        if !writer.key.is_given() {
            return Ok(None);
        }
        let Some((published, body)) = api.broker.command_under(writer.command_id()).await? else { return Ok(None) };
        if body != self.body {
            return Err(key_reused());
        }
        shown(api, published).await.map(Some)
    }

    /// Puts the command on the queue and answers it; a repeated request is answered with the command of the first time.
    pub(crate) async fn place(self, api: &Api, writer: &Writer, about: About) -> Answer<Accepted> {
        let id = writer.command_id();
        let published = api.broker.publish_command(id, self.body.clone()).await?;
        api.written.note(Stream::Commands, published.seq);
        if !published.is_new
            && let Some(before) = self.made_before(api, writer).await?
        {
            return Ok(before);
        }
        keep_in_audit(api, &writer.principal, &writer.client, self.kind.as_str(), published.seq);
        let of = match (about.of, self.kind) {
            (Some(of), _) => Some(of),
            (None, CommandType::StackCreate) => installation(api).await.map(|id| StackId::derive(id, published.seq).into()),
            (None, CommandType::MachineCreate) => installation(api).await.map(|id| MachineId::derive(id, published.seq).into()),
            (None, _) => None,
        };
        let (stack_id, machine_id) = match of {
            Some(Versioned::Stack(id)) => (Some(id), None),
            Some(Versioned::Machine(id)) => (None, Some(id)),
            None => (None, None),
        };
        let name = Some(about.name);
        let (stack_name, machine_name) = match self.kind.as_str().split_once('.') {
            Some(("machine", _)) => (None, name),
            Some(("box", _)) => (None, None),
            Some(_) | None => (name, None),
        };
        Ok(Accepted(Command {
            id: id.to_string(),
            seq: published.seq,
            r#type: Some(self.kind.as_str().to_owned()),
            target: Some(self.target),
            stack_id,
            stack_name,
            machine_id,
            machine_name,
            version: about.version,
            status: Status::Pending,
            reason: None,
            error: None,
            publisher: subjects::API_PUBLISHER.to_owned(),
            actor: Some(writer.principal.name.to_string()),
            on_failure: writer.terms.on_failure.unwrap_or_default().as_str().to_owned(),
            attempt: 1,
            run: 0,
            cancel_requested: false,
            created_at: published.at,
            started_at: None,
            ended_at: None,
            plan: None,
            steps: Vec::new(),
        }))
    }
}

/// The command at a sequence as the read model shows it, for who has proved that it is his.
pub(crate) async fn shown(api: &Api, published: Published) -> Answer<Accepted> {
    consistency::reached(api, Stream::Commands, published.seq, PATIENCE).await?;
    let found = commands::by_seq(api, &Wanted::seen_by(None), published.seq).await?;
    found.map(Accepted).ok_or_else(|| Refusal::not_found(format!("command {}, which the broker has,", published.seq)))
}

/// Writes the audit beside the answer: the command itself is on the broker, with its actor.
pub(crate) fn keep_in_audit(api: &Api, principal: &Principal, client: &Client, action: &'static str, seq: u64) {
    let (api, user_id, username, client) = (api.clone(), principal.user_id, principal.name.to_string(), client.clone());
    tokio::spawn(async move {
        let subject = format!("command {seq}");
        let entry = audit::Entry { user_id: Some(user_id), username: &username, action, subject: Some(&subject), succeeded: true };
        audit::write(&api, entry, &client).await;
    });
}

/// The installation as the read model knows it; at the very beginning as the broker does.
async fn installation(api: &Api) -> Option<Uuid> {
    let known = sqlx::query_scalar!("SELECT id FROM meta.installation").fetch_optional(&api.database).await.ok().flatten();
    match known {
        Some(id) => Some(id),
        None => api.broker.installation().await.ok().flatten().map(|installation| installation.id),
    }
}
