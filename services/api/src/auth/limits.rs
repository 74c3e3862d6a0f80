//! How often one may try to sign in: a wrong password costs an attempt, and attempts come back with time.
//!
//! One address that guesses is stopped early; one user who is guessed at from everywhere much later, so that nobody can
//! lock another out cheaply.

use orrery_contracts::Code;

use super::principal::Client;
use crate::problems::{Answer, Refusal};
use crate::state::Api;

const PER_USER_AND_ADDRESS: i64 = 8;
const PER_ADDRESS: i64 = 40;
const PER_USER: i64 = 200;

/// Refuses who has tried too often within the last five minutes.
pub(crate) async fn must_have_attempts_left(api: &Api, username: &str, client: &Client) -> Answer<()> {
    let failed = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE username = $1) AS "user!",
                  count(*) FILTER (WHERE address IS NOT DISTINCT FROM $2) AS "address!",
                  count(*) FILTER (WHERE username = $1 AND address IS NOT DISTINCT FROM $2) AS "both!"
           FROM auth.login_attempts
           WHERE at > clock_timestamp() - interval '5 minutes' AND NOT succeeded AND (username = $1 OR address IS NOT DISTINCT FROM $2)"#,
        username,
        client.address
    )
    .fetch_one(&api.database)
    .await?;
    if failed.both < PER_USER_AND_ADDRESS && failed.address < PER_ADDRESS && failed.user < PER_USER {
        return Ok(());
    }
    let wait = axum::http::HeaderValue::from_static("300");
    let refusal = Refusal::new(Code::TooManyAttempts, "too many wrong passwords; try again in five minutes");
    Err(refusal.with_header(axum::http::header::RETRY_AFTER, wait))
}

/// Remembers an attempt; a success forgives the failures of the same user at the same address.
pub(crate) async fn remember(api: &Api, username: &str, client: &Client, succeeded: bool) -> Answer<()> {
    let username: String = username.chars().take(100).collect();
    if succeeded {
        sqlx::query!(
            r#"DELETE FROM auth.login_attempts
               WHERE (username = $1 AND address IS NOT DISTINCT FROM $2 AND NOT succeeded) OR at < clock_timestamp() - interval '1 day'"#,
            username,
            client.address
        )
        .execute(&api.database)
        .await?;
    }
    sqlx::query!("INSERT INTO auth.login_attempts (username, address, succeeded) VALUES ($1, $2, $3)", username, client.address, succeeded)
        .execute(&api.database)
        .await?;
    Ok(())
}
