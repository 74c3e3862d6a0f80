//! The files of a version: their shape on the wire, the rules that paths obey, and the bytes that a digest is over.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::Digest;
use crate::rest::VersionFile;

/// The files of a version, by path. `{"files": {"compose.yaml": "text", "logo.png": {"base64": "..."}, "run.sh": {"text": "...", "executable": true}}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Content by path, relative to the bundle's root, with `/` between folders.
    pub files: BTreeMap<String, FileContent>,
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether it may be executed (mode 0755 instead of 0644).
    pub executable: bool,
}

impl FileContent {
    /// A plain text file.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { bytes: text.into().into_bytes(), executable: false }
    }

    /// The content, when it is UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum FileWire {
    Text(String),
    Long(FileLong),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileLong {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    executable: bool,
}

impl Serialize for FileContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match (self.as_text(), self.executable) {
            (Some(text), false) => return serializer.serialize_str(text),
            (Some(text), true) => FileLong { text: Some(text.to_owned()), base64: None, executable: true },
            (None, executable) => FileLong { text: None, base64: Some(STANDARD.encode(&self.bytes)), executable },
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FileContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |what: &str| serde::de::Error::custom(what);
        match FileWire::deserialize(deserializer)
            .map_err(|_| wrong("a file is a text, {\"base64\": \"...\"} or {\"text\": \"...\"}, with \"executable\" where wanted"))?
        {
            FileWire::Text(text) => Ok(Self::text(text)),
            FileWire::Long(FileLong { text: Some(text), base64: None, executable }) => Ok(Self { bytes: text.into_bytes(), executable }),
            FileWire::Long(FileLong { text: None, base64: Some(coded), executable }) => {
                let bytes = STANDARD.decode(coded.as_bytes()).map_err(|error| wrong(&format!("not base64: {error}")))?;
                Ok(Self { bytes, executable })
            }
            FileWire::Long(_) => Err(wrong("a file has either \"text\" or \"base64\"")),
        }
    }
}

impl JsonSchema for FileContent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FileContent".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        FileWire::json_schema(generator)
    }
}

/// How much a bundle may hold. Configuration: `ORRERY_BUNDLE_MAX_BYTES`, `_FILES`, `_FILE_BYTES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleLimits {
    /// All files together, in bytes.
    pub bytes: usize,
    /// How many files.
    pub files: usize,
    /// One file, in bytes.
    pub file_bytes: usize,
}

impl Default for BundleLimits {
    fn default() -> Self {
        Self { bytes: 16 * 1024 * 1024, files: 1000, file_bytes: 8 * 1024 * 1024 }
    }
}

/// What is wrong with a bundle, and with which of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFault {
    /// The path; empty when it is about the whole.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Bundle {
    /// The bytes that are stored and hashed: the wire form in JSON, files sorted by path, no white space.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The bundle's name: the SHA-256 of its canonical bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical_bytes())
    }

    /// What is in it, for lists.
    #[must_use]
    pub fn file_list(&self) -> Vec<VersionFile> {
        let entry = |(path, file): (&String, &FileContent)| VersionFile {
            path: path.clone(),
            size: file.bytes.len() as u64,
            digest: Digest::of(&file.bytes),
        };
        self.files.iter().map(entry).collect()
    }

    /// Everything that is wrong with paths and sizes; empty when the bundle can be taken.
    #[must_use]
    pub fn faults(&self, limits: &BundleLimits) -> Vec<BundleFault> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, message: String| faults.push(BundleFault { path: path.to_owned(), message });
        if self.files.len() > limits.files {
            fault("", format!("the bundle has {} files; {} are allowed (ORRERY_BUNDLE_MAX_FILES)", self.files.len(), limits.files));
        }
        let total: usize = self.files.values().map(|file| file.bytes.len()).sum();
        if total > limits.bytes {
            fault("", format!("the bundle has {total} bytes; {} are allowed (ORRERY_BUNDLE_MAX_BYTES)", limits.bytes));
        }
        for (path, file) in &self.files {
            if let Err(message) = check_path(path) {
                fault(path, message);
            }
            if file.bytes.len() > limits.file_bytes {
                let size = file.bytes.len();
                fault(path, format!("the file has {size} bytes; {} are allowed (ORRERY_BUNDLE_MAX_FILE_BYTES)", limits.file_bytes));
            }
            if let Some(folder) = self.file_above(path) {
                fault(path, format!("{folder:?} is a file and cannot hold another"));
            }
        }
        faults
    }

    fn file_above(&self, path: &str) -> Option<String> {
        let cuts = path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default());
        cuts.filter(|folder| self.files.contains_key(*folder)).map(str::to_owned).next()
    }
}

/// Checks that a path stays inside the bundle: relative, `/` between folders, no `.`, `..` or empty part, nothing that
/// a file system or a terminal would take for something else.
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("a file needs a name".into());
    }
    if path.len() > 1024 {
        return Err("the path is longer than 1024 bytes".into());
    }
    if path.starts_with('/') {
        return Err("the path is absolute; give it relative to the bundle".into());
    }
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Err("the path has a backslash or a control character in it".into());
    }
    match path.split('/').find(|part| part.is_empty() || *part == "." || *part == ".." || part.len() > 255) {
        Some("..") => Err("the path leaves the bundle".into()),
        Some("" | ".") => Err("the path has an empty part or \".\" in it".into()),
        Some(_) => Err("a part of the path is longer than 255 bytes".into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_does_not_depend_on_how_a_file_was_sent() {
        let plain: Bundle = serde_json::from_str(r#"{"files":{"a":"hi","b":{"base64":"//8="}}}"#).unwrap();
        let coded: Bundle = serde_json::from_str(r#"{"files":{"b":{"base64":"//8="},"a":{"base64":"aGk="}}}"#).unwrap();
        assert_eq!(plain.digest(), coded.digest());
        assert_eq!(String::from_utf8(plain.canonical_bytes()).unwrap(), r#"{"files":{"a":"hi","b":{"base64":"//8="}}}"#);
    }

    #[test]
    fn a_path_that_leaves_the_bundle_is_a_fault() {
        for bad in ["../x", "/x", "a//b", "./a", "a/../../b", "", "a\\b", "a\nb", "a/."] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
        assert!(check_path("conf/nginx.conf").is_ok());
    }

    #[test]
    fn what_is_over_the_limits_is_told_with_its_limit() {
        let bundle: Bundle = serde_json::from_str(r#"{"files":{"a":"12345","a/b":"1"}}"#).unwrap();
        let faults = bundle.faults(&BundleLimits { bytes: 5, files: 1, file_bytes: 4 });
        let lines: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
        assert_eq!(lines.len(), 4, "{lines:#?}");
    }
}
