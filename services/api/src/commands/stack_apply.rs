//! `POST /stacks/{id}/apply/{version}`: converge to a version.

use axum::extract::State;
use orrery_contracts::command::{CommandType, StackApply};
use orrery_contracts::rest::{Empty, Stack};

use super::{About, Expected, Order, checks};
use crate::auth::{Client, Principal};
use crate::extract::{Accepted, At, Body, Idempotency};
use crate::problems::{Answer, Refusal};
use crate::queries::stacks;
use crate::queries::versions::{self, VersionPath};
use crate::state::Api;

/// Applies a version.
pub async fn apply(
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
    let payload = StackApply { version: Some(version.version), digest: Some(version.digest.clone()), ..StackApply::default() };
    let order = Order::new(&principal, CommandType::StackApply, stack.id.to_string(), payload)?;
    if let Some(before) = order.made_before(&api, &principal, &key).await? {
        return Ok(before);
    }
    can_run(&api, &stack, &version).await?;
    order.place(&api, &principal, &client, &key, About::stack(&stack, Some(version.version))).await
}

/// A version that exists or that a waiting command will make.
pub(crate) async fn version_of(api: &Api, stack: &Stack, version: u32) -> Answer<Expected> {
    if let Some(found) = Expected::find(api, stack, version).await? {
        return Ok(found);
    }
    // It may have been made this very moment.
    let found = versions::of(api, stack, version).await?;
    let expected = Expected::find(api, stack, found.version).await?;
    expected.ok_or_else(|| Refusal::not_found(format!("version {version} of the stack {:?}", stack.name)))
}

/// Refuses a version whose definition Orrery does not run.
pub(crate) async fn can_run(api: &Api, stack: &Stack, version: &Expected) -> Answer<()> {
    if version.is_stored() {
        return checks::stored_definition_can_run(api, &version.digest, &stack.project).await;
    }
    checks::definition_can_run(&version.bundle(api).await?, &stack.project).await
}
