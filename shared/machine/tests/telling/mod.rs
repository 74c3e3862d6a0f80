//! Definitions, and what is said about them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use orrery_machine::{Files, Machine, Outcome, load, render};

/// A public key that is one.
pub const KEY: &str = include_str!("key.pub");

/// A bundle with this definition.
pub fn of(text: impl AsRef<str>) -> Files {
    [("machine.yaml", text.as_ref())].into_iter().collect()
}

/// A vm from a box, with these lines.
pub fn vm(lines: &str) -> Files {
    of(format!("kind: vm\nsource: {{box: debian-12}}\n{lines}\n"))
}

/// A container, with these lines.
pub fn container(lines: &str) -> Files {
    of(format!("kind: container\nsource: {{archive: busybox}}\n{lines}\n"))
}

/// The same bundle with another file.
pub fn with(mut files: Files, path: &str, content: &str) -> Files {
    files.insert(path, content);
    files
}

/// The machine of a definition without errors.
pub fn machine(files: &Files) -> Machine {
    let Outcome { machine, problems, .. } = load(files);
    machine.unwrap_or_else(|| panic!("{}", problems.iter().map(|problem| render(problem, files)).collect::<String>()))
}

/// What is said about each.
pub fn report<'a>(cases: impl IntoIterator<Item = (&'a str, Files)>) -> String {
    let mut out = String::new();
    for (name, files) in cases {
        let said: String = load(&files).problems.iter().map(|problem| render(problem, &files)).collect();
        assert!(!said.is_empty(), "{name}: nothing is said");
        out.push_str(&format!("=== {name}\n{said}\n"));
    }
    out
}
