//! Boxes: what the pools have.

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{List, MachineBox};
use orrery_contracts::{Digest, Name};

use super::{page, read, word};
use crate::auth::Principal;
use crate::consistency;
use crate::extract::{Page, Params};
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// `GET /boxes`: by name.
pub async fn list(State(api): State<Api>, _: Principal, Params(asked): Params<Page>) -> Answer<Json<List<MachineBox>>> {
    let limit = Page::limit(asked.limit)?;
    consistency::catch_up_with_own_writes(&api).await?;
    let rows = sqlx::query_as!(
        Row,
        "SELECT host, name, format, sha256, size, capacity, description, origin, imported_at, used_by FROM read.boxes
         WHERE ($1::text IS NULL OR name > $1) ORDER BY name, host LIMIT $2",
        asked.after,
        limit.saturating_add(1)
    )
    .fetch_all(&api.database)
    .await?;
    let boxes = rows.into_iter().map(Row::into_box).collect::<Answer<Vec<_>>>()?;
    Ok(Json(page(boxes, limit, |one| one.name.clone())))
}

/// Whether a host has a box of this name.
///
/// # Errors
/// When the database is away.
pub(crate) async fn exists(api: &Api, host: &str, name: &Name) -> Answer<bool> {
    consistency::catch_up_with_own_writes(api).await?;
    let found =
        sqlx::query_scalar!("SELECT EXISTS (SELECT 1 FROM read.boxes WHERE host = $1 AND name = $2) AS \"found!\"", host, name.as_str());
    Ok(found.fetch_one(&api.database).await?)
}

struct Row {
    host: String,
    name: String,
    format: String,
    sha256: String,
    size: i64,
    capacity: i64,
    description: String,
    origin: String,
    imported_at: time::OffsetDateTime,
    used_by: serde_json::Value,
}

impl Row {
    fn into_box(self) -> Answer<MachineBox> {
        let sha256: Digest = self.sha256.parse().map_err(|error| Refusal::internal("reading a digest of the read model", &error))?;
        Ok(MachineBox {
            name: self.name,
            host: self.host,
            format: word("format", self.format)?,
            sha256,
            size: super::sequence(self.size),
            capacity: super::sequence(self.capacity),
            description: self.description,
            origin: self.origin,
            imported_at: self.imported_at.into(),
            used_by: read("used_by", self.used_by)?,
        })
    }
}
