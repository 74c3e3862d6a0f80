//! Steps: rows of the write-ahead log, one for each number within an attempt.

use orrery_contracts::{Digest, Time};
use sqlx::PgConnection;

use super::big;
use crate::text::storable;

/// A step, by command, attempt and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey {
    /// The command.
    pub command: u64,
    /// The attempt.
    pub attempt: u32,
    /// The number within the attempt.
    pub n: u32,
}

/// What a step is about to do.
#[derive(Clone, Copy, Debug)]
pub struct Effect<'a> {
    /// The run that does it.
    pub run: u32,
    /// What is done.
    pub action: &'a str,
    /// What it is done to.
    pub subject: &'a str,
    /// The action of the plan that it belongs to.
    pub plan: Option<u32>,
}

/// Notes that a step begins, or begins again.
///
/// # Errors
/// When the database is away or refuses.
pub async fn started(db: &mut PgConnection, key: StepKey, effect: Effect<'_>, at: Time) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO steps (command, attempt, n, run, action, subject, plan, status, detail, started_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', '', $8)
         ON CONFLICT (command, attempt, n) DO UPDATE
         SET run = excluded.run, action = excluded.action, subject = excluded.subject, plan = excluded.plan, status = 'running',
             detail = '', log = NULL, started_at = excluded.started_at, ended_at = NULL",
        big(key.command),
        i64::from(key.attempt),
        i64::from(key.n),
        i64::from(effect.run),
        &storable(effect.action),
        &storable(effect.subject),
        effect.plan.map(i64::from),
        at.inner()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How a step ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The run that says so.
    pub run: u32,
    /// `done`, `found_done`, `skipped` or `failed`.
    pub status: &'static str,
    /// One line for a person.
    pub detail: &'a str,
    /// Its kept log.
    pub log: Option<&'a Digest>,
}

/// Notes how a step ended; false when it never began.
///
/// # Errors
/// When the database is away or refuses.
pub async fn ended(db: &mut PgConnection, key: StepKey, end: End<'_>, at: Time) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE steps SET run = $4, status = $5, detail = $6, log = $7, ended_at = $8 WHERE command = $1 AND attempt = $2 AND n = $3",
        big(key.command),
        i64::from(key.attempt),
        i64::from(key.n),
        i64::from(end.run),
        end.status,
        &storable(end.detail),
        end.log.map(Digest::as_str),
        at.inner()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends what an attempt that is over left open; answers which.
///
/// # Errors
/// When the database is away or refuses.
pub async fn left_open(db: &mut PgConnection, command: u64, attempt: u32, at: Time) -> sqlx::Result<Vec<u32>> {
    let open = sqlx::query_scalar!(
        "UPDATE steps SET status = 'failed', detail = 'its end was not recorded', ended_at = $3
         WHERE command = $1 AND attempt = $2 AND status = 'running'
         RETURNING n",
        big(command),
        i64::from(attempt),
        at.inner()
    )
    .fetch_all(db)
    .await?;
    let mut open: Vec<u32> = open.into_iter().map(super::small).collect();
    open.sort_unstable();
    Ok(open)
}
