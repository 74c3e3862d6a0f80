//! Broken definitions, and what is said about them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use orrery_compose::{Files, LoadOptions, load, render};

/// A service `web` with these lines.
pub fn service(lines: &str) -> String {
    format!("services:\n  web:\n    image: nginx\n    {}\n", lines.replace('\n', "\n    "))
}

fn said(files: &Files) -> String {
    let outcome = load(files, &LoadOptions::default());
    outcome.problems.iter().map(|problem| render(problem, files)).collect()
}

/// What is said about each.
pub fn report<'a>(cases: impl IntoIterator<Item = (&'a str, Files)>) -> String {
    let mut out = String::new();
    for (name, files) in cases {
        let said = said(&files);
        assert!(!said.is_empty(), "{name}: nothing is said");
        out.push_str(&format!("=== {name}\n{said}\n"));
    }
    out
}

/// A bundle with this definition.
pub fn of(text: impl AsRef<str>) -> Files {
    Files::of_compose(text.as_ref())
}
