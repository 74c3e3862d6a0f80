//! What an error of libvirt means for the one who asked: one table, tested row by row.

use std::fmt;

use virt::error::{Error, ErrorNumber};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The engine is away: wait for it.
    Wait,
    /// Try the same again, a few times.
    Retry,
    /// The world is not what was observed: look again and plan anew.
    Replan,
    /// It will not work: end the attempt and say why.
    Refuse,
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

    /// It will not work.
    #[must_use]
    pub fn refuse(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Class::Refuse, code, message)
    }

    /// What was observed is not there any more.
    #[must_use]
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(Class::Replan, GONE, message)
    }

    /// The engine does not answer.
    #[must_use]
    pub fn away(message: impl Into<String>) -> Self {
        Self::new(Class::Wait, AWAY, message)
    }

    /// Whether it says that something is not there.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.code == GONE
    }
}

/// The code of what is not there.
const GONE: &str = "gone";
/// The code of an engine that does not answer.
const AWAY: &str = "engine_away";

/// The code of a guest without a serial console.
pub const NO_CONSOLE: &str = "no_console";
/// The code of a guest without a screen.
pub const NO_SCREEN: &str = "no_screen";

/// The words of messages that decide, whatever their number is: in small letters, and what they mean. The first row that
/// fits decides, and goes before the numbers.
const WORDS: [(&str, Class, &str); 29] = [
    ("end of file while reading data", Class::Wait, AWAY),
    ("client socket is closed", Class::Wait, AWAY),
    ("connection closed due to keepalive timeout", Class::Wait, AWAY),
    ("cannot recv data", Class::Wait, AWAY),
    ("cannot write data", Class::Wait, AWAY),
    ("failed to connect socket", Class::Wait, AWAY),
    ("connection refused", Class::Wait, AWAY),
    ("cannot acquire state change lock", Class::Retry, "busy"),
    ("no space left on device", Class::Refuse, "disk_full"),
    ("network is already in use by interface", Class::Refuse, "address_taken"),
    ("address already in use", Class::Refuse, "address_taken"),
    ("bridge name", Class::Refuse, "bridge_taken"),
    ("cannot allocate memory", Class::Refuse, "no_memory"),
    ("could not access kvm kernel module", Class::Refuse, "no_kvm"),
    ("failed to initialize kvm", Class::Refuse, "no_kvm"),
    ("unable to find any firmware", Class::Refuse, "no_firmware"),
    ("unable to find 'efi' firmware", Class::Refuse, "no_firmware"),
    ("could not open", Class::Refuse, "file_missing"),
    ("no such file or directory", Class::Refuse, "file_missing"),
    ("permission denied", Class::Refuse, "denied"),
    ("failed to get shared \"write\" lock", Class::Refuse, "disk_in_use"),
    ("is already in use by other domain", Class::Refuse, "disk_in_use"),
    ("already exists with uuid", Class::Replan, "name_taken"),
    ("' not running", Class::Replan, "conflict"),
    ("cannot find character device", Class::Refuse, NO_CONSOLE),
    ("cannot find console device", Class::Refuse, NO_CONSOLE),
    ("no graphics backend", Class::Refuse, NO_SCREEN),
    ("no screens to take screenshot from", Class::Refuse, NO_SCREEN),
    // QEMU's own.
    ("no console to take a screendump from", Class::Refuse, NO_SCREEN),
];

/// Numbers of errors, and what they mean.
const NUMBERS: [(ErrorNumber, Class, &str); 42] = [
    (ErrorNumber::NoConnect, Class::Wait, AWAY),
    (ErrorNumber::InvalidConn, Class::Wait, AWAY),
    (ErrorNumber::Rpc, Class::Wait, AWAY),
    (ErrorNumber::NoServer, Class::Wait, AWAY),
    (ErrorNumber::NoClient, Class::Wait, AWAY),
    (ErrorNumber::OperationTimeout, Class::Retry, "busy"),
    (ErrorNumber::ResourceBusy, Class::Retry, "busy"),
    (ErrorNumber::OperationAborted, Class::Retry, "aborted"),
    (ErrorNumber::AgentUnresponsive, Class::Retry, "agent_away"),
    (ErrorNumber::AgentUnsynced, Class::Retry, "agent_away"),
    (ErrorNumber::NoMemory, Class::Retry, "no_memory"),
    (ErrorNumber::SystemError, Class::Retry, "engine"),
    (ErrorNumber::InternalError, Class::Retry, "engine"),
    (ErrorNumber::OperationFailed, Class::Retry, "engine"),
    (ErrorNumber::NoDomain, Class::Replan, GONE),
    (ErrorNumber::NoNetwork, Class::Replan, GONE),
    (ErrorNumber::NoStoragePool, Class::Replan, GONE),
    (ErrorNumber::NoStorageVolume, Class::Replan, GONE),
    (ErrorNumber::NoDomainSnapshot, Class::Replan, GONE),
    (ErrorNumber::NoDomainMetadata, Class::Replan, GONE),
    (ErrorNumber::NoNetworkMetadata, Class::Replan, GONE),
    (ErrorNumber::DeviceMissing, Class::Replan, GONE),
    (ErrorNumber::DomExist, Class::Replan, "name_taken"),
    (ErrorNumber::NetworkExist, Class::Replan, "name_taken"),
    (ErrorNumber::StorageVolExist, Class::Replan, "name_taken"),
    (ErrorNumber::OperationInvalid, Class::Replan, "conflict"),
    (ErrorNumber::InvalidArg, Class::Refuse, "invalid"),
    (ErrorNumber::XmlError, Class::Refuse, "invalid"),
    (ErrorNumber::XmlDetail, Class::Refuse, "invalid"),
    (ErrorNumber::XmlInvalidSchema, Class::Refuse, "invalid"),
    (ErrorNumber::ParseFailed, Class::Refuse, "invalid"),
    (ErrorNumber::OsType, Class::Refuse, "invalid"),
    (ErrorNumber::NoSupport, Class::Refuse, "unsupported"),
    (ErrorNumber::ConfigUnsupported, Class::Refuse, "unsupported"),
    (ErrorNumber::ArgumentUnsupported, Class::Refuse, "unsupported"),
    (ErrorNumber::OperationUnsupported, Class::Refuse, "unsupported"),
    (ErrorNumber::SnapshotRevertRisky, Class::Refuse, "snapshot_risky"),
    (ErrorNumber::CpuIncompatible, Class::Refuse, "cpu_incompatible"),
    (ErrorNumber::AccessDenied, Class::Refuse, "denied"),
    (ErrorNumber::AuthFailed, Class::Refuse, "denied"),
    (ErrorNumber::AuthUnavailable, Class::Refuse, "denied"),
    (ErrorNumber::OperationDenied, Class::Refuse, "denied"),
];

fn classify(number: Option<ErrorNumber>, message: &str) -> (Class, &'static str) {
    let message = message.to_ascii_lowercase();
    if let Some((_, class, code)) = WORDS.iter().find(|(words, ..)| message.contains(words)) {
        return (*class, code);
    }
    let row = number.and_then(|number| NUMBERS.iter().find(|(known, ..)| *known == number));
    row.map_or((Class::Refuse, "engine"), |(_, class, code)| (*class, code))
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        let (class, code) = classify(error.code().known(), error.message());
        Self { class, code, message: error.message().trim().to_owned(), source: Some(Box::new(error)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_tables_is_reached() {
        for (words, class, code) in WORDS {
            assert_eq!(classify(Some(ErrorNumber::InvalidArg), &format!("Error: {words} xyz")), (class, code), "{words}");
        }
        for (number, class, code) in NUMBERS {
            assert_eq!(classify(Some(number), "something"), (class, code), "{number:?}");
        }
    }

    #[test]
    fn libvirts_own_words_are_understood() {
        use ErrorNumber as N;
        for (number, message, code) in [
            (N::NoDomain, "Domain not found: no domain with matching uuid '4711'", "gone"),
            (N::OperationFailed, "domain 't1' already exists with uuid 2f0c", "name_taken"),
            (N::OperationInvalid, "Requested operation is not valid: domain is not running", "conflict"),
            (N::Rpc, "End of file while reading data: Input/output error", "engine_away"),
            (N::SystemError, "Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory", "engine_away"),
            (N::InternalError, "client socket is closed", "engine_away"),
            (N::OperationTimeout, "Timed out during operation: cannot acquire state change lock (held by monitor=x)", "busy"),
            (N::InternalError, "Network is already in use by interface eth0", "address_taken"),
            (N::ConfigUnsupported, "unsupported configuration: no such thing", "unsupported"),
            (N::SystemError, "cannot fill file '/x/y': No space left on device", "disk_full"),
            (N::InternalError, "something else", "engine"),
        ] {
            assert_eq!(classify(Some(number), message).1, code, "{message}");
        }
        assert_eq!(classify(None, "an error of a later release"), (Class::Refuse, "engine"));
    }
}
