//! `GET /auth/me`: who is signed in, and until when.

use axum::Json;
use orrery_contracts::rest::Me;

use super::{Principal, Via};
use crate::problems::Answer;

/// Who asks.
pub async fn me(principal: Principal) -> Answer<Json<Me>> {
    Ok(Json(of(&principal)))
}

/// The one who asks, as others see him.
pub(crate) fn of(principal: &Principal) -> Me {
    let expires_at = match principal.via {
        Via::Session { expires_at, .. } => Some(expires_at),
        Via::Token { .. } => None,
    };
    Me { username: principal.name.to_string(), role: principal.role, expires_at }
}
