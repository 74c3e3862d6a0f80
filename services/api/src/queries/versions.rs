//! Versions of a stack, newest first.

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{List, Stack, Version};
use orrery_contracts::{Digest, StackId};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::stacks::{self, StackPath};
use super::{page, read, small};
use crate::auth::Principal;
use crate::consistency;
use crate::extract::{At, Page, Params};
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// The variables of `/stacks/{id}/versions/{version}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct VersionPath {
    /// A stack's id, its name, or `owner/name` (percent-encoded).
    pub id: String,
    /// The version's number.
    pub version: u32,
}

/// `GET /stacks/{id}/versions`.
pub async fn list(
    State(api): State<Api>,
    principal: Principal,
    At(path): At<StackPath>,
    Params(asked): Params<Page>,
) -> Answer<Json<List<Version>>> {
    let limit = Page::limit(asked.limit)?;
    let below = match asked.after.as_deref() {
        Some(cursor) => cursor
            .parse::<u32>()
            .map(i64::from)
            .map_err(|_| Refusal::invalid(format!("after={cursor}: take it from `next` of the page before")))?,
        None => i64::MAX,
    };
    let stack = stacks::fetch(&api, &principal, &path.id).await?;
    let versions = select(&api, stack.id, below, None, limit.saturating_add(1)).await?;
    Ok(Json(page(versions, limit, |version| version.version.to_string())))
}

/// `GET /stacks/{id}/versions/{version}`.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<VersionPath>) -> Answer<Json<Version>> {
    let stack = stacks::fetch(&api, &principal, &path.id).await?;
    of(&api, &stack, path.version).await.map(Json)
}

/// A version of a stack that the caller may see; waits for the read model before it says that there is none.
///
/// # Errors
/// 404.
pub async fn of(api: &Api, stack: &Stack, version: u32) -> Answer<Version> {
    if let Some(found) = select(api, stack.id, i64::MAX, Some(version), 1).await?.pop() {
        return Ok(found);
    }
    consistency::catch_up_with_everything(api).await?;
    if let Some(found) = select(api, stack.id, i64::MAX, Some(version), 1).await?.pop() {
        return Ok(found);
    }
    Err(Refusal::not_found(format!("version {version} of the stack {:?}", stack.name)))
}

/// The same without waiting; none when there is none.
pub(crate) async fn find(api: &Api, stack: StackId, version: u32) -> Answer<Option<Version>> {
    Ok(select(api, stack, i64::MAX, Some(version), 1).await?.pop())
}

async fn select(api: &Api, stack: StackId, below: i64, exactly: Option<u32>, limit: i64) -> Answer<Vec<Version>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT stack_id, version, parent, author, comment, created_at, digest, files
           FROM read.versions
           WHERE stack_id = $1 AND version < $2 AND ($3::bigint IS NULL OR version = $3)
           ORDER BY version DESC LIMIT $4"#,
        stack.uuid(),
        below,
        exactly.map(i64::from),
        limit
    )
    .fetch_all(&api.database)
    .await?;
    rows.into_iter().map(Row::version).collect()
}

struct Row {
    stack_id: Uuid,
    version: i64,
    parent: Option<i64>,
    author: String,
    comment: String,
    created_at: time::OffsetDateTime,
    digest: String,
    files: serde_json::Value,
}

impl Row {
    fn version(self) -> Answer<Version> {
        let digest: Digest = self.digest.parse().map_err(|error| Refusal::internal("reading a digest of the read model", &error))?;
        Ok(Version {
            stack_id: StackId::new(self.stack_id),
            version: small(self.version),
            parent_version: self.parent.map(small),
            author: self.author,
            comment: self.comment,
            created_at: self.created_at.into(),
            digest,
            files: read("files", self.files)?,
        })
    }
}
