//! `POST /auth/password`: another password, and the end of every other session of its user.

use axum::extract::State;
use axum::response::NoContent;
use orrery_contracts::Code;
use orrery_contracts::rest::PasswordChange;
use uuid::Uuid;

use super::{Client, Principal, Via, audit, limits, password};
use crate::extract::Body;
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// Changes the caller's own password.
pub async fn change_password(
    State(api): State<Api>,
    principal: Principal,
    client: Client,
    Body(change): Body<PasswordChange>,
) -> Answer<NoContent> {
    let name = principal.name.as_str();
    password::must_be_good(&change.new)?;
    limits::must_have_attempts_left(&api, name, &client).await?;
    let hash =
        sqlx::query_scalar!("SELECT password_hash FROM auth.users WHERE id = $1", principal.user_id).fetch_optional(&api.database).await?;
    let right = password::is_right(change.current, hash).await?;
    let entry = audit::Entry { user_id: Some(principal.user_id), username: name, action: "auth.password", subject: None, succeeded: right };
    audit::write(&api, entry, &client).await;
    if !right {
        limits::remember(&api, name, &client, false).await?;
        return Err(Refusal::new(Code::Forbidden, "the present password is wrong"));
    }
    let hash = password::hash(change.new).await?;
    store(&api, &principal, &hash).await?;
    if principal.name.as_str() == super::first_start::ADMINISTRATOR {
        super::first_start::forget_the_password(&api.config.data_dir).await;
    }
    Ok(NoContent)
}

async fn store(api: &Api, principal: &Principal, hash: &str) -> Answer<()> {
    let keep = match principal.via {
        Via::Session { id, .. } => id,
        Via::Token { .. } => Uuid::nil(),
    };
    let mut transaction = api.database.begin().await?;
    sqlx::query!(
        "UPDATE auth.users SET password_hash = $2, password_changed_at = clock_timestamp() WHERE id = $1",
        principal.user_id,
        hash
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!("DELETE FROM auth.sessions WHERE user_id = $1 AND id <> $2", principal.user_id, keep).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}
