//! `POST /stacks/{id}/rollback/{version}`: converge to an earlier version. No version is made.

use axum::extract::State;
use orrery_contracts::Action;
use orrery_contracts::command::{CommandType, Rollback, StackAction, Versioning};
use orrery_contracts::rest::Empty;

use super::stack_apply::{can_run, version_of};
use super::{About, Order, Subject, Writer};
use crate::extract::{Accepted, At, Body};
use crate::problems::Answer;
use crate::queries::line::Line;
use crate::queries::versions::VersionPath;
use crate::state::Api;

/// Rolls back.
pub async fn rollback(State(api): State<Api>, writer: Writer, At(path): At<VersionPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    let same = |action: &Action| matches!(action, Action::Stack(StackAction::Versioning(Versioning::Rollback { version, .. })) if *version == path.version);
    let stack = match writer.subject(&api, &path.id, same).await? {
        Subject::Stack(stack) => stack,
        Subject::Repeated(answer) => return Ok(*answer),
    };
    let version = version_of(&api, &Line::from(&*stack), path.version).await?;
    let payload = Rollback { version: version.version, digest: Some(version.digest.clone()) };
    let order = Order::new(&writer, CommandType::StackRollback, stack.id.to_string(), payload)?;
    if let Some(before) = order.made_before(&api, &writer).await? {
        return Ok(before);
    }
    can_run(&api, &Line::from(&*stack), &version).await?;
    order.place(&api, &writer, About::stack(&stack, Some(version.version))).await
}
