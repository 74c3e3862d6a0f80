//! `POST /auth/logout`: ends the session.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::NoContent;
use axum_extra::extract::cookie::Cookie;
use orrery_contracts::rest::Empty;

use super::principal::SESSION_COOKIE;
use super::{Client, Principal, Via, audit, sessions};
use crate::extract::{Body, With};
use crate::problems::Answer;
use crate::state::Api;

/// Signs out. With a token there is no session to end, and nothing happens.
pub async fn logout(State(api): State<Api>, principal: Principal, client: Client, Body(Empty {}): Body<Empty>) -> Answer<With<NoContent>> {
    if let Via::Session { id, .. } = principal.via {
        sessions::close(&api, id).await?;
        let entry = audit::Entry {
            user_id: Some(principal.user_id),
            username: principal.name.as_str(),
            action: "auth.logout",
            subject: None,
            succeeded: true,
        };
        audit::write(&api, entry, &client).await;
    }
    let gone = Cookie::build(SESSION_COOKIE).path("/").removal().build();
    Ok(With { name: SET_COOKIE, value: super::login::header(&gone)?, answer: NoContent })
}
