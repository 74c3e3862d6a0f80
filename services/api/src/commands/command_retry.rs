//! `POST /commands/{id}/retry`: puts a FAILED command back, for its next attempt.

use axum::extract::State;
use orrery_contracts::rest::Empty;

use super::command_cancel::answer;
use super::order::keep_in_audit;
use crate::auth::{Client, Principal};
use crate::extract::{Accepted, At, Body};
use crate::problems::Answer;
use crate::queries::commands::{self, CommandPath};
use crate::state::Api;

/// Retries.
pub async fn retry(
    State(api): State<Api>,
    principal: Principal,
    client: Client,
    At(path): At<CommandPath>,
    Body(Empty {}): Body<Empty>,
) -> Answer<Accepted> {
    principal.may_write()?;
    let command = commands::fetch(&api, &principal, &path.id).await?;
    let standing = commands::standing(&api, command.seq).await?;
    let moved = api.broker.retry(&standing, principal.name.as_str()).await?;
    keep_in_audit(&api, &principal, &client, "command.retry", command.seq);
    answer(&api, &principal, command, moved, "retried").await
}
