//! `POST /stacks/{id}/rollback/{version}`: converge to an earlier version. No version is made.

use axum::extract::State;
use orrery_contracts::command::{CommandType, StackRollback};
use orrery_contracts::rest::Empty;

use super::stack_apply::{can_run, version_of};
use super::{About, Order};
use crate::auth::{Client, Principal};
use crate::extract::{Accepted, At, Body, Idempotency};
use crate::problems::Answer;
use crate::queries::stacks;
use crate::queries::versions::VersionPath;
use crate::state::Api;

/// Rolls back.
pub async fn rollback(
    State(api): State<Api>,
    principal: Principal,
    client: Client,
    key: Idempotency,
    At(path): At<VersionPath>,
    Body(Empty {}): Body<Empty>,
) -> Answer<Accepted> {
    principal.may_write()?;
    let stack = stacks::fetch(&api, &principal, &path.id).await?;
    let version = version_of(&api, &stack, path.version).await?;
    let payload = StackRollback { version: version.version, digest: Some(version.digest.clone()) };
    let order = Order::new(&principal, CommandType::StackRollback, stack.id.to_string(), payload)?;
    if let Some(before) = order.made_before(&api, &principal, &key).await? {
        return Ok(before);
    }
    can_run(&api, &stack, &version).await?;
    order.place(&api, &principal, &client, &key, About::stack(&stack, Some(version.version))).await
}
