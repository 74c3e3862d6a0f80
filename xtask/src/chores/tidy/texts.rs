//! What every source file must have and must not have.

use std::path::Path;

use anyhow::{Context, Result};

use super::Complaint;
use crate::chores::digest;

/// A file that is longer is two files.
const LONGEST: usize = 500;

/// Names that say nothing about the domain.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "manager", "misc"];

/// Words that a finished file does not hold, spelled apart so that this file is one.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("unimplemented", "!("),
    concat!("todo", "!("),
    concat!("#[", "ignore"),
];

/// What each kind of file opens with: what it is for.
const HEADERS: [(&str, &[&str]); 6] =
    [("rs", &["//! "]), ("sql", &["-- "]), ("ts", &["// ", "/**"]), ("mjs", &["// ", "/**", "#!"]), ("css", &["/* "]), ("sh", &["#!"])];

const FOLDERS: [&str; 9] = ["services", "shared", "nats", "deploy", "frontend", "tests", "xtask", "migrations", ".ci"];

pub(super) fn check(root: &Path) -> Result<Vec<Complaint>> {
    let folders: Vec<&str> = FOLDERS.into_iter().filter(|folder| root.join(folder).exists()).collect();
    let mut complaints = Vec::new();
    for file in digest::files(root, &folders)? {
        let Some((_, headers)) = HEADERS.iter().find(|(extension, _)| file.extension().is_some_and(|found| found == *extension)) else {
            continue;
        };
        let name = file.strip_prefix(root).unwrap_or(&file).to_owned();
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", name.display()))?;
        complaints.extend(complaints_of(&name, &text, headers));
    }
    Ok(complaints)
}

fn complaints_of(name: &Path, text: &str, headers: &[&str]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |what: String| complaints.push(format!("{}: {what}", name.display()));
    let stem = name.file_stem().unwrap_or_default().to_string_lossy();
    if EMPTY_NAMES.contains(&stem.as_ref()) {
        complain(format!("{stem:?} says nothing about what is in it"));
    }
    if !headers.iter().any(|header| text.starts_with(header)) {
        complain(format!("does not open with what it is for ({:?})", headers[0].trim()));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        complain(format!("has {lines} lines; {LONGEST} are enough for a file"));
    }
    for (n, line) in text.lines().enumerate() {
        if let Some(word) = UNFINISHED.iter().find(|word| line.contains(*word)) {
            complain(format!("line {}: {word:?} is not finished", n + 1));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, text: &str) -> String {
        complaints_of(Path::new(name), text, &["//! "]).join("\n")
    }

    #[test]
    fn each_rule_finds_what_breaks_it() {
        assert!(said("a/queue.rs", "use x;\n").contains("does not open"));
        assert!(said("a/utils.rs", "//! Fine.\n").contains("says nothing"));
        assert!(said("a/queue.rs", &format!("//! Fine.\n// {}\n", UNFINISHED[0])).contains("line 2"));
        assert!(said("a/queue.rs", &format!("//! Fine.\n{}", "\n".repeat(LONGEST + 1))).contains("lines"));
        assert_eq!(said("a/queue.rs", "//! Fine.\nfn main() {}\n"), "");
    }
}
