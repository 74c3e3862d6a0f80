//! Stacks: the list, one by id or name, and its state with containers.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use orrery_contracts::rest::{List, ServiceCounts, Stack, StackDetail};
use orrery_contracts::{StackFacts, StackId, StackStatus};
use uuid::Uuid;

use super::named::{self, NamedPath, Wanted, etag};
use super::{containers, small, word};
use crate::auth::Principal;
use crate::extract::{At, Page, Params, With};
use crate::problems::Answer;
use crate::state::Api;

/// `GET /stacks`: by name.
pub async fn list(State(api): State<Api>, principal: Principal, Params(asked): Params<Page>) -> Answer<Json<List<Stack>>> {
    named::list(&api, &principal, asked).await.map(Json)
}

/// `GET /stacks/{id}`.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<NamedPath>) -> Answer<With<Json<Stack>>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    Ok(tagged(stack.latest_version, stack))
}

/// `GET /stacks/{id}/status`: the stack and its containers.
pub async fn status(State(api): State<Api>, principal: Principal, At(path): At<NamedPath>) -> Answer<With<Json<StackDetail>>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    let containers = containers::of_stack(&api, stack.id).await?;
    Ok(tagged(stack.latest_version, StackDetail { stack, containers }))
}

/// A body with the `ETag` that `If-Match` takes.
fn tagged<T>(latest: u32, body: T) -> With<Json<T>> {
    With { name: ETAG, value: etag(latest), answer: Json(body) }
}

/// The one statement that fetches stacks: whose they are is part of it.
pub(super) async fn select(api: &Api, sees_only: Option<&str>, wanted: Wanted) -> Answer<Vec<Stack>> {
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
