//! Env files in Compose's own grammar: `.env` of the bundle, `env_file` and `label_file`.
//!
//! `KEY=value`, `KEY: value`, `export KEY=value`, single quotes (literal), double quotes (escapes and
//! variables), comments, values over several lines in quotes, and a bare `KEY` that inherits.

use crate::interpolate::{Variables, substitute};
use crate::problem::Problem;
use crate::yaml::Span;

/// Reads a file into `variables`; later lines and files win. `outer` are values that win over the file's own
/// in interpolation and feed keys without a value.
pub fn read(file: &str, content: &[u8], outer: &dyn Fn(&str) -> Option<String>, variables: &mut Variables, problems: &mut Vec<Problem>) {
    let Ok(text) = std::str::from_utf8(content) else {
        let span = Span::start_of(&file.into());
        problems.push(Problem::invalid(&span.at(""), "the file is not UTF-8").hint("Save it as UTF-8."));
        return;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { file, text, at: 0, outer, variables, problems };
    while reader.statement() {}
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    at: usize,
    outer: &'a dyn Fn(&str) -> Option<String>,
    variables: &'a mut Variables,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Reads one statement; false at the end, and after a line that makes no sense.
    fn statement(&mut self) -> bool {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if !self.rest().starts_with('#') {
                break;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
        if self.rest().is_empty() {
            return false;
        }
        self.skip_export();
        let start = self.at;
        let Some((key, inherited)) = self.key() else { return false };
        if key.contains(' ') {
            return self.fault(start, "a name has no spaces in it", "Write NAME=value.");
        }
        if inherited {
            if let Some(value) = (self.outer)(&key) {
                self.variables.insert(key, value);
            }
            return true;
        }
        let Some(value) = self.value() else { return false };
        self.variables.insert(key, value);
        true
    }

    fn skip_export(&mut self) {
        if let Some(after) = self.rest().strip_prefix("export")
            && after.starts_with(char::is_whitespace)
        {
            let trimmed = after.trim_start_matches(is_space);
            self.at = self.text.len() - trimmed.len();
        }
    }

    /// The key, and whether it stands alone in its line.
    fn key(&mut self) -> Option<(String, bool)> {
        let start = self.at;
        let rest = self.rest();
        for (at, c) in rest.char_indices() {
            match c {
                '=' | ':' | '\n' => {
                    let key = rest[..at].trim_end().to_owned();
                    let after = &rest[at + 1..];
                    self.at = self.text.len() - after.trim_start_matches(is_space).len();
                    return Some((key, c == '\n'));
                }
                '_' | '.' | '-' | '[' | ']' => {}
                c if is_space(c) || c.is_alphanumeric() => {}
                c => {
                    self.fault(start + at, &format!("{c:?} cannot be in a name"), "Write NAME=value; begin a comment with #.");
                    return None;
                }
            }
        }
        // The last line without an end: a bare key that Compose reads as empty.
        self.at = self.text.len();
        Some((String::new(), true))
    }

    fn value(&mut self) -> Option<String> {
        let start = self.at;
        let quote = self.rest().chars().next().filter(|c| matches!(c, '\'' | '"'));
        let Some(quote) = quote else {
            let line = self.rest().split('\n').next().unwrap_or_default();
            self.at = (self.at + line.len() + 1).min(self.text.len());
            let value = line.split(" #").next().unwrap_or_default().trim_end();
            return self.expand(value, start);
        };
        let mut value = String::new();
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            if c == quote && !escaped {
                self.at += at + 1;
                return if quote == '"' { self.expand(&unescape(&value), start) } else { Some(value) };
            }
            if c == '\\' && !escaped {
                escaped = true;
                continue;
            }
            if escaped && c != quote {
                value.push('\\');
            }
            escaped = false;
            value.push(c);
        }
        self.fault(start, "this quote is not closed", "Close it.");
        None
    }

    fn expand(&mut self, value: &str, start: usize) -> Option<String> {
        let variables = &*self.variables;
        let lookup = |name: &str| (self.outer)(name).or_else(|| variables.get(name).cloned());
        match substitute(value, &lookup, &mut Vec::new()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(start, &error.to_string(), "Put the value in single quotes, or write $$ for a dollar sign.");
                None
            }
        }
    }

    fn fault(&mut self, at: usize, message: &str, hint: &str) -> bool {
        let before = &self.text[..at];
        let line = before.matches('\n').count() as u32 + 1;
        let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count()) as u32 + 1;
        let span = Span { file: self.file.into(), line, column, end_line: line, end_column: column + 1 };
        self.problems.push(Problem::invalid(&span.at(""), message).hint(hint));
        false
    }
}

fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// The escapes of double quotes: `\n` and its kin, `\0` with octal digits, and `\$` for a dollar sign.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (value, length) = match after.chars().next() {
            Some('a') => (Some('\u{7}'), 1),
            Some('b') => (Some('\u{8}'), 1),
            Some('f') => (Some('\u{c}'), 1),
            Some('n') => (Some('\n'), 1),
            Some('r') => (Some('\r'), 1),
            Some('t') => (Some('\t'), 1),
            Some('v') => (Some('\u{b}'), 1),
            Some('"') => (Some('"'), 1),
            Some('\\') => (Some('\\'), 1),
            Some('$') => {
                out.push('$');
                (Some('$'), 1)
            }
            Some('0') => octal(&after[1..]),
            Some(_) | None => (None, 0),
        };
        match value {
            Some(value) => out.push(value),
            None => out.push('\\'),
        }
        rest = &after[length..];
    }
    out.push_str(rest);
    out
}

/// Three octal digits behind `\0`.
fn octal(digits: &str) -> (Option<char>, usize) {
    let code = digits.get(..3).and_then(|digits| u32::from_str_radix(digits, 8).ok());
    match code.filter(|code| *code < 256).and_then(char::from_u32) {
        Some(value) => (Some(value), 4),
        None => (None, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Vec<(String, String)>, Vec<String>) {
        let (mut variables, mut problems) = (Variables::new(), Vec::new());
        let outer = |name: &str| (name == "OUTER").then(|| "from outside".to_owned());
        read(".env", text.as_bytes(), &outer, &mut variables, &mut problems);
        (variables.into_iter().collect(), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_grammar_is_that_of_compose() {
        let text = "# a comment\nA=1\nexport B = two words # not this\nC: yaml\nD='lit $A \\n'\nE=\"line\\n${A} \\$A\"\n\
                    F=\"over\ntwo\"\nOUTER\nG=x#y\nH=\nI=${H:-d}\r\nJ=\"say \\\"hi\\\"\"\n";
        let (variables, problems) = parse(text);
        insta::assert_debug_snapshot!("env_file_grammar", variables);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_place() {
        let table = ["A=1\nB B=2\n", "A=1\nB=\"x\n", "{\"a\": 1}", "A=${", "-- \u{1}"];
        let told: Vec<_> = table.iter().map(|text| parse(text).1.join("; ")).collect();
        insta::assert_debug_snapshot!("env_file_faults", told);
    }
}
