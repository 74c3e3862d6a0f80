//! What can go wrong while the broker's configuration is made, each with what to do about it.

use std::path::PathBuf;

/// Why the broker could not be configured, found or provisioned.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The settings of an earlier start cannot be read.
    #[error("{path} is not readable as settings; remove it to start from the defaults")]
    Settings {
        /// The settings file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A publisher's name is not acceptable.
    #[error(
        "the publisher name {name:?} is refused: {why} (a name matches ^[a-z0-9][a-z0-9_-]{{0,62}}$, \
         and `api` and `ops` are reserved)"
    )]
    PublisherName {
        /// The name that was asked for.
        name: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A password could not be hashed.
    #[error("cannot hash the password of {user}")]
    Hash {
        /// Whose.
        user: String,
        /// What the library said.
        #[source]
        source: bcrypt::BcryptError,
    },
    /// Only one half of a TLS pair was given.
    #[error("TLS needs both a certificate and a key: {missing} is missing")]
    HalfTls {
        /// Which half.
        missing: &'static str,
    },
    /// No free port.
    #[error("no free port on 127.0.0.1 for the broker")]
    Port(#[source] std::io::Error),
    /// No broker program.
    #[error("no nats-server of {minimum} or newer: looked at {looked_at}; install one, or set ORRERY_NATS_SERVER to its path")]
    NoServer {
        /// The oldest that is good enough.
        minimum: &'static str,
        /// Where was looked, and what was found there.
        looked_at: String,
    },
    /// The broker refuses or does not answer.
    #[error("cannot connect to the broker at {url} as {user}")]
    Connect {
        /// Where.
        url: String,
        /// As whom.
        user: String,
        /// Why.
        #[source]
        source: async_nats::ConnectError,
    },
    /// A broker that was started did not become ready.
    #[error("the broker did not become ready: {detail}")]
    NotReady {
        /// The end of its log.
        detail: String,
    },
    /// A stream, bucket or the installation's record could not be made or differs.
    #[error("the broker's streams cannot be provisioned: {what}")]
    Provision {
        /// Which step.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl NatsError {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
