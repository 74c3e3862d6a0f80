//! The steps of a command's present attempt.

use orrery_contracts::rest::Step;

use super::{small, stored};
use crate::problems::Answer;
use crate::state::Api;

/// The steps of one attempt, by number; whoever asks has been shown the command.
pub(crate) async fn of_command(api: &Api, seq: u64, attempt: u32) -> Answer<Vec<Step>> {
    select(api, seq, attempt, None).await
}

/// One step of an attempt.
pub(crate) async fn one(api: &Api, seq: u64, attempt: u32, n: u32) -> Answer<Option<Step>> {
    Ok(select(api, seq, attempt, Some(n)).await?.pop())
}

async fn select(api: &Api, seq: u64, attempt: u32, n: Option<u32>) -> Answer<Vec<Step>> {
    let rows = sqlx::query!(
        r#"SELECT n, action, subject, plan, status, detail, started_at, ended_at, log FROM read.steps
           WHERE command = $1 AND attempt = $2 AND ($3::bigint IS NULL OR n = $3) ORDER BY n"#,
        stored(seq),
        i64::from(attempt),
        n.map(i64::from)
    )
    .fetch_all(&api.database)
    .await?;
    let steps = rows.into_iter().map(|row| Step {
        n: small(row.n),
        action: row.action,
        subject: row.subject,
        plan: row.plan.map(small),
        status: row.status,
        detail: row.detail,
        started_at: row.started_at.into(),
        ended_at: row.ended_at.map(Into::into),
        log: row.log.and_then(|digest| digest.parse().ok()),
    });
    Ok(steps.collect())
}
