//! `POST /stacks/{id}/delete`: removes a stack, and its named volumes only when told.

use axum::extract::State;
use orrery_contracts::Action;
use orrery_contracts::command::{CommandType, StackAction, StackDelete};
use orrery_contracts::rest::DeleteStack;

use super::{About, Order, Subject, Writer};
use crate::extract::{Accepted, At, Body};
use crate::problems::Answer;
use crate::queries::named::NamedPath;
use crate::state::Api;

/// Deletes a stack.
pub async fn delete(
    State(api): State<Api>,
    writer: Writer,
    At(path): At<NamedPath>,
    Body(DeleteStack { volumes }): Body<DeleteStack>,
) -> Answer<Accepted> {
    let same = |action: &Action| matches!(action, Action::Stack(StackAction::Delete { volumes: before }) if *before == volumes);
    let stack = match writer.subject(&api, &path.id, same).await? {
        Subject::Stack(stack) => stack,
        Subject::Repeated(answer) => return Ok(*answer),
    };
    let order = Order::new(&writer, CommandType::StackDelete, stack.id.to_string(), StackDelete { volumes })?;
    order.place(&api, &writer, About::stack(&stack, None)).await
}
