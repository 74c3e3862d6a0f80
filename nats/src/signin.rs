//! Signing in to the broker with a name, a password and the inbox prefix that goes with the name.

use std::path::PathBuf;
use std::time::Duration;

use crate::errors::NatsError;
use crate::users::inbox_prefix;

/// What a client signs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Where the broker is.
    pub url: String,
    /// The user's or publisher's name.
    pub name: String,
    /// The password.
    pub password: String,
    /// The prefix that the client must set for its inboxes.
    pub inbox_prefix: String,
    /// Who signed the broker's certificate, PEM, where it speaks TLS.
    pub authority: Option<PathBuf>,
}

impl Credentials {
    /// The credentials of that name; the authority is the one that `ORRERY_NATS_CA` names.
    pub fn new(url: &str, name: &str, password: &str) -> Self {
        Self {
            url: url.to_owned(),
            name: name.to_owned(),
            password: password.to_owned(),
            inbox_prefix: inbox_prefix(name),
            authority: authority(),
        }
    }

    /// How a client must be set up for them.
    pub fn options(&self) -> async_nats::ConnectOptions {
        let options = async_nats::ConnectOptions::with_user_and_password(self.name.clone(), self.password.clone())
            .custom_inbox_prefix(&self.inbox_prefix)
            .connection_timeout(Duration::from_secs(5));
        match &self.authority {
            Some(authority) => options.add_root_certificates(authority.clone()).require_tls(true),
            None => options,
        }
    }
}

fn authority() -> Option<PathBuf> {
    std::env::var_os("ORRERY_NATS_CA").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A connection with these credentials.
pub async fn connect(credentials: &Credentials) -> Result<async_nats::Client, NatsError> {
    credentials.options().connect(&credentials.url).await.map_err(|source| NatsError::Connect {
        url: credentials.url.clone(),
        user: credentials.name.clone(),
        source,
    })
}
