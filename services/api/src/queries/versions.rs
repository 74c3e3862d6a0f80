//! Versions of a stack, newest first.

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{List, Machine, Stack, Version};
use orrery_contracts::{Digest, Versioned};
use schemars::JsonSchema;
use serde::Deserialize;

use super::line::Line;
use super::named::{self, NamedPath};
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
    At(path): At<NamedPath>,
    Params(asked): Params<Page>,
) -> Answer<Json<List<Version>>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    listed(&api, &Line::from(&stack), &asked).await
}

/// `GET /machines/{id}/versions`.
pub async fn list_of_machine(
    State(api): State<Api>,
    principal: Principal,
    At(path): At<NamedPath>,
    Params(asked): Params<Page>,
) -> Answer<Json<List<Version>>> {
    let machine: Machine = named::fetch(&api, &principal, &path.id).await?;
    listed(&api, &Line::from(&machine), &asked).await
}

async fn listed(api: &Api, line: &Line, asked: &Page) -> Answer<Json<List<Version>>> {
    let limit = Page::limit(asked.limit)?;
    let below = match asked.after.as_deref() {
        Some(cursor) => cursor
            .parse::<u32>()
            .map(i64::from)
            .map_err(|_| Refusal::invalid(format!("after={cursor}: take it from `next` of the page before")))?,
        None => i64::MAX,
    };
    let versions = select(api, line.of, below, None, limit.saturating_add(1)).await?;
    Ok(Json(page(versions, limit, |version| version.version.to_string())))
}

/// `GET /stacks/{id}/versions/{version}`.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<VersionPath>) -> Answer<Json<Version>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    of(&api, &Line::from(&stack), path.version).await.map(Json)
}

/// `GET /machines/{id}/versions/{version}`.
pub async fn get_of_machine(State(api): State<Api>, principal: Principal, At(path): At<VersionPath>) -> Answer<Json<Version>> {
    let machine: Machine = named::fetch(&api, &principal, &path.id).await?;
    of(&api, &Line::from(&machine), path.version).await.map(Json)
}

/// A version of what the caller may see; waits for the read model before it says that there is none.
///
/// # Errors
/// 404.
pub(crate) async fn of(api: &Api, line: &Line, version: u32) -> Answer<Version> {
    if let Some(found) = select(api, line.of, i64::MAX, Some(version), 1).await?.pop() {
        return Ok(found);
    }
    consistency::catch_up_with_everything(api).await?;
    if let Some(found) = select(api, line.of, i64::MAX, Some(version), 1).await?.pop() {
        return Ok(found);
    }
    Err(Refusal::not_found(format!("version {version} of {}", line.words())))
}

/// The same without waiting; none when there is none.
pub(crate) async fn find(api: &Api, of: impl Into<Versioned>, version: u32) -> Answer<Option<Version>> {
    Ok(select(api, of.into(), i64::MAX, Some(version), 1).await?.pop())
}

async fn select(api: &Api, of: Versioned, below: i64, exactly: Option<u32>, limit: i64) -> Answer<Vec<Version>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT version, parent, author, comment, created_at, digest, files
           FROM read.versions
           WHERE stack_id = $1 AND version < $2 AND ($3::bigint IS NULL OR version = $3)
           ORDER BY version DESC LIMIT $4"#,
        match of {
            Versioned::Stack(id) => id.uuid(),
            Versioned::Machine(id) => id.uuid(),
        },
        below,
        exactly.map(i64::from),
        limit
    )
    .fetch_all(&api.database)
    .await?;
    rows.into_iter().map(|row| row.version(of)).collect()
}

struct Row {
    version: i64,
    parent: Option<i64>,
    author: String,
    comment: String,
    created_at: time::OffsetDateTime,
    digest: String,
    files: serde_json::Value,
}

impl Row {
    fn version(self, of: Versioned) -> Answer<Version> {
        let digest: Digest = self.digest.parse().map_err(|error| Refusal::internal("reading a digest of the read model", &error))?;
        Ok(Version {
            of,
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
