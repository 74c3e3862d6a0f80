//! What can go wrong while projecting, sorted by what to do about it: wait, look again, or stop.

use thiserror::Error;

/// What a person does about it.
const WAY_BACK: &str = "`cargo xtask recover` puts back what was copied";

/// Why a batch was not committed, or a start was refused.
#[derive(Debug, Error)]
pub enum ProjectError {
    /// The database is away, or refuses: wait and try again.
    #[error("the database does not take it")]
    Database(#[from] sqlx::Error),
    /// The broker is away, or refuses: wait and try again.
    #[error("the broker does not answer: {0}")]
    Broker(String),
    /// Another projector or a rebuild has moved on: read the positions again.
    #[error("another projector has moved on")]
    Overtaken,
    /// A sequence number does not mean what it meant: stop, and say so.
    #[error("{0}")]
    Regressed(#[from] Regression),
}

/// The broker no longer holds what was read from it. Nothing goes on until somebody has put that right.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Regression {
    /// The stream ends before the last message that was seen.
    #[error("{stream} ends at {last}; {seen} was seen. {WAY_BACK}")]
    Shorter {
        /// The stream.
        stream: &'static str,
        /// Its last number.
        last: u64,
        /// The last number that was seen.
        seen: u64,
    },
    /// Another message has the number.
    #[error("message {seq} of {stream} is not the one that was seen. {WAY_BACK}")]
    AnotherMessage {
        /// The stream.
        stream: &'static str,
        /// The number.
        seq: u64,
    },
    /// A number is missing.
    #[error("message {missing} of {stream} is missing. {WAY_BACK}")]
    Gap {
        /// The stream.
        stream: &'static str,
        /// The first number that is not there.
        missing: u64,
    },
    /// A transition is about a command that COMMANDS does not have.
    #[error("message {event} of EVENTS is a transition of command {command}, which COMMANDS does not have. {WAY_BACK}")]
    UnknownCommand {
        /// The transition's number.
        event: u64,
        /// The command's number.
        command: u64,
    },
    /// A transition was made for another message than the one at its number.
    #[error("message {event} of EVENTS is a transition of another command {command} than the one in COMMANDS. {WAY_BACK}")]
    AnotherCommand {
        /// The transition's number.
        event: u64,
        /// The command's number.
        command: u64,
    },
    /// The broker belongs to another installation.
    #[error(
        "the broker belongs to installation {broker}, the database to {database}. Where the broker's store was lost and made anew, {WAY_BACK}"
    )]
    AnotherInstallation {
        /// What HEADS says.
        broker: uuid::Uuid,
        /// What the database says.
        database: uuid::Uuid,
    },
    /// The broker belongs to no installation any more.
    #[error("the broker holds nothing, and the database the copies of installation {database}: the broker's store was lost. {WAY_BACK}")]
    NoInstallation {
        /// What the database says.
        database: uuid::Uuid,
    },
    /// The raw copies do not reach as far as the read model.
    #[error("the raw copies of {stream} end at {copied}, the read model at {projected}; run `orrery-projector rebuild`")]
    CopiesLost {
        /// The stream.
        stream: &'static str,
        /// The last copy.
        copied: u64,
        /// The last message projected.
        projected: u64,
    },
}

/// Whether the database refused the value itself, so that trying the same again is in vain.
#[must_use]
pub fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23") || code.starts_with("54"))
}
