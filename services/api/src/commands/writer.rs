//! Who asks for a change, and on which terms: everything that a request brings beside what it is about.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use orrery_contracts::rest::{Machine, Stack};
use orrery_contracts::{Action, Code, CommandId, CommandMessage, OnFailure};
use schemars::JsonSchema;
use serde::Deserialize;

use super::order;
use crate::auth::{Client, Principal};
use crate::extract::{Accepted, Idempotency, Params};
use crate::problems::{Answer, Refusal};
use crate::queries::named;
use crate::state::Api;

/// Somebody who may write, and what he says of his command.
#[derive(Clone, Debug)]
pub struct Writer {
    /// Who.
    pub principal: Principal,
    /// From where.
    pub client: Client,
    /// Which request this is.
    pub key: Idempotency,
    /// On which terms.
    pub terms: Terms,
}

/// The terms of a command, in the address of its request.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What happens to the queue when the command fails: `hold` (the default) or `release`.
    pub on_failure: Option<OnFailure>,
    /// How long one run may take, in seconds; without one there is no limit.
    pub deadline_seconds: Option<u64>,
}

/// The machine of a request; or, where a repeated request outlived it, the command that it made.
pub enum MachineSubject {
    /// The machine.
    Machine(Box<Machine>),
    /// The answer of the first time.
    Repeated(Box<Accepted>),
}

/// The stack of a request; or, where a repeated request outlived its stack, the command that it made.
pub enum Subject {
    /// The stack.
    Stack(Box<Stack>),
    /// The answer of the first time.
    Repeated(Box<Accepted>),
}

impl Writer {
    /// The id of the command: the same for the same user and key.
    pub fn command_id(&self) -> CommandId {
        self.key.command_id(&self.principal.name)
    }

    /// The stack that the request is about; `same` recognises the request in the command that it made before.
    ///
    /// # Errors
    /// 404 when there is none, 409 when the name means several, 422 when the key was used for another request.
    pub async fn subject(&self, api: &Api, reference: &str, same: impl Fn(&Action) -> bool) -> Answer<Subject> {
        match named::fetch::<Stack>(api, &self.principal, reference).await {
            Ok(stack) => Ok(Subject::Stack(Box::new(stack))),
            Err(refusal) => self.made_before(api, same).await?.map(Subject::Repeated).ok_or(refusal),
        }
    }

    /// The same for a machine.
    ///
    /// # Errors
    /// As [`Writer::subject`].
    pub async fn machine(&self, api: &Api, reference: &str, same: impl Fn(&Action) -> bool) -> Answer<MachineSubject> {
        match named::fetch::<Machine>(api, &self.principal, reference).await {
            Ok(machine) => Ok(MachineSubject::Machine(Box::new(machine))),
            Err(refusal) => match self.made_before(api, same).await? {
                Some(answer) => Ok(MachineSubject::Repeated(answer)),
                None => Err(refusal),
            },
        }
    }

    /// The answer of the first time, where the key was used for the same request.
    ///
    /// # Errors
    /// 422 when it was used for another.
    pub(crate) async fn made_before(&self, api: &Api, same: impl Fn(&Action) -> bool) -> Answer<Option<Box<Accepted>>> {
        if !self.key.is_given() {
            return Ok(None);
        }
        let Some((published, body)) = api.broker.command_under(self.command_id()).await? else { return Ok(None) };
        match CommandMessage::read(&body) {
            Ok(message) if same(&message.action) => order::shown(api, published).await.map(|answer| Some(Box::new(answer))),
            Ok(_) | Err(_) => Err(key_reused()),
        }
    }
}

/// The refusal of a key that stands for another request.
pub(crate) fn key_reused() -> Refusal {
    Refusal::new(Code::IdempotencyKeyReused, "this Idempotency-Key was used for another request; take a new one")
}

impl FromRequestParts<Api> for Writer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Answer<Self> {
        let principal = Principal::from_request_parts(parts, api).await?;
        principal.may_write()?;
        let Ok(client) = Client::from_request_parts(parts, api).await;
        let key = Idempotency::from_request_parts(parts, api).await?;
        let Params(terms) = Params::<Terms>::from_request_parts(parts, api).await?;
        if terms.deadline_seconds == Some(0) {
            return Err(Refusal::invalid("deadline_seconds=0: give a command at least a second"));
        }
        Ok(Self { principal, client, key, terms })
    }
}

impl OperationInput for Writer {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Idempotency::operation_input(ctx, operation);
        Params::<Terms>::operation_input(ctx, operation);
    }
}
