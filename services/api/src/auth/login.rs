//! `POST /auth/login`: a name and a password for a session's cookie.

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use axum_extra::extract::cookie::{Cookie, SameSite};
use orrery_contracts::rest::{Login, Me};
use orrery_contracts::{Code, Name};

use super::principal::SESSION_COOKIE;
use super::{Client, audit, limits, me, origin, password, rights, sessions};
use crate::extract::{Body, With};
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// Signs in.
pub async fn login(State(api): State<Api>, client: Client, headers: HeaderMap, Body(login): Body<Login>) -> Answer<With<Json<Me>>> {
    origin::must_not_be_foreign(&headers)?;
    limits::must_have_attempts_left(&api, &login.username, &client).await?;
    let found = sqlx::query!("SELECT id, password_hash, role FROM auth.users WHERE username = $1 AND disabled_at IS NULL", login.username)
        .fetch_optional(&api.database)
        .await?;
    let hash = found.as_ref().map(|user| user.password_hash.clone());
    let right = password::is_right(login.password, hash).await?;
    limits::remember(&api, &login.username, &client, right).await?;
    let user_id = found.as_ref().map(|user| user.id);
    let shown: String = login.username.chars().take(100).collect();
    let entry = audit::Entry { user_id, username: &shown, action: "auth.login", subject: None, succeeded: right };
    audit::write(&api, entry, &client).await;
    let wrong = || Refusal::new(Code::WrongCredentials, "the user name or the password is wrong");
    let user = found.filter(|_| right).ok_or_else(wrong)?;
    let name: Name = login.username.parse().map_err(|_| wrong())?;
    let role = rights::role(&user.role).ok_or_else(wrong)?;
    let (principal, secret) = sessions::open(&api, user.id, name, role, &client).await?;
    let value = header(&cookie(secret, api.config.behind_tls || came_by_tls(&headers)))?;
    Ok(With { name: SET_COOKIE, value, answer: Json(me::of(&principal)) })
}

/// Whether a reverse proxy says that the browser came by TLS. Who lies about it only loses his own cookie.
fn came_by_tls(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|value| value.as_bytes() == b"https")
}

fn cookie(secret: String, secure: bool) -> Cookie<'static> {
    Cookie::build((SESSION_COOKIE, secret)).path("/").http_only(true).same_site(SameSite::Lax).secure(secure).build()
}

/// A cookie as a header.
pub(crate) fn header(cookie: &Cookie<'_>) -> Answer<HeaderValue> {
    HeaderValue::from_str(&cookie.to_string()).map_err(|error| Refusal::internal("writing a cookie", &error))
}
