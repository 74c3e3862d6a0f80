//! The audit: who did what that a stream does not already keep, and who was refused.
//!
//! It holds no secret and no body of a request.

use uuid::Uuid;

use super::principal::Client;
use crate::problems::chain;
use crate::state::Api;

/// One row of the audit.
pub struct Entry<'a> {
    /// The user, when he is known.
    pub user_id: Option<Uuid>,
    /// The name that was used.
    pub username: &'a str,
    /// What was done: `auth.login`, `command.publish`, …
    pub action: &'a str,
    /// What it was done to.
    pub subject: Option<&'a str>,
    /// Whether it was let through.
    pub succeeded: bool,
}

/// Writes a row. A row that cannot be written is in the log, and stops nobody.
pub async fn write(api: &Api, entry: Entry<'_>, client: &Client) {
    let written = sqlx::query!(
        "INSERT INTO auth.audit (user_id, username, action, subject, succeeded, address) VALUES ($1, $2, $3, $4, $5, $6)",
        entry.user_id,
        entry.username,
        entry.action,
        entry.subject,
        entry.succeeded,
        client.address
    )
    .execute(&api.database)
    .await;
    if let Err(error) = written {
        tracing::error!(action = entry.action, user = entry.username, "the audit could not be written: {}", chain(&error));
    }
}
