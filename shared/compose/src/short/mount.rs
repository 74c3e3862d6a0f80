//! The short form of a volume mount: `data:/var/lib/data`, `./site:/srv:ro`, `/cache`.

use super::{mapping, text};
use crate::problem::Problem;
use crate::yaml::{Data, Node, Scalar};

const FORMS: &str = "Write SOURCE:TARGET or SOURCE:TARGET:ro, such as ./site:/srv:ro or data:/var/lib/data.";

/// Expands one entry of `volumes`.
pub(crate) fn expand(node: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    let Some(short) = node.as_text().map(str::to_owned) else { return };
    match parse(&short) {
        Ok(mount) => {
            for option in &mount.unknown {
                let message = format!("Compose ignores the option {option:?}");
                problems.push(
                    Problem::warning(&node.span.at(path), message).hint("The options are ro, rw, nocopy, z, Z and the propagations."),
                );
            }
            node.data = mount.into_data(node);
        }
        Err(message) => problems.push(Problem::invalid(&node.span.at(path), format!("{short:?}: {message}")).hint(FORMS)),
    }
}

#[derive(Default)]
struct Short {
    source: String,
    target: String,
    read_only: bool,
    nocopy: bool,
    propagation: Option<String>,
    selinux: Option<String>,
    unknown: Vec<String>,
    tiny: bool,
}

impl Short {
    fn option(&mut self, option: &str) {
        match option {
            "ro" => self.read_only = true,
            "rw" => self.read_only = false,
            "nocopy" => self.nocopy = true,
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => self.propagation = Some(option.to_owned()),
            "z" | "Z" => self.selinux = Some(option.to_owned()),
            _ => self.unknown.push(option.to_owned()),
        }
    }

    fn into_data(self, node: &Node) -> Data {
        let yes = || Data::Scalar(Scalar::Bool(true));
        let bind = is_path(&self.source);
        let mut fields = vec![("type", text(if bind { "bind" } else { "volume" }))];
        if !self.source.is_empty() {
            fields.push(("source", text(self.source)));
        }
        fields.push(("target", text(clean(&self.target))));
        if self.read_only {
            fields.push(("read_only", yes()));
        }
        let options = |value: Option<String>, name| value.map(|value| (name, text(value)));
        let mut bound: Vec<_> =
            [options(self.selinux, "selinux"), options(self.propagation, "propagation")].into_iter().flatten().collect();
        if bind {
            bound.push(("create_host_path", yes()));
        }
        if bind || !bound.is_empty() {
            fields.push(("bind", mapping(node, bound)));
        }
        if (!bind || self.nocopy) && !self.tiny {
            fields.push(("volume", mapping(node, if self.nocopy { vec![("nocopy", yes())] } else { Vec::new() })));
        }
        mapping(node, fields)
    }
}

fn parse(short: &str) -> Result<Short, &'static str> {
    let mut mount = Short::default();
    if short.is_empty() {
        return Err("nothing is there");
    }
    if short.len() <= 2 {
        mount.target = short.to_owned();
        mount.tiny = true;
        return Ok(mount);
    }
    let parts = sections(short);
    if parts.iter().any(|part| part.is_empty()) {
        return Err("a part between the colons is empty");
    }
    match parts.as_slice() {
        [target] => mount.target.clone_from(target),
        [source, target] => {
            mount.source.clone_from(source);
            mount.target.clone_from(target);
        }
        [source, target, options] => {
            mount.source.clone_from(source);
            mount.target.clone_from(target);
            options.split(',').for_each(|option| mount.option(option));
        }
        _ => return Err("there are too many colons"),
    }
    Ok(mount)
}

/// The parts between the colons; the colon of a Windows drive separates nothing.
fn sections(short: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in short.chars() {
        let part = parts.last().map(String::as_str).unwrap_or_default();
        let drive = part.chars().count() == 1 && part.starts_with(char::is_alphabetic);
        if c == ':' && !drive {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~']) || source.starts_with(r"\\") || is_drive(source)
}

/// Whether a path begins with a Windows drive.
fn is_drive(source: &str) -> bool {
    let mut chars = source.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':')
}

/// Go's `path.Clean`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        let table = [("/a//b/", "/a/b"), ("/a/../b", "/b"), ("/..", "/"), ("a/..", "."), ("../a", "../a"), ("/", "/")];
        for (path, cleaned) in table {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }
}
