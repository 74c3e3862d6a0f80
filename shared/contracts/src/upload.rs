//! Uploads: files that people send to the host of the machines, to make boxes of them. A file lies there until a `box.import` has made
//! a box of it, or nobody has come for it for a day.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::BoxFormat;
use crate::ids::{Digest, Name};
use crate::time::Time;

/// Body of `POST /uploads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// The name that the box shall have.
    pub name: String,
    /// How many bytes the file has.
    pub size: u64,
    /// What the file is called where it lies, to know it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// When the file was changed last, in milliseconds since 1970: another time means another file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<u64>,
    /// The SHA-256 that it must have, in lower-case hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What the box is; found out from its first bytes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<BoxFormat>,
    /// What the box is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What an upload is of: said once, when it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadOf {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Name,
    /// The name that the box shall have.
    pub name: Name,
    /// How many bytes the file has.
    pub size: u64,
    /// What the file is called where it lies.
    #[serde(default)]
    pub file: String,
    /// When the file was changed last, in milliseconds since 1970.
    #[serde(default)]
    pub modified: Option<u64>,
    /// The SHA-256 that it must have.
    #[serde(default)]
    pub expected: Option<Digest>,
    /// What the box is, when somebody said so.
    #[serde(default)]
    pub format: Option<BoxFormat>,
    /// What the box is for.
    #[serde(default)]
    pub description: String,
}

/// An upload, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upload {
    /// What it is of.
    #[serde(flatten)]
    pub of: UploadOf,
    /// How many bytes have come, and are on the disk: where the next ones begin.
    pub received: u64,
    /// The SHA-256 of the whole file, once all of it has come: what `POST /boxes` takes as `upload`.
    pub sha256: Option<Digest>,
    /// When the last bytes came.
    pub touched_at: Time,
}
