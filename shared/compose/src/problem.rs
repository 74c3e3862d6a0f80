//! What is wrong with a definition, and where: the located messages that a person reads in the
//! page, in an answer of the api and in the reason of a rejected command.
//!
//! A problem is data. Nothing here decides what to do about one, and nothing here prints.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How bad it is. The order is the order in which problems are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The definition cannot be used as it is.
    Error,
    /// It can be used, and probably does not do what its author thinks.
    Warning,
    /// Something worth knowing.
    Note,
}

/// Whose rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Not valid Compose: Compose itself would not take it.
    Invalid,
    /// Valid Compose that Orrery does not run. It blocks plan and apply, not the check.
    Refused,
    /// Blocks nothing.
    Note,
}

/// Where something is written: a range of a file, and the path of the value in the definition.
///
/// Lines and columns count from 1, columns in characters. The end is exclusive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Path of the file in the bundle.
    pub file: Arc<str>,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column behind the last character.
    pub end_column: u32,
    /// Path of the value, such as `services.web.ports[0]`. Empty for the whole file.
    pub path: Arc<str>,
}

impl Place {
    /// The beginning of a file.
    pub fn start_of(file: &str) -> Self {
        Self { file: file.into(), line: 1, column: 1, end_line: 1, end_column: 1, path: "".into() }
    }

    /// The same range under another path.
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        Self { path: path.into(), ..self.clone() }
    }
}

/// Where a value is written is no part of the value: two definitions that differ only in layout
/// are equal.
impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Default for Place {
    fn default() -> Self {
        Self::start_of("compose.yaml")
    }
}

/// One thing to say about a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Path of the file in the bundle.
    pub file: String,
    /// First line, from 1.
    pub line: u32,
    /// First column, from 1, in characters.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column behind the last character.
    pub end_column: u32,
    /// Path of the value, such as `services.web.ports[0]`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// Whose rule is broken.
    pub kind: Kind,
}

impl Problem {
    fn new(place: &Place, message: impl Into<String>, severity: Severity, kind: Kind) -> Self {
        Self {
            file: place.file.to_string(),
            line: place.line,
            column: place.column,
            end_line: place.end_line,
            end_column: place.end_column,
            path: place.path.to_string(),
            message: message.into(),
            hint: None,
            severity,
            kind,
        }
    }

    /// This is not valid Compose.
    pub fn invalid(place: &Place, message: impl Into<String>) -> Self {
        Self::new(place, message, Severity::Error, Kind::Invalid)
    }

    /// This is valid Compose that Orrery does not run.
    pub fn refused(place: &Place, message: impl Into<String>) -> Self {
        Self::new(place, message, Severity::Error, Kind::Refused)
    }

    /// This probably does not do what its author thinks.
    pub fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self::new(place, message, Severity::Warning, Kind::Note)
    }

    /// This is worth knowing.
    pub fn note(place: &Place, message: impl Into<String>) -> Self {
        Self::new(place, message, Severity::Note, Kind::Note)
    }

    /// The same problem with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether it says that the definition is not valid Compose.
    pub fn is_invalid(&self) -> bool {
        self.kind == Kind::Invalid
    }

    /// Whether it blocks plan and apply.
    pub fn blocks(&self) -> bool {
        matches!(self.kind, Kind::Invalid | Kind::Refused)
    }

    fn rank(&self) -> (Severity, &str, u32, u32) {
        (self.severity, &self.file, self.line, self.column)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " {hint}")?;
        }
        Ok(())
    }
}

/// Sorts by severity, file, line and column, and drops what is said twice at one place.
pub fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| a.rank().cmp(&b.rank()));
    let mut seen = std::collections::HashSet::new();
    problems.retain(|p| seen.insert((p.severity, p.file.clone(), p.line, p.column, p.message.clone())));
}
