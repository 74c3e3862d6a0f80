//! `POST /commands/{id}/cancel`: ends a command that waits or has failed, and asks one that runs to stop.

use std::time::Duration;

use axum::extract::State;
use orrery_contracts::rest::{Command, Empty};
use orrery_contracts::{Code, CommandState};

use super::order::keep_in_audit;
use crate::auth::{Client, Principal};
use crate::broker::Moved;
use crate::consistency::{self, Stream};
use crate::extract::{Accepted, At, Body};
use crate::problems::{Answer, Refusal};
use crate::queries::commands::{self, CommandPath, Wanted};
use crate::state::Api;

/// How long the answer waits for the read model to show what was done.
const PATIENCE: Duration = Duration::from_secs(5);

/// Cancels. The answer is the command as it is now: CANCELLED, or RUNNING with `cancel_requested`.
pub async fn cancel(
    State(api): State<Api>,
    principal: Principal,
    client: Client,
    At(path): At<CommandPath>,
    Body(Empty {}): Body<Empty>,
) -> Answer<Accepted> {
    principal.may_write()?;
    let command = commands::fetch(&api, &principal, &path.id).await?;
    let standing = commands::standing(&api, command.seq).await?;
    let moved = api.broker.cancel(&standing, principal.name.as_str()).await?;
    keep_in_audit(&api, &principal, &client, "command.cancel", command.seq);
    answer(&api, &principal, command, moved, "cancelled").await
}

/// The command after it was moved, or why it could not be.
pub(crate) async fn answer(api: &Api, principal: &Principal, command: Command, moved: Moved, done: &str) -> Answer<Accepted> {
    let event = match moved {
        Moved::Made(event) | Moved::Asked(event) => event,
        Moved::Impossible(state) => return Err(impossible(command.seq, &state, done)),
    };
    api.written.note(Stream::Events, event);
    consistency::reached(api, Stream::Events, event, PATIENCE).await?;
    let shown = commands::by_seq(api, &Wanted::seen_by(principal.sees_only()), command.seq).await?;
    Ok(Accepted(shown.unwrap_or(command)))
}

fn impossible(seq: u64, state: &CommandState, done: &str) -> Refusal {
    Refusal::new(Code::Conflict, format!("command {seq} is {} and cannot be {done}", state.status().as_str()))
}
