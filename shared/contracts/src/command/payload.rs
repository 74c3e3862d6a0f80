//! Payloads as they travel: one struct a shape, with every field that a publisher may write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BoxFormat, StackAction};
use crate::bundle::Bundle;
use crate::ids::{Digest, SecretName};
use crate::secret::Sealed;

/// Payload of `stack.create` and `machine.create`: exactly one of `bundle` and `digest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// The digest of uploaded files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What the author says about version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Payload of `….version.create` and `….deploy`: exactly one of `bundle` and `digest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionCreate {
    /// The files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// The digest of uploaded files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What the author says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The latest version that the author saw; another one is a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u32>,
}

/// Payload of `….apply`: `{version, digest?}`, or `{bundle, comment?}`, which is a `….deploy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The version to converge to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The digest that this version must have; another one is a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The files of a new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// What the author says about the new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Payload of `….rollback`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The version to go back to.
    pub version: u32,
    /// The digest that this version must have; another one is a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// Payload of `stack.delete`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StackDelete {
    /// Whether the named volumes and the stack's folder go too.
    #[serde(default)]
    pub volumes: bool,
}

/// Payload of `stack.secret.put`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretPut {
    /// The secret's name.
    pub name: SecretName,
    /// Its value, which only the executor can open.
    pub sealed: Sealed,
}

/// Payload of `stack.secret.remove`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRemove {
    /// The secret's name.
    pub name: SecretName,
}

impl From<SecretPut> for StackAction {
    fn from(SecretPut { name, sealed }: SecretPut) -> Self {
        Self::SecretPut { name, sealed }
    }
}

impl From<SecretRemove> for StackAction {
    fn from(SecretRemove { name }: SecretRemove) -> Self {
        Self::SecretRemove { name }
    }
}

/// Payload of `machine.delete`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MachineDelete {
    /// Whether the machine's disks go too; a volume that the definition only names never does.
    #[serde(default)]
    pub disks: bool,
}

/// Payload of `machine.shutdown`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MachineShutdown {
    /// How long the guest may take, in seconds, before it is ended; the definition's own time when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u64>,
}

/// Payload of `machine.snapshot.create`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotCreate {
    /// The snapshot's name, unique in its machine.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Payload of `machine.snapshot.revert` and `machine.snapshot.delete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotName {
    /// The snapshot's name.
    pub name: String,
}

/// Payload of `box.import`: exactly one of `url` and `upload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoxImport {
    /// What it is; found out from its first bytes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<BoxFormat>,
    /// Where it is fetched from: `http://`, `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The SHA-256 of a file that was uploaded to `/uploads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Digest>,
    /// The SHA-256 that it must have; asked for with an address that is not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Payload of a type that has no fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}
