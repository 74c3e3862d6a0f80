//! Cases of a corpus: bundles and what Compose made of them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use orrery_compose::{Files, LoadOptions, Outcome, load};
use serde_json::Value;

/// One case.
pub struct Case {
    /// Name of its folder.
    pub name: String,
    folder: PathBuf,
}

/// How a case ended.
pub enum Verdict {
    /// As with Compose.
    Same,
    /// Accepted by both, with different forms.
    Differs(Vec<String>),
    /// Accepted by one and rejected by the other.
    Wrong(Vec<String>),
}

/// The cases of a folder.
pub fn all(folder: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.json").exists() || path.join("rejected.txt").exists())
        .map(|folder| Case { name: folder.file_name().unwrap().to_string_lossy().into_owned(), folder })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Case {
    fn files(&self) -> Files {
        let mut files = Vec::new();
        gather(&self.folder, &self.folder, &mut files);
        files.into_iter().filter(|(path, _)| path != "expected.json" && path != "rejected.txt").collect()
    }

    /// What this crate makes of it.
    pub fn outcome(&self) -> Outcome {
        let environment = [("HOME", "/nonexistent"), ("PATH", "/usr/bin:/bin")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        load(&self.files(), &LoadOptions { environment, ..LoadOptions::default() })
    }

    /// Whether that is what Compose makes of it.
    pub fn verdict(&self) -> Verdict {
        let outcome = self.outcome();
        let errors: Vec<String> = outcome.errors().map(ToString::to_string).collect();
        let Ok(expected) = std::fs::read_to_string(self.folder.join("expected.json")) else {
            let reason = std::fs::read_to_string(self.folder.join("rejected.txt")).unwrap();
            let accepted = vec![format!("  accepted, and Compose says: {}", reason.trim())];
            return if errors.is_empty() { Verdict::Wrong(accepted) } else { Verdict::Same };
        };
        let Some(ours) = outcome.normalized.filter(|_| errors.is_empty()) else {
            return Verdict::Wrong(errors.into_iter().map(|error| format!("  {error}")).collect());
        };
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let mut differences = Vec::new();
        compare("", &expected, &ours, &mut differences);
        if differences.is_empty() { Verdict::Same } else { Verdict::Differs(differences) }
    }

    /// Everything that is said about it.
    pub fn report(&self) -> Vec<String> {
        let outcome = self.outcome();
        outcome.problems.iter().map(|problem| format!("  {:?} {:?} {problem}", problem.severity, problem.kind)).collect()
    }
}

fn gather(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.push((name, std::fs::read(&path).unwrap()));
        }
    }
}

fn compare(path: &str, expected: &Value, ours: &Value, differences: &mut Vec<String>) {
    match (expected, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                compare(&format!("{path}.{key}"), value, b.get(key).unwrap_or(&Value::String("(missing)".to_owned())), differences);
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                differences.push(format!("  {path}.{key}: not there, ours {value}"));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{index}]"), a, b, differences);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        (a, b) => differences.push(format!("  {path}: {a}, ours {b}")),
    }
}
