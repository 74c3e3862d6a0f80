//! `GET /users`: who has an account, for administrators.

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{List, User};

use super::{Principal, rights};
use crate::extract::{Page, Params};
use crate::problems::Answer;
use crate::state::Api;

/// Lists users by name.
pub async fn users(State(api): State<Api>, principal: Principal, Params(page): Params<Page>) -> Answer<Json<List<User>>> {
    principal.must_be_admin()?;
    let limit = Page::limit(page.limit)?;
    let rows = sqlx::query!(
        "SELECT id, username, role, created_at FROM auth.users WHERE username > $1 ORDER BY username LIMIT $2",
        page.after.unwrap_or_default(),
        limit.saturating_add(1)
    )
    .fetch_all(&api.database)
    .await?;
    let items = rows.into_iter().filter_map(|row| {
        let role = rights::role(&row.role)?;
        Some(User { id: row.id, username: row.username, role, created_at: row.created_at.into() })
    });
    Ok(Json(crate::queries::page(items.collect(), limit, |user| user.username.clone())))
}
