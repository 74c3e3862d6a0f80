//! What two versions of a definition differ in: structurally, for a table that a person reads, and
//! file by file, as text.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use similar::TextDiff;

use crate::files::Files;

/// The largest file of which a text difference is made, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// The most lines of such a file.
const MAX_LINES: usize = 20_000;

/// One difference between two canonical forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Where, such as `services.web.image`.
    pub path: String,
    /// What was there; nothing where it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What is there now; nothing where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileStatus {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another content.
    Changed,
}

/// One file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Its path in the bundle.
    pub path: String,
    /// What happened to it.
    pub status: FileStatus,
    /// The unified difference; nothing where the file is no text, or too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// Lines that are new.
    pub added: usize,
    /// Lines that are gone.
    pub removed: usize,
}

/// The differences between two canonical forms (`normalized` of an outcome), sorted by path.
pub fn changes(from: &Value, to: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(String::new(), from, to, &mut changes);
    changes
}

fn compare(path: String, from: &Value, to: &Value, changes: &mut Vec<Change>) {
    match (from, to) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => compare(path, a, b, changes),
                    (from, to) => changes.push(Change { path, from: from.cloned(), to: to.cloned() }),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => lists(&path, a, b, changes),
        (a, b) if a == b => {}
        (a, b) => changes.push(Change { path, from: Some(a.clone()), to: Some(b.clone()) }),
    }
}

/// Items that both lists have are left out, wherever they stand; what is left is compared in order.
fn lists(path: &str, a: &[Value], b: &[Value], changes: &mut Vec<Change>) {
    if a == b {
        return;
    }
    let gone: Vec<(usize, &Value)> = left_over(a, b);
    let new: Vec<(usize, &Value)> = left_over(b, a);
    if gone.is_empty() && new.is_empty() {
        let whole = |items: &[Value]| Some(Value::Array(items.to_vec()));
        changes.push(Change { path: path.to_owned(), from: whole(a), to: whole(b) });
        return;
    }
    let pairs = gone.len().min(new.len());
    for ((_, from), (index, to)) in gone.iter().zip(&new) {
        compare(format!("{path}[{index}]"), from, to, changes);
    }
    for (index, value) in gone.iter().skip(pairs) {
        changes.push(Change { path: format!("{path}[{index}]"), from: Some((*value).clone()), to: None });
    }
    for (index, value) in new.iter().skip(pairs) {
        changes.push(Change { path: format!("{path}[{index}]"), from: None, to: Some((*value).clone()) });
    }
}

/// The items of `a` that `b` does not have, counted.
fn left_over<'v>(a: &'v [Value], b: &[Value]) -> Vec<(usize, &'v Value)> {
    let mut other: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for value in b {
        *other.entry(value.to_string()).or_default() += 1;
    }
    let mut left = Vec::new();
    for (index, value) in a.iter().enumerate() {
        match other.get_mut(&value.to_string()).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => left.push((index, value)),
        }
    }
    left
}

/// The files that differ between two bundles, sorted by path.
pub fn files(from: &Files, to: &Files) -> Vec<FileChange> {
    let paths: BTreeSet<&str> = from.iter().chain(to.iter()).map(|(path, _)| path).collect();
    let mut changes = Vec::new();
    for path in paths {
        let (before, after) = (from.get(path), to.get(path));
        let status = match (before, after) {
            (None, Some(_)) => FileStatus::Added,
            (Some(_), None) => FileStatus::Removed,
            (Some(a), Some(b)) if a != b => FileStatus::Changed,
            (Some(_), Some(_)) | (None, None) => continue,
        };
        changes.push(file(path, status, before.unwrap_or_default(), after.unwrap_or_default()));
    }
    changes
}

fn file(path: &str, status: FileStatus, before: &[u8], after: &[u8]) -> FileChange {
    let mut change = FileChange { path: path.to_owned(), status, diff: None, added: 0, removed: 0 };
    let (Some(before), Some(after)) = (text(before), text(after)) else { return change };
    let diff = TextDiff::from_lines(before, after);
    for part in diff.iter_all_changes() {
        match part.tag() {
            similar::ChangeTag::Insert => change.added += 1,
            similar::ChangeTag::Delete => change.removed += 1,
            similar::ChangeTag::Equal => {}
        }
    }
    change.diff = Some(diff.unified_diff().context_radius(3).header(path, path).to_string());
    change
}

fn text(content: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content).ok().filter(|text| text.len() <= MAX_TEXT && !text.contains('\0'))?;
    (text.bytes().filter(|byte| *byte == b'\n').count() <= MAX_LINES).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn structural_changes_name_path_before_and_after() {
        let from =
            json!({"services": {"web": {"image": "a:1", "ports": [{"target": 80}, {"target": 90}], "tty": true}, "db": {"image": "pg"}}});
        let to = json!({"services": {"web": {"image": "a:2", "ports": [{"target": 90}], "command": ["x"]}, "db": {"image": "pg"}}});
        let told: Vec<String> =
            changes(&from, &to).iter().map(|change| format!("{}: {} -> {}", change.path, show(&change.from), show(&change.to))).collect();
        assert_eq!(
            told,
            [
                "services.web.command: - -> [\"x\"]",
                "services.web.image: \"a:1\" -> \"a:2\"",
                "services.web.ports[0]: {\"target\":80} -> -",
                "services.web.tty: true -> -",
            ]
        );
    }

    fn show(value: &Option<Value>) -> String {
        value.as_ref().map_or_else(|| "-".to_owned(), Value::to_string)
    }

    #[test]
    fn a_new_order_of_a_list_is_one_change() {
        let told = changes(&json!({"a": [1, 2]}), &json!({"a": [2, 1]}));
        assert_eq!(told, [Change { path: "a".to_owned(), from: Some(json!([1, 2])), to: Some(json!([2, 1])) }]);
        assert!(changes(&json!([1]), &json!([1])).is_empty());
    }

    #[test]
    fn files_are_compared_line_by_line() {
        let from: Files = [("a", "1\n2\n3\n"), ("gone", "x\n"), ("same", "s")].into_iter().collect();
        let mut to: Files = [("a", "1\nzwei\n3\n"), ("new", "y\nz\n"), ("same", "s")].into_iter().collect();
        to.insert("binary", vec![0_u8, 159, 146]);
        let told: Vec<_> = files(&from, &to).into_iter().map(|c| (c.path, c.status, c.added, c.removed, c.diff.is_some())).collect();
        let expected = [
            ("a", FileStatus::Changed, 1, 1, true),
            ("binary", FileStatus::Added, 0, 0, false),
            ("gone", FileStatus::Removed, 0, 1, true),
            ("new", FileStatus::Added, 2, 0, true),
        ];
        assert_eq!(told, expected.map(|(path, status, added, removed, diff)| (path.to_owned(), status, added, removed, diff)));
    }
}
