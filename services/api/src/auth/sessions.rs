//! Sessions: rows of `auth.sessions`, found by the hash of the cookie's secret.

use orrery_contracts::{Name, Role, Time};
use uuid::Uuid;

use super::principal::{Client, Principal, Via};
use super::{rights, secrets};
use crate::problems::Answer;
use crate::state::Api;

/// How long an unused session lives.
pub(crate) const IDLE_HOURS: i32 = 12;
/// How long any session lives.
const LONGEST_DAYS: i32 = 30;

/// The user of a session, which lives on because somebody uses it: what a page asks by itself is no use.
pub(crate) async fn owner(api: &Api, secret: &str, by_somebody: bool) -> Answer<Option<Principal>> {
    let found = sqlx::query!(
        r#"SELECT s.id, s.user_id, s.expires_at, u.username, u.role,
                  s.last_seen_at < clock_timestamp() - interval '1 minute' AS "stale!"
           FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id
           WHERE s.token_hash = $1 AND s.expires_at > clock_timestamp() AND u.disabled_at IS NULL"#,
        secrets::kept(secret)
    )
    .fetch_optional(&api.database)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let expires_at = if row.stale && by_somebody { prolong(api, row.id).await? } else { row.expires_at.into() };
    let (Ok(name), Some(role)) = (row.username.parse::<Name>(), rights::role(&row.role)) else { return Ok(None) };
    Ok(Some(Principal { user_id: row.user_id, name, role, via: Via::Session { id: row.id, expires_at } }))
}

async fn prolong(api: &Api, session: Uuid) -> Answer<Time> {
    let end = sqlx::query_scalar!(
        r#"UPDATE auth.sessions
           SET last_seen_at = clock_timestamp(),
               expires_at = least(clock_timestamp() + make_interval(hours => $2), created_at + make_interval(days => $3))
           WHERE id = $1 RETURNING expires_at"#,
        session,
        IDLE_HOURS,
        LONGEST_DAYS
    )
    .fetch_one(&api.database)
    .await?;
    Ok(end.into())
}

/// A new session; its secret is for the cookie alone.
pub(crate) async fn open(api: &Api, user_id: Uuid, name: Name, role: Role, client: &Client) -> Answer<(Principal, String)> {
    let secret = secrets::made_up();
    let id = Uuid::now_v7();
    let expires_at = sqlx::query_scalar!(
        r#"INSERT INTO auth.sessions (id, user_id, token_hash, expires_at, address, user_agent)
           VALUES ($1, $2, $3, clock_timestamp() + make_interval(hours => $4), $5, $6) RETURNING expires_at"#,
        id,
        user_id,
        secrets::kept(&secret),
        IDLE_HOURS,
        client.address,
        client.agent
    )
    .fetch_one(&api.database)
    .await?;
    sqlx::query!("DELETE FROM auth.sessions WHERE expires_at < clock_timestamp()").execute(&api.database).await?;
    Ok((Principal { user_id, name, role, via: Via::Session { id, expires_at: expires_at.into() } }, secret))
}

/// Ends one session.
pub(crate) async fn close(api: &Api, session: Uuid) -> Answer<()> {
    sqlx::query!("DELETE FROM auth.sessions WHERE id = $1", session).execute(&api.database).await?;
    Ok(())
}

/// Whether a session is still open.
pub(crate) async fn is_open(api: &Api, session: Uuid) -> Answer<bool> {
    let open = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id
               WHERE s.id = $1 AND s.expires_at > clock_timestamp() AND u.disabled_at IS NULL) AS "open!""#,
        session
    )
    .fetch_one(&api.database)
    .await?;
    Ok(open)
}
