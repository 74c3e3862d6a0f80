//! API tokens: rows of `auth.tokens`, found by the hash of what the caller sends.

use orrery_contracts::Name;
use uuid::Uuid;

use super::principal::{Principal, Via};
use super::{rights, secrets};
use crate::problems::Answer;
use crate::state::Api;

/// What every token begins with, so that a leaked one is recognised.
pub(crate) const PREFIX: &str = "orrery_";

/// The user of a token that is neither revoked nor expired.
pub(crate) async fn owner(api: &Api, token: &str) -> Answer<Option<Principal>> {
    if !token.starts_with(PREFIX) {
        return Ok(None);
    }
    let found = sqlx::query!(
        r#"SELECT t.id, t.user_id, u.username, u.role,
                  coalesce(t.last_used_at < clock_timestamp() - interval '1 minute', true) AS "stale!"
           FROM auth.tokens t JOIN auth.users u ON u.id = t.user_id
           WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND u.disabled_at IS NULL
             AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())"#,
        secrets::kept(token)
    )
    .fetch_optional(&api.database)
    .await?;
    let Some(row) = found else { return Ok(None) };
    if row.stale {
        sqlx::query!("UPDATE auth.tokens SET last_used_at = clock_timestamp() WHERE id = $1", row.id).execute(&api.database).await?;
    }
    let (Ok(name), Some(role)) = (row.username.parse::<Name>(), rights::role(&row.role)) else { return Ok(None) };
    Ok(Some(Principal { user_id: row.user_id, name, role, via: Via::Token { id: row.id } }))
}

/// Whether a token still counts.
pub(crate) async fn is_good(api: &Api, id: Uuid) -> Answer<bool> {
    let good = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM auth.tokens t JOIN auth.users u ON u.id = t.user_id
               WHERE t.id = $1 AND t.revoked_at IS NULL AND u.disabled_at IS NULL
                 AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())) AS "good!""#,
        id
    )
    .fetch_one(&api.database)
    .await?;
    Ok(good)
}
