//! `POST /stacks/{id}/apply/{version}`: converge to a version.

use axum::extract::State;
use orrery_contracts::Action;
use orrery_contracts::command::{CommandType, StackApply};
use orrery_contracts::rest::{Empty, Stack};

use super::{About, Expected, Order, Subject, Writer, checks};
use crate::extract::{Accepted, At, Body};
use crate::problems::{Answer, Refusal};
use crate::queries::versions::{self, VersionPath};
use crate::state::Api;

/// Applies a version.
pub async fn apply(State(api): State<Api>, writer: Writer, At(path): At<VersionPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    let same = |action: &Action| matches!(action, Action::StackApply { version, .. } if *version == path.version);
    let stack = match writer.subject(&api, &path.id, same).await? {
        Subject::Stack(stack) => stack,
        Subject::Repeated(answer) => return Ok(*answer),
    };
    let version = version_of(&api, &stack, path.version).await?;
    let payload = StackApply { version: Some(version.version), digest: Some(version.digest.clone()), ..StackApply::default() };
    let order = Order::new(&writer, CommandType::StackApply, stack.id.to_string(), payload)?;
    if let Some(before) = order.made_before(&api, &writer).await? {
        return Ok(before);
    }
    can_run(&api, &stack, &version).await?;
    order.place(&api, &writer, About::stack(&stack, Some(version.version))).await
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
