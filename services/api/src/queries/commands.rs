//! Commands: the list, and one by id or sequence with its plan and steps, at once or when it has ended.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{Command, List, Machine, Stack};
use orrery_contracts::{Code, Digest, MachineId, StackId, Status};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{named, page, read, sequence, small, steps, stored, word};
use crate::auth::Principal;
use crate::broker::Standing;
use crate::consistency;
use crate::extract::{At, Page, Params, wait_time};
use crate::problems::{Answer, Refusal, fault};
use crate::state::Api;

/// The longest that `?wait=` waits.
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The variable of `/commands/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CommandPath {
    /// A command's UUID or its sequence.
    pub id: String,
}

/// Which commands are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Those of a stack, by id or name.
    pub stack_id: Option<String>,
    /// Those of a machine, by id or name.
    pub machine_id: Option<String>,
    /// Those in a state, or in one of several: `PENDING,RUNNING`.
    pub status: Option<String>,
    /// How many: 50 by default, 500 at most.
    pub limit: Option<u32>,
    /// Where to begin: `next` of the page before.
    pub after: Option<String>,
}

/// How far a list goes, as its filter says.
#[derive(Debug)]
pub struct Bounds {
    limit: i64,
    below: i64,
    statuses: Option<Vec<String>>,
}

impl Filter {
    /// Reads everything of it that can be read without the read model.
    ///
    /// # Errors
    /// 422 when something of it cannot be read.
    pub fn bounds(&self) -> Answer<Bounds> {
        let unreadable = |cursor: &str| Refusal::invalid(format!("after={cursor}: take it from `next` of the page before"));
        let below = self.after.as_deref().map(|cursor| cursor.parse().map_err(|_| unreadable(cursor))).transpose()?;
        let statuses = self.status.as_deref().map(statuses).transpose()?;
        Ok(Bounds { limit: Page::limit(self.limit)?, below: below.unwrap_or(i64::MAX), statuses })
    }
}

/// How a command is waited for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// Answer when it is DONE, CANCELLED or FAILED, or after this time: `30s`, two minutes at most.
    pub wait: Option<String>,
}

/// `GET /commands`: newest first, without plans and steps.
pub async fn list(State(api): State<Api>, principal: Principal, Params(filter): Params<Filter>) -> Answer<Json<List<Command>>> {
    let Bounds { limit, below, statuses } = filter.bounds()?;
    consistency::catch_up_with_own_writes(&api).await?;
    let stack = match (filter.stack_id.as_deref(), filter.machine_id.as_deref()) {
        (Some(reference), None) => Some(stack_of(&api, &principal, reference).await?),
        (None, Some(reference)) => Some(machine_of(&api, &principal, reference).await?),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(Refusal::invalid("give either stack_id or machine_id")),
    };
    let sees_only = principal.sees_only();
    let wanted = Wanted { stack, statuses, below, limit: limit.saturating_add(1), ..Wanted::seen_by(sees_only) };
    let found = select(&api, &wanted).await?.into_iter().map(Row::command).collect::<Answer<Vec<_>>>()?;
    Ok(Json(page(found, limit, |command| command.seq.to_string())))
}

/// A stack's id. One that was deleted has none but its id, and its commands stay in the list.
async fn stack_of(api: &Api, principal: &Principal, reference: &str) -> Answer<Uuid> {
    match reference.parse::<StackId>() {
        Ok(id) => Ok(id.uuid()),
        Err(_) => named::fetch::<Stack>(api, principal, reference).await.map(|stack| stack.id.uuid()),
    }
}

/// A machine's id, as a stack's.
async fn machine_of(api: &Api, principal: &Principal, reference: &str) -> Answer<Uuid> {
    match reference.parse::<MachineId>() {
        Ok(id) => Ok(id.uuid()),
        Err(_) => named::fetch::<Machine>(api, principal, reference).await.map(|machine| machine.id.uuid()),
    }
}

fn statuses(text: &str) -> Answer<Vec<String>> {
    let read = |word: &str| {
        let word = word.trim().to_ascii_uppercase();
        let known: Result<Status, _> = serde_json::from_value(word.clone().into());
        known.map(|_| word.clone()).map_err(|_| Refusal::invalid(format!("status={word}: use PENDING, RUNNING, DONE, FAILED or CANCELLED")))
    };
    text.split(',').map(read).collect()
}

/// `GET /commands/{id}`: with plan and steps; with `?wait=`, when it has ended.
pub async fn get(
    State(api): State<Api>,
    principal: Principal,
    At(path): At<CommandPath>,
    Params(waiting): Params<Waiting>,
) -> Answer<Json<Command>> {
    let patience = waiting.wait.as_deref().map(|text| wait_time(text, LONGEST_WAIT)).transpose()?;
    let deadline = Instant::now() + patience.unwrap_or_default();
    let mut news = api.feed.follow();
    let mut command = fetch(&api, &principal, &path.id).await?;
    while patience.is_some() && !has_settled(&command) {
        let ended = tokio::select! {
            () = api.ending.cancelled() => true,
            woken = tokio::time::timeout_at(deadline, news.changed()) => woken.is_err(),
        };
        command = by_seq(&api, &Wanted::seen_by(principal.sees_only()), command.seq).await?.unwrap_or(command);
        if ended {
            break;
        }
    }
    Ok(Json(command))
}

/// Whether nothing more happens to a command by itself.
pub(crate) fn has_settled(command: &Command) -> bool {
    match command.status {
        Status::Done | Status::Cancelled | Status::Failed => true,
        Status::Pending | Status::Running => false,
    }
}

/// The command that a caller means and may see, with its steps; waits for the read model before it says that there is none.
///
/// # Errors
/// 404, or 409 when two publishers used one UUID.
pub async fn fetch(api: &Api, principal: &Principal, reference: &str) -> Answer<Command> {
    fetch_for(api, &Wanted::seen_by(principal.sees_only()), reference).await
}

/// The same for a publisher: his own commands only.
///
/// # Errors
/// As for [`fetch`].
pub async fn fetch_for_publisher(api: &Api, publisher: &str, reference: &str) -> Answer<Command> {
    fetch_for(api, &Wanted { publisher: Some(publisher), ..Wanted::seen_by(None) }, reference).await
}

async fn fetch_for(api: &Api, whose: &Wanted<'_>, reference: &str) -> Answer<Command> {
    consistency::catch_up_with_own_writes(api).await?;
    if let Some(command) = look_up(api, whose, reference).await? {
        return Ok(command);
    }
    consistency::catch_up_with_everything(api).await?;
    if let Some(command) = look_up(api, whose, reference).await? {
        return Ok(command);
    }
    Err(Refusal::not_found(format!("the command {reference:?}")))
}

async fn look_up(api: &Api, whose: &Wanted<'_>, reference: &str) -> Answer<Option<Command>> {
    if let Ok(seq) = reference.parse::<u64>() {
        return by_seq(api, whose, seq).await;
    }
    let mut found = select(api, &Wanted { id: Some(reference), ..whose.clone() }).await?;
    if found.len() > 1 {
        let which = found.iter().map(|row| fault(row.seq.to_string(), format!("published by {}", row.publisher))).collect();
        let all: Vec<String> = found.iter().map(|row| row.seq.to_string()).collect();
        let detail = format!("two publishers used this id: ask by sequence, {}", all.join(" or "));
        return Err(Refusal::new(Code::Ambiguous, detail).with_errors(which));
    }
    match found.pop() {
        Some(row) => with_steps(api, row).await.map(Some),
        None => Ok(None),
    }
}

/// The command at a sequence, with its steps, for whom it may be seen by.
pub(crate) async fn by_seq(api: &Api, whose: &Wanted<'_>, seq: u64) -> Answer<Option<Command>> {
    match select(api, &Wanted { seq: Some(seq), ..whose.clone() }).await?.pop() {
        Some(row) => with_steps(api, row).await.map(Some),
        None => Ok(None),
    }
}

/// What the transitions need to know of a command.
pub(crate) async fn standing(api: &Api, seq: u64) -> Answer<Standing> {
    let sha256 = sqlx::query_scalar!("SELECT sha256 FROM read.commands WHERE seq = $1", stored(seq)).fetch_one(&api.database).await?;
    let sha256: Digest = sha256.parse().map_err(|error| Refusal::internal("reading a digest of the read model", &error))?;
    Ok(Standing { seq, sha256 })
}

async fn with_steps(api: &Api, row: Row) -> Answer<Command> {
    let plan = row.plan.clone().map(|plan| read("plan", plan)).transpose()?;
    let mut command = row.command()?;
    command.plan = plan;
    command.steps = steps::of_command(api, command.seq, command.attempt).await?;
    Ok(command)
}

/// Which commands are wanted, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    sees_only: Option<&'a str>,
    publisher: Option<&'a str>,
    seq: Option<u64>,
    id: Option<&'a str>,
    stack: Option<Uuid>,
    statuses: Option<Vec<String>>,
    below: i64,
    limit: i64,
}

impl<'a> Wanted<'a> {
    /// All that this user may see; without one, all there are.
    pub(crate) fn seen_by(sees_only: Option<&'a str>) -> Self {
        Self { sees_only, publisher: None, seq: None, id: None, stack: None, statuses: None, below: i64::MAX, limit: 10 }
    }
}

/// The one statement that fetches commands: whose they are is part of it.
async fn select(api: &Api, wanted: &Wanted<'_>) -> Answer<Vec<Row>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT c.seq, c.id, c.publisher, c.type, c.target, c.target_name, c.actor, c.stack_id, s.name AS "stack_name?", s.kind AS "kind?", c.version,
                  c.on_failure, c.status, c.attempt, c.run, c.reason, c.error, c.cancel_requested,
                  CASE WHEN $4::bigint IS NULL AND $5::text IS NULL THEN NULL ELSE c.plan END AS plan,
                  c.created_at, c.started_at, c.ended_at
           FROM read.commands c LEFT JOIN read.stacks s ON s.id = c.stack_id
           WHERE c.seq < $1
             AND ($2::text IS NULL OR c.actor = $2 OR s.owner = $2)
             AND ($3::text IS NULL OR c.publisher = $3)
             AND ($4::bigint IS NULL OR c.seq = $4)
             AND ($5::text IS NULL OR c.id = $5)
             AND ($6::uuid IS NULL OR c.stack_id = $6)
             AND ($7::text[] IS NULL OR c.status = ANY ($7))
           ORDER BY c.seq DESC LIMIT $8"#,
        wanted.below,
        wanted.sees_only,
        wanted.publisher,
        wanted.seq.map(stored),
        wanted.id,
        wanted.stack,
        wanted.statuses.as_deref() as Option<&[String]>,
        wanted.limit
    )
    .fetch_all(&api.database)
    .await?;
    Ok(rows)
}

struct Row {
    seq: i64,
    id: String,
    publisher: String,
    r#type: Option<String>,
    target: Option<String>,
    target_name: Option<String>,
    actor: Option<String>,
    stack_id: Option<Uuid>,
    stack_name: Option<String>,
    kind: Option<String>,
    version: Option<i64>,
    on_failure: String,
    status: String,
    attempt: i64,
    run: i64,
    reason: Option<String>,
    error: Option<serde_json::Value>,
    cancel_requested: bool,
    plan: Option<serde_json::Value>,
    created_at: time::OffsetDateTime,
    started_at: Option<time::OffsetDateTime>,
    ended_at: Option<time::OffsetDateTime>,
}

impl Row {
    fn command(self) -> Answer<Command> {
        let about = self
            .kind
            .as_deref()
            .map_or_else(|| self.r#type.as_deref().is_some_and(|kind| kind.starts_with("machine.")), |kind| kind == "machine");
        let name = self.stack_name.or(self.target_name);
        let boxes = self.r#type.as_deref().is_some_and(|kind| kind.starts_with("box."));
        let (stack_name, machine_name) = match (boxes, about) {
            (true, _) => (None, None),
            (false, true) => (None, name),
            (false, false) => (name, None),
        };
        Ok(Command {
            id: self.id,
            seq: sequence(self.seq),
            r#type: self.r#type,
            target: self.target,
            stack_id: self.stack_id.filter(|_| !about).map(StackId::new),
            stack_name,
            machine_id: self.stack_id.filter(|_| about).map(MachineId::new),
            machine_name,
            version: self.version.map(small),
            status: word("status", self.status)?,
            reason: self.reason,
            error: self.error.map(|error| read("error", error)).transpose()?,
            publisher: self.publisher,
            actor: self.actor,
            on_failure: self.on_failure,
            attempt: small(self.attempt),
            run: small(self.run),
            cancel_requested: self.cancel_requested,
            created_at: self.created_at.into(),
            started_at: self.started_at.map(Into::into),
            ended_at: self.ended_at.map(Into::into),
            plan: None,
            steps: Vec::new(),
        })
    }
}
