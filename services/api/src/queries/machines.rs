//! Machines: the list, and one by id or name.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use orrery_contracts::command::Target;
use orrery_contracts::rest::{List, Machine};
use orrery_contracts::{Code, MachineFacts, MachineId, MachineStatus, Name};
use uuid::Uuid;

use super::stacks::{StackPath, cursor_of, etag};
use super::{page, read, small, word};
use crate::auth::Principal;
use crate::consistency;
use crate::extract::{At, Page, Params, With};
use crate::problems::{Answer, Refusal, fault};
use crate::state::Api;

/// `GET /machines`: by name.
pub async fn list(State(api): State<Api>, principal: Principal, Params(asked): Params<Page>) -> Answer<Json<List<Machine>>> {
    let limit = Page::limit(asked.limit)?;
    consistency::catch_up_with_own_writes(&api).await?;
    let (after, after_id) = match asked.after.as_deref() {
        Some(cursor) => cursor_of(cursor).map(|(name, id)| (Some(name), Some(id)))?,
        None => (None, None),
    };
    let wanted = Wanted { after, after_id, limit: limit.saturating_add(1), ..Wanted::default() };
    let machines = select(&api, principal.sees_only(), wanted).await?;
    Ok(Json(page(machines, limit, |machine| format!("{}/{}", machine.name, machine.id))))
}

/// `GET /machines/{id}`.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<StackPath>) -> Answer<With<Json<Machine>>> {
    let machine = fetch(&api, &principal, &path.id).await?;
    Ok(With { name: ETAG, value: etag(machine.latest_version), answer: Json(machine) })
}

/// The machine that a caller means and may see; waits for the read model before it says that there is none.
///
/// # Errors
/// 404, or 409 when the name means several.
pub async fn fetch(api: &Api, principal: &Principal, reference: &str) -> Answer<Machine> {
    consistency::catch_up_with_own_writes(api).await?;
    if let Some(machine) = look_up(api, principal, reference).await? {
        return Ok(machine);
    }
    consistency::catch_up_with_everything(api).await?;
    if let Some(machine) = look_up(api, principal, reference).await? {
        return Ok(machine);
    }
    Err(Refusal::not_found(format!("the machine {reference:?}")))
}

async fn look_up(api: &Api, principal: &Principal, reference: &str) -> Answer<Option<Machine>> {
    let Ok(target) = Target::parse(reference) else { return Ok(None) };
    let wanted = match target {
        Target::Id(id) => Wanted { id: Some(id), ..Wanted::default() },
        Target::Of(owner, name) => Wanted { owner: Some(owner.into()), name: Some(name.into()), ..Wanted::default() },
        Target::Own(name) => Wanted { name: Some(name.into()), ..Wanted::default() },
    };
    let mut found = select(api, principal.sees_only(), wanted).await?;
    // Of two creates of one name that wait, the second will be rejected.
    found.sort_by_key(|machine| machine.created_at);
    let mut owners = std::collections::BTreeSet::new();
    found.retain(|machine| owners.insert(machine.owner.clone()));
    let own = found.iter().position(|machine| machine.owner == principal.name.as_str());
    match (found.len(), own) {
        (0 | 1, _) => Ok(found.pop()),
        (_, Some(own)) => Ok(Some(found.swap_remove(own))),
        (_, None) => {
            let which = found.iter().map(|machine| fault(format!("{}/{}", machine.owner, machine.name), machine.id.to_string())).collect();
            let detail = format!("{} machines are named {reference:?}; say owner/name or the id", found.len());
            Err(Refusal::new(Code::Ambiguous, detail).with_errors(which))
        }
    }
}

/// The machine with this id, whosever it is; none when it is gone.
pub(crate) async fn by_id(api: &Api, id: Uuid) -> Answer<Option<Machine>> {
    Ok(select(api, None, Wanted { id: Some(id), ..Wanted::default() }).await?.pop())
}

/// The caller's own machine of this name.
pub(crate) async fn own(api: &Api, principal: &Principal, name: &Name) -> Answer<Option<Machine>> {
    let wanted = Wanted { owner: Some(principal.name.to_string()), name: Some(name.to_string()), ..Wanted::default() };
    Ok(select(api, principal.sees_only(), wanted).await?.pop())
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

/// The one statement that fetches machines: whose they are is part of it.
async fn select(api: &Api, sees_only: Option<&str>, wanted: Wanted) -> Answer<Vec<Machine>> {
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
