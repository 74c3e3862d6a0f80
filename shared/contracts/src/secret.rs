//! Secrets of stacks. A value is sealed where it arrives, so that only the docker-executor of its host can open it; streams, tables, logs
//! and events hold its name, its version and who set it, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, Name, SecretName};
use crate::time::Time;

/// The longest value in bytes, as the engines of others have it (`MaxSecretSize` of SwarmKit).
pub const LONGEST_SECRET: usize = 500 * 1024;

/// The secret whose value is a `config.json` of Docker: how registries know the stack when its images are pulled or built.
pub const REGISTRY_SECRET: &str = "docker-config";

/// A value in a sealed box (`crypto_box_seal` of NaCl: X25519, XSalsa20-Poly1305), in base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        STANDARD.encode(sealed.0)
    }
}

impl TryFrom<String> for Sealed {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(Self)
    }
}

/// What a stack's head says of one of its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretHead {
    /// Its version, from 1; it goes on after the secret was removed and set again.
    pub version: u32,
    /// The sealed value in BUNDLES; none when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Digest>,
    /// Who set it.
    pub author: Name,
    /// When.
    pub at: Time,
    /// The sequence of the command that did.
    pub command: u64,
}

/// A secret, as everybody who may see its stack sees it: never its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Secret {
    /// Its name.
    pub name: SecretName,
    /// Its version, from 1.
    pub version: u32,
    /// Who set it.
    pub author: String,
    /// When.
    pub set_at: Time,
}

impl Secret {
    /// Those that are there, by name.
    #[must_use]
    pub fn all(heads: &std::collections::BTreeMap<SecretName, SecretHead>) -> Vec<Self> {
        let there = |(name, head): (&SecretName, &SecretHead)| {
            head.sealed.as_ref()?;
            Some(Self { name: name.clone(), version: head.version, author: head.author.to_string(), set_at: head.at })
        };
        heads.iter().filter_map(there).collect()
    }
}

/// Body of `PUT /secrets/{stack}/{name}`: exactly one of the two.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSecret {
    /// The value as text; or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// the value in base64, where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// On `orrery.rpc.docker.<host>.sealing`: to what values are sealed; answered with `Answer<SealingKey>`. Also the answer of
/// `GET /secrets/{stack}/key`, for tools that seal by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealingKey {
    /// The executor's public key (X25519, 32 bytes), in base64.
    pub key: String,
}
