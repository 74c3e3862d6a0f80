//! Having a running broker take up a changed configuration, without losing a connection.

use crate::errors::NatsError;
use crate::layout::Layout;
use crate::secrets;
use crate::settings::Settings;
use crate::signin::{self, Credentials};
use crate::users::User;

/// Has the broker of this data folder read its configuration again, and waits until it did.
///
/// Twice: after the first time a new account's user can sign in, and its imports lead nowhere (nats-server 2.15.1).
pub async fn reload(layout: &Layout, settings: &Settings) -> Result<(), NatsError> {
    let password = secrets::password_at(&layout.password(User::System))?;
    let credentials = Credentials::new(&settings.url(), User::System.name(), &password);
    let client = signin::connect(&credentials).await?;
    let request = format!("$SYS.REQ.SERVER.{}.RELOAD", client.server_info().server_id);
    for _ in 0..2 {
        let answer = client
            .request(request.clone(), "".into())
            .await
            .map_err(|error| NatsError::NotReady { detail: format!("it does not answer the request to reload: {error}") })?;
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
        if let Some(error) = answer.get("error") {
            return Err(NatsError::NotReady { detail: format!("it refuses the configuration: {error}") });
        }
    }
    Ok(())
}
