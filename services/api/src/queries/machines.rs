//! Machines: the list, and one by id or name.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use orrery_contracts::rest::{List, Machine};
use orrery_contracts::{MachineFacts, MachineId, MachineStatus};
use uuid::Uuid;

use super::named::{self, NamedPath, Wanted, etag};
use super::{read, small, word};
use crate::auth::Principal;
use crate::extract::{At, Page, Params, With};
use crate::problems::Answer;
use crate::state::Api;

/// `GET /machines`: by name.
pub async fn list(State(api): State<Api>, principal: Principal, Params(asked): Params<Page>) -> Answer<Json<List<Machine>>> {
    named::list(&api, &principal, asked).await.map(Json)
}

/// `GET /machines/{id}`.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<NamedPath>) -> Answer<With<Json<Machine>>> {
    let machine: Machine = named::fetch(&api, &principal, &path.id).await?;
    Ok(With { name: ETAG, value: etag(machine.latest_version), answer: Json(machine) })
}

/// The one statement that fetches machines: whose they are is part of it.
pub(super) async fn select(api: &Api, sees_only: Option<&str>, wanted: Wanted) -> Answer<Vec<Machine>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", name AS "name!", owner AS "owner!", domain AS "domain!", host AS "host!", desired AS "desired!",
                  current, latest AS "latest!", summary, created_at AS "created_at!", comment AS "comment!", command,
                  failed AS "failed!", deleting AS "deleting!", changing AS "changing!", state, reason,
                  addresses AS "addresses!", snapshots AS "snapshots!", drift AS "drift!"
           FROM read.machine_overview
           WHERE ($1::text IS NULL OR owner = $1)
             AND ($2::uuid IS NULL OR id = $2)
             AND ($3::text IS NULL OR name = $3)
             AND ($4::text IS NULL OR owner = $4)
             AND ($5::text IS NULL OR (name, id) > ($5, $6::uuid))
           ORDER BY name, id LIMIT $7"#,
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
    rows.into_iter().map(Row::machine).collect()
}

struct Row {
    id: Uuid,
    name: String,
    owner: String,
    domain: String,
    host: String,
    desired: String,
    current: Option<i64>,
    latest: i64,
    summary: Option<serde_json::Value>,
    created_at: time::OffsetDateTime,
    comment: String,
    command: Option<i64>,
    failed: bool,
    deleting: bool,
    changing: bool,
    state: Option<String>,
    reason: Option<String>,
    addresses: serde_json::Value,
    snapshots: serde_json::Value,
    drift: serde_json::Value,
}

impl Row {
    fn machine(self) -> Answer<Machine> {
        let state = self.state.map(|state| word("state", state)).transpose()?;
        let drift: Vec<_> = read("drift", self.drift)?;
        let status = MachineStatus::derive(&MachineFacts {
            desired: word("desired", self.desired)?,
            deleting: self.deleting,
            changing: self.changing,
            failed: self.failed,
            state,
            drifted: !drift.is_empty(),
        });
        Ok(Machine {
            id: MachineId::new(self.id),
            name: self.name,
            owner: self.owner,
            current_version: self.current.map(small),
            latest_version: small(self.latest),
            status,
            summary: self.summary.map(|summary| read("summary", summary)).transpose()?,
            state,
            state_reason: self.reason,
            addresses: read("addresses", self.addresses)?,
            snapshots: read("snapshots", self.snapshots)?,
            drift,
            created_at: self.created_at.into(),
            host: self.host,
            domain: self.domain,
            comment: self.comment,
            command: self.command.map(super::sequence),
        })
    }
}
