//! `POST /stacks/{id}/delete`: removes a stack, and its named volumes only when told.

use axum::extract::State;
use orrery_contracts::CommandMessage;
use orrery_contracts::command::{CommandType, StackDelete};
use orrery_contracts::rest::DeleteStack;
use orrery_contracts::{Action, Code};

use super::{About, Order, order};
use crate::auth::{Client, Principal};
use crate::extract::{Accepted, At, Body, Idempotency};
use crate::problems::{Answer, Refusal};
use crate::queries::stacks;
use crate::state::Api;

/// Deletes a stack.
pub async fn delete(
    State(api): State<Api>,
    principal: Principal,
    client: Client,
    key: Idempotency,
    At(path): At<stacks::StackPath>,
    Body(DeleteStack { volumes }): Body<DeleteStack>,
) -> Answer<Accepted> {
    principal.may_write()?;
    let stack = match stacks::fetch(&api, &principal, &path.id).await {
        Ok(stack) => stack,
        Err(refusal) => return deleted_before(&api, &principal, &key, volumes).await?.ok_or(refusal),
    };
    let order = Order::new(&principal, CommandType::StackDelete, stack.id.to_string(), StackDelete { volumes })?;
    order.place(&api, &principal, &client, &key, About::stack(&stack, None)).await
}

/// A repeated delete finds no stack any more; its key still finds its command.
async fn deleted_before(api: &Api, principal: &Principal, key: &Idempotency, volumes: bool) -> Answer<Option<Accepted>> {
    if !key.is_given() {
        return Ok(None);
    }
    let Some((published, body)) = api.broker.command_under(key.command_id(&principal.name)).await? else { return Ok(None) };
    match CommandMessage::read(&body).map(|message| message.action) {
        Ok(Action::StackDelete { volumes: before }) if before == volumes => order::shown(api, published).await.map(Some),
        Ok(_) | Err(_) => {
            Err(Refusal::new(Code::IdempotencyKeyReused, "this Idempotency-Key was used for another request; take a new one"))
        }
    }
}
