//! `.dockerignore`: which files a build's context leaves out. The last rule that matches decides.

/// The rules of a `.dockerignore`.
#[derive(Clone, Debug, Default)]
pub(super) struct Ignore(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    keep: bool,
    parts: Vec<String>,
}

impl Ignore {
    pub(super) fn read(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rule = |line: &str| {
            let (keep, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            let parts = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect();
            Rule { keep, parts }
        };
        Self(lines.map(rule).filter(|rule| !rule.parts.is_empty()).collect())
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.0.iter().rev().find(|rule| covers(&rule.parts, &parts)).is_some_and(|rule| !rule.keep)
    }
}

/// Whether a pattern matches a path or a folder above it.
fn covers(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, _) => true,
        (Some((first, rest)), _) if first == "**" => (0..=path.len()).any(|skip| covers(rest, path.get(skip..).unwrap_or_default())),
        (Some(_), None) => false,
        (Some((first, rest)), Some((name, below))) => glob(first.as_bytes(), name.as_bytes()) && covers(rest, below),
    }
}

/// `*` is any run of characters, `?` is any one.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| glob(rest, name.get(skip..).unwrap_or_default())),
        (Some((b'?', rest)), Some((_, below))) => glob(rest, below),
        (Some((a, rest)), Some((b, below))) => a == b && glob(rest, below),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Ignore;

    #[test]
    fn the_last_rule_that_matches_decides() {
        let rules = Ignore::read("# a comment\nnode_modules\n*.log\n**/tmp\n!keep.log\n/docs/*.md\n");
        for ignored in ["node_modules/a/b.js", "x.log", "tmp", "a/b/tmp/c", "docs/a.md"] {
            assert!(rules.matches(ignored), "{ignored}");
        }
        for kept in ["src/x.log", "keep.log", "docs/deep/a.md", "src/main.rs"] {
            assert!(!rules.matches(kept), "{kept}");
        }
    }
}
