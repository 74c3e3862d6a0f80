//! Stacks: the list, one by id or name, and its state with containers.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::ETAG;
use orrery_contracts::command::Target;
use orrery_contracts::rest::{List, ServiceCounts, Stack, StackDetail};
use orrery_contracts::{Code, Name, StackFacts, StackId, StackStatus};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::{containers, page, small, word};
use crate::auth::Principal;
use crate::consistency;
use crate::extract::{At, Page, Params, With};
use crate::problems::{Answer, Refusal, fault};
use crate::state::Api;

/// The variable of `/stacks/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StackPath {
    /// A stack's id, its name, or `owner/name` (percent-encoded).
    pub id: String,
}

/// `GET /stacks`: by name.
pub async fn list(State(api): State<Api>, principal: Principal, Params(asked): Params<Page>) -> Answer<Json<List<Stack>>> {
    let limit = Page::limit(asked.limit)?;
    consistency::catch_up_with_own_writes(&api).await?;
    let (after, after_id) = match asked.after.as_deref() {
        Some(cursor) => cursor_of(cursor).map(|(name, id)| (Some(name), Some(id)))?,
        None => (None, None),
    };
    let wanted = Wanted { after, after_id, limit: limit.saturating_add(1), ..Wanted::default() };
    let stacks = select(&api, principal.sees_only(), wanted).await?;
    Ok(Json(page(stacks, limit, |stack| format!("{}/{}", stack.name, stack.id))))
}

/// `GET /stacks/{id}`.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<StackPath>) -> Answer<With<Json<Stack>>> {
    let stack = fetch(&api, &principal, &path.id).await?;
    Ok(tagged(stack.latest_version, stack))
}

/// `GET /stacks/{id}/status`: the stack and its containers.
pub async fn status(State(api): State<Api>, principal: Principal, At(path): At<StackPath>) -> Answer<With<Json<StackDetail>>> {
    let stack = fetch(&api, &principal, &path.id).await?;
    let containers = containers::of_stack(&api, stack.id).await?;
    Ok(tagged(stack.latest_version, StackDetail { stack, containers }))
}

/// A body with the `ETag` that `If-Match` takes.
fn tagged<T>(latest: u32, body: T) -> With<Json<T>> {
    With { name: ETAG, value: etag(latest), answer: Json(body) }
}

/// The `ETag` of a stack whose latest version is this one.
pub(crate) fn etag(latest: u32) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{latest}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// The stack that a caller means and may see; waits for the read model before it says that there is none.
///
/// # Errors
/// 404, or 409 when the name means several.
pub async fn fetch(api: &Api, principal: &Principal, reference: &str) -> Answer<Stack> {
    consistency::catch_up_with_own_writes(api).await?;
    if let Some(stack) = look_up(api, principal, reference).await? {
        return Ok(stack);
    }
    consistency::catch_up_with_everything(api).await?;
    if let Some(stack) = look_up(api, principal, reference).await? {
        return Ok(stack);
    }
    Err(Refusal::not_found(format!("the stack {reference:?}")))
}

/// The same, without waiting.
async fn look_up(api: &Api, principal: &Principal, reference: &str) -> Answer<Option<Stack>> {
    let Ok(target) = Target::parse(reference) else { return Ok(None) };
    let wanted = match target {
        Target::Id(id) => Wanted { id: Some(id), ..Wanted::default() },
        Target::Of(owner, name) => Wanted { owner: Some(owner.into()), name: Some(name.into()), ..Wanted::default() },
        Target::Own(name) => Wanted { name: Some(name.into()), ..Wanted::default() },
    };
    let mut found = select(api, principal.sees_only(), wanted).await?;
    // Of two creates of one name that wait, the second will be rejected.
    found.sort_by_key(|stack| stack.created_at);
    let mut owners = std::collections::BTreeSet::new();
    found.retain(|stack| owners.insert(stack.owner.clone()));
    let own = found.iter().position(|stack| stack.owner == principal.name.as_str());
    match (found.len(), own) {
        (0 | 1, _) => Ok(found.pop()),
        (_, Some(own)) => Ok(Some(found.swap_remove(own))),
        (_, None) => {
            let which = found.iter().map(|stack| fault(format!("{}/{}", stack.owner, stack.name), stack.id.to_string())).collect();
            let detail = format!("{} stacks are named {reference:?}; say owner/name or the id", found.len());
            Err(Refusal::new(Code::Ambiguous, detail).with_errors(which))
        }
    }
}

/// The stack with this id, whosever it is; none when it is gone.
pub(crate) async fn by_id(api: &Api, id: Uuid) -> Answer<Option<Stack>> {
    let mut found = select(api, None, Wanted { id: Some(id), ..Wanted::default() }).await?;
    Ok(found.pop())
}

/// The caller's own stack of this name.
pub(crate) async fn own(api: &Api, principal: &Principal, name: &Name) -> Answer<Option<Stack>> {
    let wanted = Wanted { owner: Some(principal.name.to_string()), name: Some(name.to_string()), ..Wanted::default() };
    Ok(select(api, principal.sees_only(), wanted).await?.pop())
}

/// Reads `next` of a page of stacks.
///
/// # Errors
/// 422 when it is none.
pub fn cursor_of(cursor: &str) -> Answer<(String, Uuid)> {
    let read = cursor.split_once('/').and_then(|(name, id)| Some((name.to_owned(), id.parse().ok()?)));
    read.ok_or_else(|| Refusal::invalid(format!("after={cursor}: take it from `next` of the page before")))
}

struct Wanted {
    id: Option<Uuid>,
    name: Option<String>,
    owner: Option<String>,
    after: Option<String>,
    after_id: Option<Uuid>,
    limit: i64,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { id: None, name: None, owner: None, after: None, after_id: None, limit: 500 }
    }
}

/// The one statement that fetches stacks: whose they are is part of it.
async fn select(api: &Api, sees_only: Option<&str>, wanted: Wanted) -> Answer<Vec<Stack>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", name AS "name!", owner AS "owner!", project AS "project!", host AS "host!", desired AS "desired!",
                  current, latest AS "latest!", created_at AS "created_at!", comment AS "comment!", command,
                  failed AS "failed!", deleting AS "deleting!", changing AS "changing!",
                  services_total AS "services_total!", services_running AS "services_running!", services_healthy AS "services_healthy!",
                  unhealthy AS "unhealthy!", drifted AS "drifted!"
           FROM read.stack_overview
           WHERE id IN (
               SELECT id FROM read.stacks
               WHERE deleted_at IS NULL AND kind = 'stack'
                 AND ($1::text IS NULL OR owner = $1)
                 AND ($2::uuid IS NULL OR id = $2)
                 AND ($3::text IS NULL OR name = $3)
                 AND ($4::text IS NULL OR owner = $4)
                 AND ($5::text IS NULL OR (name, id) > ($5, $6::uuid))
               ORDER BY name, id LIMIT $7)
           ORDER BY name, id"#,
        sees_only,
        wanted.id,
        wanted.name,
        wanted.owner,
        wanted.after,
        wanted.after_id,
        wanted.limit
    )
    .fetch_all(&api.database)
    .await?;
    rows.into_iter().map(Row::stack).collect()
}

struct Row {
    id: Uuid,
    name: String,
    owner: String,
    project: String,
    host: String,
    desired: String,
    current: Option<i64>,
    latest: i64,
    created_at: time::OffsetDateTime,
    comment: String,
    command: Option<i64>,
    failed: bool,
    deleting: bool,
    changing: bool,
    services_total: i64,
    services_running: i64,
    services_healthy: i64,
    unhealthy: bool,
    drifted: i64,
}

impl Row {
    fn stack(self) -> Answer<Stack> {
        let services = ServiceCounts {
            total: small(self.services_total),
            running: small(self.services_running),
            healthy: small(self.services_healthy),
        };
        let status = StackStatus::derive(&StackFacts {
            desired: word("desired", self.desired)?,
            deleting: self.deleting,
            changing: self.changing,
            failed: self.failed,
            services_total: services.total,
            services_running: services.running,
            unhealthy: self.unhealthy,
            drifted: self.drifted > 0,
        });
        Ok(Stack {
            id: StackId::new(self.id),
            name: self.name,
            owner: self.owner,
            current_version: self.current.map(small),
            latest_version: small(self.latest),
            status,
            services,
            created_at: self.created_at.into(),
            host: self.host,
            project: self.project,
            comment: self.comment,
            command: self.command.map(super::sequence),
            drifted: small(self.drifted),
        })
    }
}
