//! The form of a machine over its definition's text: reads the fields that the form has, and writes one of them into the text,
//! so that everything else, comments and order included, stays as a person wrote it. The text is the only state.
//!
//! **Invariant:** a text comes out only when it reads back as asked, with every other field as before; else nothing is changed,
//! and it is said why.

use orrery_compose::yaml::{self, Entry, Node, Span};

use crate::check::{Field, Form};

const ALL: [Field; 8] = [Field::Box, Field::Cpus, Field::Memory, Field::Disk, Field::Network, Field::User, Field::Key, Field::Autostart];

/// What an interface can be plugged into.
const PLUGS: [&str; 4] = ["nat", "bridge", "isolated", "user"];

/// A step into a definition.
#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    /// The first item of a list.
    First,
}

fn path(field: Field) -> &'static [Step] {
    use Step::{First, Key};
    match field {
        Field::Box => &[Key("source"), Key("box")],
        Field::Cpus => &[Key("cpus")],
        Field::Memory => &[Key("memory")],
        Field::Disk => &[Key("disks"), First, Key("size")],
        Field::Network => &[Key("networks"), First],
        Field::User => &[Key("cloud_init"), Key("users"), First, Key("name")],
        Field::Key => &[Key("cloud_init"), Key("users"), First, Key("ssh_keys"), First],
        Field::Autostart => &[Key("autostart")],
    }
}

/// What the definition says for each field; none when it is no YAML mapping.
pub(crate) fn read(text: &str) -> Option<Form> {
    let root = tree(text)?;
    Some(ALL.into_iter().filter_map(|field| Some((field, value(&root, field)?))).collect())
}

fn tree(text: &str) -> Option<Node> {
    let mut problems = Vec::new();
    let mut documents = yaml::read("machine.yaml", text.as_bytes(), &mut problems).into_iter();
    documents.next().filter(|root| root.as_map().is_some() && problems.iter().all(|problem| !problem.blocks()))
}

fn value(root: &Node, field: Field) -> Option<String> {
    let (node, rest) = walk(root, path(field));
    match field {
        _ if !rest.is_empty() => None,
        Field::Network => {
            let (plug, entry) = plug(node)?;
            Some(if plug == "user" { plug.to_owned() } else { format!("{plug} {}", entry.node.display()?) })
        }
        Field::Box | Field::Cpus | Field::Memory | Field::Disk | Field::User | Field::Key | Field::Autostart => {
            node.source.as_deref().map(str::to_owned).or_else(|| node.display())
        }
    }
}

fn plug(interface: &Node) -> Option<(&'static str, &Entry)> {
    let map = interface.as_map()?;
    PLUGS.into_iter().find_map(|plug| Some((plug, map.get(plug)?)))
}

/// How far a path goes: the last node that is there, and the steps that are not.
fn walk<'n, 's>(root: &'n Node, steps: &'s [Step]) -> (&'n Node, &'s [Step]) {
    let (mut node, mut rest) = (root, steps);
    while let Some((step, after)) = rest.split_first() {
        let inner = match step {
            Step::Key(name) => node.get(name),
            Step::First => node.as_list().and_then(<[Node]>::first),
        };
        let Some(inner) = inner else { break };
        (node, rest) = (inner, after);
    }
    (node, rest)
}

/// Writes a field into the text; an empty value takes it out.
///
/// # Errors
/// Why the form cannot: the person changes the text then.
pub(crate) fn fill(text: &str, field: Field, wanted: &str) -> Result<String, String> {
    let root = tree(text).ok_or("The text cannot be read as it is: mend it first.")?;
    let wanted = wanted.trim();
    let before = value(&root, field);
    if before.as_deref().unwrap_or_default() == wanted {
        return Ok(text.to_owned());
    }
    let written = if wanted.is_empty() { taken_out(text, &root, field) } else { written(text, &root, field, wanted) };
    let fits = |new: &String| {
        read(new).is_some_and(|form| {
            let was = |other: Field| {
                if other == field { Some(wanted).filter(|wanted| !wanted.is_empty()).map(str::to_owned) } else { value(&root, other) }
            };
            ALL.into_iter().all(|other| form.get(&other).cloned() == was(other))
        })
    };
    written.filter(fits).ok_or_else(|| "It is written here in a way that the form does not change: change it in the text.".to_owned())
}

fn written(text: &str, root: &Node, field: Field, wanted: &str) -> Option<String> {
    let (node, rest) = walk(root, path(field));
    if let (Field::Network, [], Some((_, entry))) = (field, rest, plug(node)) {
        let (start, end) = (offset(text, entry.key.line, entry.key.column)?, end_of(text, &entry.node.span)?);
        return Some(replaced(text, start, end, &line_of(wanted)));
    }
    if rest.is_empty() {
        node.as_scalar()?;
        let (start, end) = (offset(text, node.span.line, node.span.column)?, end_of(text, &node.span)?);
        return Some(replaced(text, start, end, &scalar(field, wanted)));
    }
    let leaf = if field == Field::Network { line_of(wanted) } else { scalar(field, wanted) };
    if text.get(offset(text, node.span.line, node.span.column)?..)?.starts_with(['{', '[']) {
        return in_flow(text, node, rest, &leaf, field);
    }
    let column = node.as_map()?.values().next()?.key.column;
    let at = line_after(text, last_line(node));
    let break_before = if text.get(..at)?.ends_with('\n') || at == 0 { "" } else { "\n" };
    let lines = block(rest, &leaf, usize::try_from(column).ok()?.saturating_sub(1));
    Some(replaced(text, at, at, &format!("{break_before}{lines}")))
}

/// The missing steps as lines of their own.
fn block(steps: &[Step], leaf: &str, indent: usize) -> String {
    let (mut out, mut depth, mut line_begun) = (String::new(), indent, false);
    for (at, step) in steps.iter().enumerate() {
        let last = at + 1 == steps.len();
        if !line_begun {
            out.push_str(&" ".repeat(depth));
        }
        match step {
            Step::Key(name) => {
                out.push_str(name);
                out.push(':');
                out.push_str(if last { " " } else { "\n" });
                line_begun = false;
            }
            Step::First => {
                out.push_str("- ");
                line_begun = true;
            }
        }
        depth = depth.saturating_add(2);
    }
    out.push_str(leaf);
    out.push('\n');
    out
}

/// The missing steps within the brackets of a node that is written with them.
fn in_flow(text: &str, node: &Node, steps: &[Step], leaf: &str, field: Field) -> Option<String> {
    let leaf = if field == Field::Network { format!("{{{leaf}}}") } else { leaf.to_owned() };
    let inner = steps.iter().enumerate().rev().fold(leaf, |inner, (at, step)| match step {
        Step::Key(name) if at == 0 => format!("{name}: {inner}"),
        Step::Key(name) => format!("{{{name}: {inner}}}"),
        Step::First if at == 0 => inner,
        Step::First => format!("[{inner}]"),
    });
    let start = offset(text, node.span.line, node.span.column)?;
    let close = if node.as_map().is_some() { '}' } else { ']' };
    let inside = last_end(text, node).unwrap_or(start).max(start);
    let end = inside.checked_add(text.get(inside..)?.find(close)?)?;
    let empty = node.as_map().is_some_and(|map| map.is_empty()) || node.as_list().is_some_and(<[Node]>::is_empty);
    Some(replaced(text, end, end, &if empty { inner } else { format!(", {inner}") }))
}

/// Takes a key out that has lines of its own.
fn taken_out(text: &str, root: &Node, field: Field) -> Option<String> {
    let (last, before) = path(field).split_last()?;
    let (Step::Key(name), (parent, [])) = (last, walk(root, before)) else { return None };
    let entry = parent.as_map()?.get(*name)?;
    let (start, end) = (offset(text, entry.key.line, 1)?, line_after(text, entry.node.span.end_line));
    let alone = text.get(start..offset(text, entry.key.line, entry.key.column)?)?.chars().all(|c| c == ' ');
    (alone && parent.as_map()?.len() > 1).then(|| replaced(text, start, end, ""))
}

/// `nat default` as it stands in the definition.
fn line_of(network: &str) -> String {
    match network.split_once(' ') {
        Some((plug, name)) => format!("{plug}: {}", scalar(Field::Network, name.trim())),
        None => format!("{network}: true"),
    }
}

/// A value as YAML, in quotes where it would mean something else without.
fn scalar(field: Field, value: &str) -> String {
    let number = matches!(field, Field::Cpus | Field::Memory | Field::Disk | Field::Autostart);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '/' | '@' | '+' | '=' | '-');
    let word = value.starts_with(|c: char| c.is_ascii_alphabetic()) && value.chars().all(plain);
    let meant = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].iter().any(|other| other.eq_ignore_ascii_case(value));
    let bare = if number { value.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') } else { word && !meant };
    if bare { value.to_owned() } else { format!("{value:?}") }
}

/// Where the last single value within a node ends.
fn last_end(text: &str, node: &Node) -> Option<usize> {
    let values = node.as_map().into_iter().flat_map(|map| map.values()).map(|entry| &entry.node);
    let inner = values.chain(node.as_list().into_iter().flatten()).filter_map(|inner| last_end(text, inner)).max();
    inner.or_else(|| node.as_scalar().and_then(|_| end_of(text, &node.span)))
}

fn last_line(node: &Node) -> u32 {
    let inner = node.as_map().into_iter().flat_map(|map| map.values().map(|entry| last_line(&entry.node).max(entry.key.end_line)));
    let items = node.as_list().into_iter().flatten().map(last_line);
    let own = if node.as_scalar().is_some() { node.span.end_line } else { node.span.line };
    inner.chain(items).max().unwrap_or(own)
}

/// Where a line and column are, in bytes.
fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let within = text.get(start..)?.char_indices().map(|(at, _)| at).chain([text.len().checked_sub(start)?]).nth(column)?;
    start.checked_add(within)
}

fn end_of(text: &str, span: &Span) -> Option<usize> {
    offset(text, span.end_line, span.end_column)
}

/// Where the line behind this one begins.
fn line_after(text: &str, line: u32) -> usize {
    text.split_inclusive('\n').take(usize::try_from(line).unwrap_or(usize::MAX)).map(str::len).sum()
}

fn replaced(text: &str, start: usize, end: usize, with: &str) -> String {
    [text.get(..start).unwrap_or_default(), with, text.get(end..).unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# a web server\nkind: vm\nsource:\n  box: debian-12 # the newest\ncpus: 2\ndisks:\n  - name: root\n    size: 10GiB # grows\n";

    fn filled(text: &str, field: Field, value: &str) -> String {
        fill(text, field, value).unwrap_or_else(|why| panic!("{field:?} {value}: {why}\n{text}"))
    }

    #[test]
    fn a_field_that_is_there_is_written_in_its_place() {
        assert_eq!(filled(TEXT, Field::Cpus, "4"), TEXT.replace("cpus: 2", "cpus: 4"));
        assert_eq!(filled(TEXT, Field::Box, "alpine"), TEXT.replace("debian-12", "alpine"));
        assert_eq!(filled(TEXT, Field::Disk, "20GiB"), TEXT.replace("10GiB", "20GiB"));
        assert_eq!(filled(TEXT, Field::Cpus, "2"), TEXT);
    }

    #[test]
    fn what_is_missing_is_added_around_what_is_there() {
        let mut text = TEXT.to_owned();
        for (field, value) in [
            (Field::Memory, "1GiB"),
            (Field::Network, "bridge br0"),
            (Field::User, "anna"),
            (Field::Key, "ssh-ed25519 AAAA+/= a@b.c"),
            (Field::Autostart, "true"),
        ] {
            text = filled(&text, field, value);
        }
        let added = "memory: 1GiB\nnetworks:\n  - bridge: br0\ncloud_init:\n  users:\n    - name: anna\n      ssh_keys:\n        - ssh-ed25519 AAAA+/= a@b.c\nautostart: true\n";
        assert_eq!(text, format!("{TEXT}{added}"));
        assert_eq!(filled(&text, Field::Network, "user"), text.replace("bridge: br0", "user: true"));
        assert_eq!(read(&text).unwrap().len(), ALL.len());
    }

    #[test]
    fn what_is_written_with_brackets_stays_so() {
        let text = "kind: vm\nsource: {box: debian-12}\ncloud_init: {}\nnetworks: []\n";
        assert_eq!(filled(text, Field::User, "anna"), text.replace("cloud_init: {}", "cloud_init: {users: [{name: anna}]}"));
        assert_eq!(filled(text, Field::Network, "nat default"), text.replace("[]", "[{nat: default}]"));
        assert_eq!(filled(text, Field::Box, "12"), text.replace("debian-12", "\"12\""));
    }

    #[test]
    fn an_empty_field_takes_its_line_out() {
        assert_eq!(filled(TEXT, Field::Cpus, ""), TEXT.replace("cpus: 2\n", ""));
        assert_eq!(filled(TEXT, Field::Disk, " "), TEXT.replace("    size: 10GiB # grows\n", ""));
    }

    #[test]
    fn what_the_form_cannot_change_is_said_and_stays() {
        let shared = "x-m: &m 1GiB\nkind: vm\nsource: {box: a}\nmemory: *m\n";
        for (text, field, value) in [("a: [", Field::Cpus, "2"), (TEXT, Field::Box, ""), (TEXT, Field::Network, "nothing at all: x")] {
            assert!(fill(text, field, value).is_err(), "{text} {field:?}");
        }
        let other = fill(shared, Field::Memory, "2GiB");
        assert!(other.is_err() || read(&other.unwrap()).unwrap()[&Field::Memory] == "2GiB");
    }
}
