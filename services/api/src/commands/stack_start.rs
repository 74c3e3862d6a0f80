//! `POST /stacks/{id}/start`: start what is stopped.

use axum::extract::State;
use orrery_contracts::Action;
use orrery_contracts::command::{CommandType, NoFields, StackAction};
use orrery_contracts::rest::Empty;

use super::{About, Order, Subject, Writer};
use crate::extract::{Accepted, At, Body};
use crate::problems::Answer;
use crate::queries::named::NamedPath;
use crate::state::Api;

/// Starts the containers of the current version.
pub async fn start(State(api): State<Api>, writer: Writer, At(path): At<NamedPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    let stack = match writer.subject(&api, &path.id, |action| matches!(action, Action::Stack(StackAction::Start))).await? {
        Subject::Stack(stack) => stack,
        Subject::Repeated(answer) => return Ok(*answer),
    };
    let order = Order::new(&writer, CommandType::StackStart, stack.id.to_string(), NoFields {})?;
    order.place(&api, &writer, About::stack(&stack, stack.current_version)).await
}
