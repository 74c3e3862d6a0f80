//! Which secrets a stack has, and to what values are sealed. Values are shown to nobody.

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{Empty, List, Stack};
use orrery_contracts::{Engine, SealingKey, Secret};

use super::named::{self, NamedPath};
use super::read;
use crate::auth::Principal;
use crate::extract::At;
use crate::problems::Answer;
use crate::state::Api;

/// `GET /secrets/{id}`: by name.
pub async fn list(State(api): State<Api>, principal: Principal, At(path): At<NamedPath>) -> Answer<Json<List<Secret>>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    let found = sqlx::query_scalar!("SELECT secrets FROM read.stacks WHERE id = $1", stack.id.uuid()).fetch_optional(&api.database).await?;
    let items = found.map(|found| read("secrets", found)).transpose()?.unwrap_or_default();
    Ok(Json(List { items, next: None }))
}

/// `GET /stacks/{id}/sealing-key`: for who seals by himself and publishes the command.
pub async fn key(State(api): State<Api>, principal: Principal, At(path): At<NamedPath>) -> Answer<Json<SealingKey>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    sealing_key(&api, &stack).await.map(Json)
}

/// The public key of the executor that has a stack.
///
/// # Errors
/// 503 when it is away.
pub(crate) async fn sealing_key(api: &Api, stack: &Stack) -> Answer<SealingKey> {
    api.broker.ask(&api.executors, (Engine::Docker, &stack.host), "sealing", &Empty {}).await
}
