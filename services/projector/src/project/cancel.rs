//! A request to stop a running command. It is no transition, and has no effect on any other.

use orrery_contracts::{CancelRequest, StackId};

use super::{Projection, Verdict};
use crate::errors::ProjectError;
use crate::message::Message;
use crate::queries::commands;

pub(super) async fn apply(to: &mut Projection<'_>, message: &Message, seq: u64) -> Result<Verdict, ProjectError> {
    let request: CancelRequest = match serde_json::from_slice(&message.body) {
        Ok(request) => request,
        Err(error) => return Ok(Verdict::unreadable(&error)),
    };
    if request.seq != seq {
        return Ok(Verdict::Passed(format!("it is about command {} and lies under {seq}", request.seq)));
    }
    if !commands::cancel_requested(to.db, seq, request.attempt).await? {
        return Ok(Verdict::Passed(format!("command {seq} does not run in attempt {}", request.attempt)));
    }
    let stack = commands::stack_of(to.db, seq).await?;
    to.changes.command(seq, stack.map(StackId::new));
    Ok(Verdict::Taken)
}
