//! Commands: rows that arrive with COMMANDS and move with their transitions.

use orrery_contracts::{CommandState, Failure, Plan, StackId, Time};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{big, small, unsigned};
use crate::text::{storable, storable_json, storable_option};

/// A command as it arrives: PENDING, attempt 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its place in the one order.
    pub seq: u64,
    /// The id token of its subject, as written.
    pub id: String,
    /// Who put it on the queue.
    pub publisher: String,
    /// What it says it is.
    pub kind: Option<String>,
    /// Its target as written.
    pub target: Option<String>,
    /// Owner and name that the target means, when it is no id.
    pub target_name: Option<(String, String)>,
    /// On whose behalf.
    pub actor: Option<String>,
    /// The stack, as far as the command itself says.
    pub stack_id: Option<StackId>,
    /// The version, as far as the command itself says.
    pub version: Option<u32>,
    /// `hold` or `release`.
    pub on_failure: &'static str,
    /// SHA-256 of its body.
    pub sha256: String,
    /// The size of its body.
    pub bytes: u64,
    /// Whether it is a command that can be read.
    pub readable: bool,
    /// When the broker took it.
    pub at: Time,
}

/// Adds a command, and answers the stack or machine that it is about: the one that it says, else what its name means now (see
/// [`resolve`]). One that is there already stays as it is.
///
/// # Errors
/// When the database is away or refuses.
pub async fn insert(db: &mut PgConnection, new: &Arrival) -> sqlx::Result<Option<StackId>> {
    let (owner, name) = new.target_name.clone().unzip();
    let added = sqlx::query_scalar!(
        "INSERT INTO commands (seq, id, publisher, type, target, target_owner, target_name, actor, stack_id, version, on_failure,
                               sha256, bytes, readable, status, attempt, run, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, (
                     SELECT s.id FROM stacks s
                     WHERE s.owner = $6 AND s.name = $7 AND s.deleted_at IS NULL
                       AND s.kind = CASE WHEN $4 LIKE 'machine.%' THEN 'machine' ELSE 'stack' END AND coalesce($4, '') NOT LIKE 'box.%'
                       AND (NOT s.pending OR s.created_by < $1)
                     ORDER BY s.pending, s.created_by, s.id LIMIT 1)),
                 $10, $11, $12, $13, $14, 'PENDING', 1, 0, $15)
         ON CONFLICT (seq) DO NOTHING
         RETURNING stack_id",
        big(new.seq),
        &storable(&new.id),
        &storable(&new.publisher),
        storable_option(new.kind.as_deref()),
        storable_option(new.target.as_deref()),
        storable_option(owner.as_deref()),
        storable_option(name.as_deref()),
        storable_option(new.actor.as_deref()),
        new.stack_id.map(StackId::uuid),
        new.version.map(i64::from),
        new.on_failure,
        new.sha256,
        big(new.bytes),
        new.readable,
        new.at.inner(),
    )
    .fetch_optional(&mut *db)
    .await?;
    match added {
        Some(stack) => Ok(stack.map(StackId::new)),
        None => Ok(find(db, new.seq).await?.and_then(|standing| standing.stack_id)),
    }
}

/// Where a command stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// SHA-256 of its body.
    pub sha256: String,
    /// Its state, as the state machine knows it.
    pub state: CommandState,
    /// The stack that it is about.
    pub stack_id: Option<StackId>,
    /// Whether a stack or machine is shown only because this command is to make it.
    pub announces: bool,
}

/// Looks a command up.
///
/// # Errors
/// When the database is away or refuses.
pub async fn find(db: &mut PgConnection, seq: u64) -> sqlx::Result<Option<Standing>> {
    let row = sqlx::query!(
        r#"SELECT sha256, status, attempt, run, reason, error, stack_id,
                  EXISTS (SELECT FROM stacks s WHERE s.created_by = c.seq AND s.pending) AS "announces!"
           FROM commands c WHERE seq = $1"#,
        big(seq)
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Standing {
        state: state(&row.status, small(row.attempt), small(row.run), row.reason, row.error),
        sha256: row.sha256,
        stack_id: row.stack_id.map(StackId::new),
        announces: row.announces,
    }))
}

fn state(status: &str, attempt: u32, run: u32, reason: Option<String>, error: Option<Value>) -> CommandState {
    let failure: Option<Failure> = error.and_then(|error| serde_json::from_value(error).ok());
    let unknown = || Failure { code: String::new(), message: String::new(), step: None };
    match status {
        "RUNNING" => CommandState::Running { attempt, run },
        "DONE" => CommandState::Done { attempt, run },
        "FAILED" => CommandState::Failed { attempt, run, failure: failure.unwrap_or_else(unknown) },
        "CANCELLED" => CommandState::Cancelled { attempt, reason: reason.unwrap_or_default(), failure },
        _ => CommandState::Pending { attempt },
    }
}

/// Moves a command to a state. It started with the first run of its attempt.
///
/// # Errors
/// When the database is away or refuses.
pub async fn moved(db: &mut PgConnection, seq: u64, state: &CommandState, reason: Option<&str>, at: Time) -> sqlx::Result<()> {
    let seq = big(seq);
    match state {
        CommandState::Pending { attempt } => {
            sqlx::query!(
                "UPDATE commands SET status = 'PENDING', attempt = $2, run = 0, reason = NULL, error = NULL, plan = NULL,
                                     cancel_requested = false, started_at = NULL, ended_at = NULL
                 WHERE seq = $1",
                seq,
                i64::from(*attempt)
            )
        }
        CommandState::Running { run, .. } => sqlx::query!(
            "UPDATE commands SET status = 'RUNNING', run = $2, started_at = coalesce(started_at, $3) WHERE seq = $1",
            seq,
            i64::from(*run),
            at.inner()
        ),
        CommandState::Done { .. } => sqlx::query!(
            "UPDATE commands SET status = 'DONE', reason = $2, ended_at = $3 WHERE seq = $1",
            seq,
            storable_option(reason),
            at.inner()
        ),
        CommandState::Failed { failure, .. } => {
            sqlx::query!("UPDATE commands SET status = 'FAILED', error = $2 WHERE seq = $1", seq, storable_json(failure))
        }
        CommandState::Cancelled { reason, .. } => sqlx::query!(
            "UPDATE commands SET status = 'CANCELLED', reason = $2, ended_at = $3 WHERE seq = $1",
            seq,
            &storable(reason),
            at.inner()
        ),
    }
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that somebody asked to cancel it while it runs in this attempt; false when it does not.
///
/// # Errors
/// When the database is away or refuses.
pub async fn cancel_requested(db: &mut PgConnection, seq: u64, attempt: u32) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE commands SET cancel_requested = true WHERE seq = $1 AND attempt = $2 AND status = 'RUNNING'",
        big(seq),
        i64::from(attempt)
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps the plan that the present attempt carries out; false when it is about another attempt.
///
/// # Errors
/// When the database is away or refuses.
pub async fn planned(db: &mut PgConnection, seq: u64, attempt: u32, plan: &Plan) -> sqlx::Result<bool> {
    let done =
        sqlx::query!("UPDATE commands SET plan = $3 WHERE seq = $1 AND attempt = $2", big(seq), i64::from(attempt), storable_json(plan))
            .execute(db)
            .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps the version that a command made.
///
/// # Errors
/// When the database is away or refuses.
pub async fn made_version(db: &mut PgConnection, seq: u64, version: u32) -> sqlx::Result<()> {
    sqlx::query!("UPDATE commands SET version = $2 WHERE seq = $1 AND version IS NULL", big(seq), i64::from(version)).execute(db).await?;
    Ok(())
}

/// Finds the stack or machine that a command's name means now: the one that exists, else the first whose create waits before it.
/// A box has no row of its own, and what is meant by its id needs no finding: then nothing is answered.
///
/// # Errors
/// When the database is away or refuses.
pub async fn resolve(db: &mut PgConnection, seq: u64) -> sqlx::Result<Option<Option<StackId>>> {
    let found = sqlx::query_scalar!(
        "UPDATE commands c SET stack_id = (
             SELECT s.id FROM stacks s
             WHERE s.owner = c.target_owner AND s.name = c.target_name AND s.deleted_at IS NULL
               AND s.kind = CASE WHEN c.type LIKE 'machine.%' THEN 'machine' ELSE 'stack' END AND coalesce(c.type, '') NOT LIKE 'box.%'
               AND (NOT s.pending OR s.created_by < c.seq)
             ORDER BY s.pending, s.created_by, s.id LIMIT 1)
         WHERE c.seq = $1 AND c.target_name IS NOT NULL
         RETURNING c.stack_id",
        big(seq)
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|stack| stack.map(StackId::new)))
}

/// The same for every command that waits with this name; answers those whose stack has changed.
///
/// # Errors
/// When the database is away or refuses.
pub async fn resolve_waiting(db: &mut PgConnection, owner: &str, name: &str) -> sqlx::Result<Vec<u64>> {
    let changed = sqlx::query_scalar!(
        "UPDATE commands c SET stack_id = found.id
         FROM (SELECT w.seq, (
                   SELECT s.id FROM stacks s
                   WHERE s.owner = w.target_owner AND s.name = w.target_name AND s.deleted_at IS NULL
                     AND s.kind = CASE WHEN w.type LIKE 'machine.%' THEN 'machine' ELSE 'stack' END
                     AND coalesce(w.type, '') NOT LIKE 'box.%'
                     AND (NOT s.pending OR s.created_by < w.seq)
                   ORDER BY s.pending, s.created_by, s.id LIMIT 1) AS id
               FROM commands w
               WHERE w.status = 'PENDING' AND w.target_owner = $1 AND w.target_name = $2) found
         WHERE c.seq = found.seq AND c.stack_id IS DISTINCT FROM found.id
         RETURNING c.seq",
        owner,
        name
    )
    .fetch_all(db)
    .await?;
    let mut changed: Vec<u64> = changed.into_iter().map(unsigned).collect();
    changed.sort_unstable();
    Ok(changed)
}

/// The stack that a command is about.
///
/// # Errors
/// When the database is away or refuses.
pub async fn stack_of(db: &mut PgConnection, seq: u64) -> sqlx::Result<Option<Uuid>> {
    let row = sqlx::query_scalar!("SELECT stack_id FROM commands WHERE seq = $1", big(seq)).fetch_optional(db).await?;
    Ok(row.flatten())
}
