//! Names, ids and digests as types: what has been parsed once need not be checked again.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use uuid::Uuid;

/// Why a text is no name, id or digest. The message says what is wanted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct InvalidName(pub String);

/// The name of a stack, machine, user or publisher: `^[a-z0-9][a-z0-9_-]{0,62}$`, and never a UUID, so that a
/// reference is either a name or an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Name(#[schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]{0,62}$"))] String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let head = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let tail = |c: char| head(c) || c == '_' || c == '-';
        let shaped = text.len() <= 63 && text.starts_with(head) && text.chars().all(tail);
        if !shaped {
            return Err(InvalidName(format!(
                "{text:?} is not a name: use 1 to 63 lower-case letters, digits, '-' and '_', starting with a letter or digit"
            )));
        }
        if Uuid::parse_str(text).is_ok() {
            return Err(InvalidName(format!("{text:?} has the form of an id and cannot be a name")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a secret within its stack: `^[A-Za-z0-9._-]{1,64}$`, as Compose names one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(#[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))] String);

impl SecretName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        // It names a file on the host.
        let dots = text.chars().all(|c| c == '.');
        if dots || text.len() > 64 || !text.chars().all(fits) {
            return Err(InvalidName(format!("{text:?} is no name of a secret: use 1 to 64 letters, digits, '.', '_' and '-'")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for SecretName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a command: a UUID in canonical lower-case form, chosen by the publisher. Any other spelling of the same
/// UUID is refused, because the broker deduplicates by the letters of the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct CommandId(Uuid);

impl CommandId {
    /// Takes a UUID that is known to be one.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl FromStr for CommandId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match Uuid::parse_str(text) {
            Ok(id) if id.to_string() == text => Ok(Self(id)),
            Ok(_) | Err(_) => Err(InvalidName(format!("{text:?} is not a UUID in canonical lower-case form"))),
        }
    }
}

impl TryFrom<String> for CommandId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<CommandId> for String {
    fn from(id: CommandId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An id that follows from the installation and the sequence of the command that made the thing.
macro_rules! derived_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id of what the command at `seq` makes in this installation.
            #[must_use]
            pub fn derive(installation: Uuid, seq: u64) -> Self {
                Self(Uuid::new_v5(&installation, format!("{}:{seq}", $kind).as_bytes()))
            }

            /// Takes a UUID that was read back from where an id had been written.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Uuid::parse_str(text).map(Self).map_err(|_| InvalidName(format!("{text:?} is not an id")))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

derived_id!(
    /// The id of a stack: a UUIDv5 of the installation and the sequence of the command that made it.
    StackId,
    "stack"
);

derived_id!(
    /// The id of a machine: a UUIDv5 of the installation and the sequence of the command that made it. It is the UUID of its
    /// libvirt domain too.
    MachineId,
    "machine"
);

/// A SHA-256 in 64 lower-case hexadecimal characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(#[schemars(regex(pattern = r"^[0-9a-f]{64}$"))] String);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if text.len() == 64 && text.chars().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName(format!("{text:?} is not a SHA-256 in 64 lower-case hexadecimal characters")))
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandId, Digest, Name};

    #[test]
    fn a_name_is_neither_a_path_nor_a_uuid() {
        assert!("shop-2_b".parse::<Name>().is_ok());
        for bad in ["", "-a", "Shop", "a/b", "..", "a b", "0199a2f4-6f0a-7c3e-9a51-3f0b8a4a2c11", &"a".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_command_id_is_canonical_or_nothing() {
        assert!("01997f2e-6f0a-7c3e-9a51-3f0b8a4a2c11".parse::<CommandId>().is_ok());
        assert!("01997F2E-6F0A-7C3E-9A51-3F0B8A4A2C11".parse::<CommandId>().is_err());
        assert!("01997f2e6f0a7c3e9a513f0b8a4a2c11".parse::<CommandId>().is_err());
    }

    #[test]
    fn a_digest_is_the_sha_256_of_the_bytes() {
        assert_eq!(Digest::of(b"").as_str(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
