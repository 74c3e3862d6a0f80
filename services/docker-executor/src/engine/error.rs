//! What an engine's error means for the one who asked: one table, tested row by row.

use std::fmt;

use bollard::errors::Error;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Try the same again, a few times.
    Retry,
    /// The world is not what was observed: look again and plan anew.
    Replan,
    /// It will not work: end the attempt and say why.
    Refuse,
    /// The engine is away: wait for it.
    Wait,
}

/// An error of an engine, classified.
#[derive(Debug, thiserror::Error)]
pub struct EngineError {
    /// What to do about it.
    pub class: Class,
    /// A stable code.
    pub code: &'static str,
    /// What the engine said.
    pub message: String,
    /// The whole chain, for the log.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl EngineError {
    /// An error without a cause below it.
    #[must_use]
    pub fn new(class: Class, code: &'static str, message: impl Into<String>) -> Self {
        Self { class, code, message: message.into(), source: None }
    }

    /// What an HTTP answer of the engine means.
    #[must_use]
    pub fn of_answer(status: u16, message: &str) -> Self {
        let (class, code) = classify(status, message);
        let message = message.trim();
        if code == DENIED {
            let hint = "set the stack's secret docker-config to a config.json that `docker login` wrote, and apply again";
            return Self::new(class, code, format!("{message}; {hint}"));
        }
        Self::new(class, code, message)
    }
}

/// What a build wrote before it failed.
#[derive(Debug, thiserror::Error)]
#[error("the build's output")]
pub struct BuildLog(pub Vec<u8>);

impl EngineError {
    /// What was written on the way to this error.
    #[must_use]
    pub fn log(&self) -> Option<&[u8]> {
        let log = self.source.as_ref()?.downcast_ref::<BuildLog>()?;
        Some(&log.0)
    }
}

/// The code of a registry that does not let us in.
const DENIED: &str = "registry_denied";

/// The table: a status (0 for any), words of the message (empty for any), and what they mean. The first row that fits
/// decides.
const TABLE: [(u16, &str, Class, &str); 35] = [
    (0, "port is already allocated", Class::Refuse, "port_taken"),
    (0, "address already in use", Class::Refuse, "port_taken"),
    (0, "does not match the specified platform", Class::Refuse, "image_platform"),
    (0, "no such image", Class::Refuse, "image_not_found"),
    (0, "manifest unknown", Class::Refuse, "image_not_found"),
    (0, "manifest for ", Class::Refuse, "image_not_found"),
    (0, "repository does not exist", Class::Refuse, "image_not_found"),
    (0, "pull access denied", Class::Refuse, "image_not_found"),
    (0, "unauthorized", Class::Refuse, DENIED),
    (0, "no basic auth credentials", Class::Refuse, DENIED),
    (0, "authentication required", Class::Refuse, DENIED),
    (0, "invalid reference format", Class::Refuse, "invalid"),
    (0, "toomanyrequests", Class::Retry, "registry_busy"),
    (0, "tls handshake timeout", Class::Retry, "registry_away"),
    (0, "i/o timeout", Class::Retry, "registry_away"),
    (0, "connection refused", Class::Retry, "registry_away"),
    (0, "no such host", Class::Retry, "registry_away"),
    (0, "temporary failure in name resolution", Class::Retry, "registry_away"),
    (0, "server misbehaving", Class::Retry, "registry_away"),
    (0, "received unexpected http status: 5", Class::Retry, "registry_away"),
    (0, "no space left on device", Class::Refuse, "disk_full"),
    (0, "pool overlaps with other one", Class::Refuse, "address_taken"),
    (0, "could not find an available", Class::Refuse, "no_addresses"),
    (0, "executable file not found", Class::Refuse, "command_not_found"),
    (0, "bind source path does not exist", Class::Refuse, "bind_source_missing"),
    (409, "removal of container", Class::Retry, "busy"),
    (409, "is already in use by container", Class::Replan, "name_taken"),
    (409, "volume is in use", Class::Refuse, "volume_in_use"),
    (403, "has active endpoints", Class::Refuse, "network_in_use"),
    (400, "", Class::Refuse, "invalid"),
    (403, "", Class::Refuse, "refused"),
    (404, "", Class::Replan, "gone"),
    (409, "", Class::Replan, "conflict"),
    (503, "", Class::Wait, "engine_away"),
    (500, "", Class::Retry, "engine"),
];

fn classify(status: u16, message: &str) -> (Class, &'static str) {
    let message = message.to_ascii_lowercase();
    let fits = |row: &&(u16, &str, Class, &str)| (row.0 == 0 || row.0 == status) && message.contains(row.1);
    TABLE.iter().find(fits).map_or((Class::Refuse, "engine"), |row| (row.2, row.3))
}

impl From<Error> for EngineError {
    #[allow(clippy::wildcard_enum_match_arm)] // The library's enum is long, and whatever else it says means that no answer came.
    fn from(error: Error) -> Self {
        match error {
            Error::JsonDataError { message, .. } => {
                Self::new(Class::Refuse, "engine", format!("the engine's answer cannot be read: {message}"))
            }
            Error::DockerResponseServerError { status_code, message } => Self::of_answer(status_code, &message),
            Error::DockerStreamError { error } => Self::of_answer(500, &error),
            Error::RequestTimeoutError => Self::new(Class::Retry, "engine_slow", "the engine did not answer in time"),
            other => {
                let message = format!("the engine cannot be reached: {other}");
                Self { class: Class::Wait, code: "engine_away", message, source: Some(Box::new(other)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_reached() {
        for (status, words, class, code) in TABLE {
            let status = if status == 0 { 500 } else { status };
            let error = EngineError::of_answer(status, &format!("Error: {words} xyz"));
            assert_eq!((error.class, error.code), (class, code), "{status} {words}");
        }
    }

    #[test]
    fn the_engines_own_words_are_understood() {
        let cases = [
            (
                500,
                "driver failed programming external connectivity on endpoint web: Bind for 0.0.0.0:8080 failed: port is already allocated",
                "port_taken",
            ),
            (404, "No such image: nginx:nope", "image_not_found"),
            (404, "No such container: 4711", "gone"),
            (409, "Conflict. The container name \"/web\" is already in use by container \"ab\". You have to remove it.", "name_taken"),
            (404, "pull access denied for x, repository does not exist or may require 'docker login'", "image_not_found"),
            (500, "Get https://registry.example/v2/: dial tcp: lookup registry.example: no such host", "registry_away"),
            (503, "starting", "engine_away"),
            (500, "something else", "engine"),
        ];
        for (status, message, code) in cases {
            assert_eq!(EngineError::of_answer(status, message).code, code, "{message}");
        }
    }

    #[test]
    fn an_engine_that_cannot_be_reached_is_waited_for() {
        let error = EngineError::from(Error::IOError { err: std::io::Error::from(std::io::ErrorKind::ConnectionRefused) });
        assert_eq!(error.class, Class::Wait);
    }
}
