//! A definition with the files beside it: one text, in which a line `@@ path` begins the next file; the first one is
//! `compose.yaml`.

use orrery_compose::{Files, LoadOptions, Outcome, diff, load, render};
use orrery_contracts::Digest;
use orrery_docker_executor::definition::{Folders, Identity, compile};
use serde_json::Value;

/// What must hold of any definition.
pub fn run(bytes: &[u8]) {
    let files = files(bytes);
    let outcome = load(&files, &LoadOptions::default());
    assert_eq!(outcome.normalized, load(&files, &LoadOptions::default()).normalized, "the same definition has one form");
    says_where(&outcome, &files);
    if let Some(project) = outcome.runnable() {
        let identity = Identity { project: project.name.clone(), owner: "ada".to_owned(), ..Identity::default() };
        let folders = Folders::below(std::path::Path::new("/data"), &identity, &Digest::of(bytes));
        if let Ok(desired) = compile(project, &identity, &files, &folders) {
            assert_eq!(desired.services.len(), project.services.len(), "every service is wanted");
        }
    }
    if let Some(normalized) = &outcome.normalized {
        is_normal(normalized);
    }
}

/// The files of an input.
#[must_use]
pub fn files(bytes: &[u8]) -> Files {
    let mut files = Files::new();
    let mut name = "compose.yaml".to_owned();
    let mut content = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(next) = line.strip_prefix(b"@@ ") {
            files.insert(&name, std::mem::take(&mut content));
            name = String::from_utf8_lossy(next).trim().to_owned();
        } else {
            content.extend_from_slice(line);
        }
    }
    files.insert(&name, content);
    files
}

fn says_where(outcome: &Outcome, files: &Files) {
    for problem in &outcome.problems {
        assert!(problem.line >= 1 && problem.column >= 1, "{problem:?}");
        assert!((problem.end_line, problem.end_column) >= (problem.line, problem.column), "{problem:?}");
        let _ = render(problem, files);
    }
    assert_eq!(outcome.project.is_some(), outcome.normalized.is_some());
    assert_eq!(outcome.is_valid(), outcome.project.is_some());
}

/// The canonical form, read again, has itself as its canonical form.
///
/// It is that of Compose's `config`, which prints some things in a way that it does not read itself (a rate as `Path` and
/// `Rate`, a limit of nothing as `{}`, no memory limit as `"-1"`), leaves out a build's context where that is the bundle, and doubles
/// each `$` in keys too, which it does not read as one again. The first make the second form no definition; the last two are let pass.
fn is_normal(normalized: &Value) {
    assert!(diff::changes(normalized, normalized).is_empty(), "a form differs from itself");
    let text = serde_json::to_string_pretty(normalized).expect("a form can be written");
    let every_profile = LoadOptions { profiles: vec!["*".to_owned()], ..LoadOptions::default() };
    let again = load(&Files::of_compose(&text), &every_profile);
    let Some(twice) = &again.normalized else { return };
    let passes = |path: &str| path.ends_with(".build.context") || path.contains("$$");
    let changes: Vec<_> = diff::changes(normalized, twice).into_iter().filter(|change| !passes(&change.path)).collect();
    assert!(changes.is_empty(), "the canonical form of a canonical form is another one: {changes:#?}\n{text}");
}
