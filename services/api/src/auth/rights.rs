//! Rights: how a role is spelled in the database, and the entries of POLICY that the executors obey.

use orrery_contracts::{Name, PolicyEntry, Quota, Role, subjects};

use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// The role behind its word in the database.
pub(crate) fn role(word: &str) -> Option<Role> {
    [Role::Admin, Role::User, Role::Viewer].into_iter().find(|role| spelled(*role) == word)
}

/// The word of a role in the database.
pub(crate) fn spelled(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::User => "user",
        Role::Viewer => "viewer",
    }
}

/// Writes an entry of POLICY for every user and every configured publisher; what is right already is not written again.
///
/// # Errors
/// When the database or the broker is away.
pub async fn publish(api: &Api) -> Answer<()> {
    let users = sqlx::query!("SELECT username, role FROM auth.users WHERE disabled_at IS NULL").fetch_all(&api.database).await?;
    for user in users {
        let (Ok(name), Some(role)) = (user.username.parse::<Name>(), role(&user.role)) else { continue };
        put(api, subjects::user_key(name.as_str()), &PolicyEntry { role, quota: Quota::default() }).await?;
    }
    for (name, entry) in &api.config.publishers {
        put(api, subjects::publisher_key(name.as_str()), entry).await?;
    }
    Ok(())
}

async fn put(api: &Api, key: String, entry: &PolicyEntry) -> Answer<()> {
    let body = serde_json::to_vec(entry).map_err(|error| Refusal::internal("writing a right", &error))?;
    api.broker.put_policy(&key, body).await
}
