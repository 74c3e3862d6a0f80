//! `POST /stacks/{id}/deploy`: the next version and the convergence to it, in one command.

use axum::extract::State;
use orrery_contracts::Action;
use orrery_contracts::command::{CommandType, StackVersionCreate};
use orrery_contracts::rest::NewVersion;

use super::stack_create::comment;
use super::version_create::next_version;
use super::{About, Order, Subject, Writer, checks, sources};
use crate::extract::{Accepted, At, Body, IfMatch};
use crate::problems::Answer;
use crate::queries::stacks::StackPath;
use crate::state::Api;

/// Makes a version and applies it; with `If-Match` only when nobody saved in between.
pub async fn deploy(
    State(api): State<Api>,
    writer: Writer,
    IfMatch(expected_version): IfMatch,
    At(path): At<StackPath>,
    Body(new): Body<NewVersion>,
) -> Answer<Accepted> {
    let bundle = sources::named(&api, new.bundle, new.digest.as_ref()).await?;
    let same = |action: &Action| matches!(action, Action::StackDeploy { source, .. } if source.digest() == bundle.digest());
    let stack = match writer.subject(&api, &path.id, same).await? {
        Subject::Stack(stack) => stack,
        Subject::Repeated(answer) => return Ok(*answer),
    };
    checks::definition_can_run(&bundle, &stack.project).await?;
    let sent = sources::sent(&api, bundle).await?;
    let payload = StackVersionCreate { bundle: sent.bundle, digest: sent.digest, comment: comment(new.comment)?, expected_version };
    let order = Order::new(&writer, CommandType::StackDeploy, stack.id.to_string(), payload)?;
    if let Some(before) = order.made_before(&api, &writer).await? {
        return Ok(before);
    }
    let next = next_version(&api, &stack, expected_version).await?;
    order.place(&api, &writer, About::stack(&stack, Some(next))).await
}
