//! A problem as a person reads it in a terminal: what, where, the line itself with a mark under
//! it, and what to do.

use std::fmt::Write;

use crate::files::Files;
use crate::problem::{Kind, Problem, Severity};

/// The most characters of a line that are shown.
const WIDTH: usize = 120;

/// The problem with the line that it is about. Lines end with `\n`.
pub fn render(problem: &Problem, files: &Files) -> String {
    let word = match (problem.severity, problem.kind) {
        (Severity::Error, Kind::Refused) => "refused",
        (Severity::Error, Kind::Invalid | Kind::Note) => "error",
        (Severity::Warning, _) => "warning",
        (Severity::Note, _) => "note",
    };
    let mut out = format!("{word}: {}\n", problem.message);
    let gutter = problem.line.to_string().len();
    let path = if problem.path.is_empty() { String::new() } else { format!(" ({})", problem.path) };
    let _ = writeln!(out, "{:gutter$}--> {}:{}:{}{path}", "", problem.file, problem.line, problem.column);
    if let Some(line) = line_of(problem, files) {
        let (shown, before) = window(&line, problem.column);
        let _ = writeln!(out, "{:gutter$} |", "");
        let _ = writeln!(out, "{} | {shown}", problem.line);
        let _ = writeln!(out, "{:gutter$} | {}", "", mark(problem, &shown, before));
    }
    if let Some(hint) = &problem.hint {
        let _ = writeln!(out, "{:gutter$} = {hint}", "");
    }
    out
}

fn line_of(problem: &Problem, files: &Files) -> Option<String> {
    let content = String::from_utf8_lossy(files.get(&problem.file)?);
    let content = content.strip_prefix('\u{feff}').unwrap_or(&content);
    let line = content.split('\n').nth(problem.line.checked_sub(1)? as usize)?;
    Some(line.trim_end_matches('\r').chars().map(visible).collect())
}

/// Control characters would move the cursor of a terminal.
fn visible(c: char) -> char {
    match c {
        '\t' => '→',
        c if c.is_control() => '·',
        c => c,
    }
}

/// The part of the line that is shown, and how many characters are cut off before it.
fn window(line: &str, column: u32) -> (String, usize) {
    let at = column.saturating_sub(1) as usize;
    let before = if at > WIDTH * 3 / 4 { at - WIDTH / 2 } else { 0 };
    (line.chars().skip(before).take(WIDTH).collect(), before)
}

fn mark(problem: &Problem, shown: &str, before: usize) -> String {
    let at = (problem.column.saturating_sub(1) as usize).saturating_sub(before);
    let rest = shown.chars().count().saturating_sub(at);
    let length = if problem.end_line == problem.line { problem.end_column.saturating_sub(problem.column) as usize } else { rest };
    format!("{}{}", " ".repeat(at), "^".repeat(length.clamp(1, rest.max(1))))
}
