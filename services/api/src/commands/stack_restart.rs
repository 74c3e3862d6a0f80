//! `POST /stacks/{id}/restart`: stop and start.

use axum::extract::State;
use orrery_contracts::command::{CommandType, NoFields};
use orrery_contracts::rest::Empty;

use super::{About, Order};
use crate::auth::{Client, Principal};
use crate::extract::{Accepted, At, Body, Idempotency};
use crate::problems::Answer;
use crate::queries::stacks;
use crate::state::Api;

/// Restarts the containers of the current version.
pub async fn restart(
    State(api): State<Api>,
    principal: Principal,
    client: Client,
    key: Idempotency,
    At(path): At<stacks::StackPath>,
    Body(Empty {}): Body<Empty>,
) -> Answer<Accepted> {
    principal.may_write()?;
    let stack = stacks::fetch(&api, &principal, &path.id).await?;
    let order = Order::new(&principal, CommandType::StackRestart, stack.id.to_string(), NoFields {})?;
    order.place(&api, &principal, &client, &key, About::stack(&stack, stack.current_version)).await
}
