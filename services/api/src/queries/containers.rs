//! Containers of a stack, by service and number; without those that are being swapped in or kept for the way back.

use axum::Json;
use axum::extract::State;
use orrery_contracts::StackId;
use orrery_contracts::rest::{Container, List, Stack};
use uuid::Uuid;

use super::named::{self, NamedPath};
use super::{read, small, word};
use crate::auth::Principal;
use crate::extract::At;
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// `GET /stacks/{id}/containers`: all of them; a stack has no more than a page of them is long.
pub async fn list(State(api): State<Api>, principal: Principal, At(path): At<NamedPath>) -> Answer<Json<List<Container>>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    Ok(Json(List { items: of_stack(&api, stack.id).await?, next: None }))
}

/// The containers of a stack that the caller was shown.
pub(crate) async fn of_stack(api: &Api, stack: StackId) -> Answer<Vec<Container>> {
    let found = select(api, Wanted { stack: Some(stack.uuid()), ..Wanted::default() }).await?;
    found.into_iter().map(Row::container).collect()
}

/// Where a container is that the caller may see.
#[derive(Clone, Debug)]
pub struct Located {
    /// The engine's full id.
    pub id: String,
    /// The host.
    pub host: String,
}

/// The container with this id (or the beginning of it, twelve characters at least) among those the caller may see.
///
/// # Errors
/// 404.
pub async fn locate(api: &Api, principal: &Principal, id: &str) -> Answer<Located> {
    let not_found = || Refusal::not_found(format!("the container {id:?}"));
    if id.len() < 12 || !id.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(not_found());
    }
    let wanted = Wanted { prefix: Some(id.to_ascii_lowercase()), sees_only: principal.sees_only(), transient: true, ..Wanted::default() };
    let mut found = select(api, wanted).await?;
    match (found.pop(), found.is_empty()) {
        (Some(row), true) => Ok(Located { id: row.id, host: row.host }),
        (Some(_), false) | (None, _) => Err(not_found()),
    }
}

/// One container of a stack, as somebody who may see the stack is told of it.
pub(crate) async fn one(api: &Api, host: &str, id: &str) -> Answer<Option<Container>> {
    let found = select(api, Wanted { host: Some(host), prefix: Some(id.to_owned()), ..Wanted::default() }).await?;
    found.into_iter().find(|row| row.id == id).map(Row::container).transpose()
}

#[derive(Default)]
struct Wanted<'a> {
    stack: Option<Uuid>,
    sees_only: Option<&'a str>,
    host: Option<&'a str>,
    prefix: Option<String>,
    transient: bool,
}

/// The one statement that fetches containers: only those of stacks of this installation, and whose they are is part of it.
async fn select(api: &Api, wanted: Wanted<'_>) -> Answer<Vec<Row>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT c.host, c.id, c.name, c.service, c.number, c.image, c.state, c.health, c.exit_code, c.ports, c.started_at, c.version, c.drift
           FROM read.containers c JOIN read.stacks s ON s.id = c.stack_id
           WHERE c.installation = (SELECT id FROM meta.installation)
             AND ($1::uuid IS NULL OR c.stack_id = $1)
             AND ($2::text IS NULL OR s.owner = $2)
             AND ($3::text IS NULL OR c.host = $3)
             AND ($4::text IS NULL OR starts_with(c.id, $4))
             AND ($5 OR NOT c.transient)
           ORDER BY c.service, c.number, c.name"#,
        wanted.stack,
        wanted.sees_only,
        wanted.host,
        wanted.prefix,
        wanted.transient
    )
    .fetch_all(&api.database)
    .await?;
    Ok(rows)
}

struct Row {
    host: String,
    id: String,
    name: String,
    service: Option<String>,
    number: Option<i64>,
    image: String,
    state: String,
    health: String,
    exit_code: Option<i64>,
    ports: serde_json::Value,
    started_at: Option<time::OffsetDateTime>,
    version: Option<i64>,
    drift: serde_json::Value,
}

impl Row {
    fn container(self) -> Answer<Container> {
        Ok(Container {
            id: self.id,
            name: self.name,
            service: self.service.unwrap_or_default(),
            number: self.number.map_or(0, small),
            image: self.image,
            state: self.state,
            health: word("health", self.health)?,
            exit_code: self.exit_code,
            ports: read("ports", self.ports)?,
            started_at: self.started_at.map(Into::into),
            version: self.version.map(small),
            drift: read("drift", self.drift)?,
        })
    }
}
