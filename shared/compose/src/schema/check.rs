//! A document against the table: unknown keys, values of the wrong kind, and what a known key
//! does not do here. Everything is told at once.

use std::collections::HashSet;

use super::{Class, Key, Object, Shape, TOP, nearest};
use crate::problem::Problem;
use crate::units;
use crate::yaml::{Data, Directive, Entry, Map, Node, Scalar, child, item};

/// Lists in which nothing may be there twice. In others Compose drops the first of two.
const UNIQUE: [&str; 10] = [
    "external_links",
    "group_add",
    "security_opt",
    "volumes_from",
    "device_cgroup_rules",
    "capabilities",
    "device_ids",
    "networks",
    "depends_on",
    "models",
];

/// Checks one document, before its short forms are expanded.
pub fn check(document: &Node, problems: &mut Vec<Problem>) {
    let mut checker = Checker { problems };
    checker.value(document, "", Shape::Object(&TOP));
}

/// Checks a merged document for lists that became to have something twice.
pub(crate) fn check_repeats(document: &Node, problems: &mut Vec<Problem>) {
    let mut checker = Checker { problems };
    for (name, entry) in document.get("services").and_then(Node::as_map).into_iter().flatten() {
        for key in UNIQUE {
            if let Some(list) = entry.node.get(key) {
                checker.unique(list, &format!("services.{name}.{key}"));
            }
        }
    }
}

/// Checks one value that stands at a path.
pub(crate) fn check_value(node: &Node, path: &str, shape: Shape, problems: &mut Vec<Problem>) {
    Checker { problems }.value(node, path, shape);
}

pub(super) struct Checker<'p> {
    pub(super) problems: &'p mut Vec<Problem>,
}

impl Checker<'_> {
    fn value(&mut self, node: &Node, path: &str, shape: Shape) {
        if node.directive == Some(Directive::Reset) {
            return;
        }
        match shape {
            Shape::Object(object) => self.object(node, path, object),
            Shape::OrNull(inner) => {
                if !node.is_null() {
                    self.value(node, path, *inner);
                }
            }
            Shape::Short(inner) => {
                if node.as_text().is_none() {
                    self.value(node, path, *inner);
                }
            }
            Shape::ShortOrNumber(inner) => match node.as_scalar() {
                Some(Scalar::Text(_) | Scalar::Int(_)) => {}
                Some(_) => self.wrong(node, path, shape),
                None => self.value(node, path, *inner),
            },
            Shape::ShortOrList(inner) => match &node.data {
                Data::List(items) => self.items(items, path, Shape::Short(inner)),
                Data::Scalar(Scalar::Text(text)) => {
                    if path.ends_with(".gpus") && text != "all" {
                        let problem = Problem::invalid(&node.span.at(path), format!("gpus must be all or a list, not {text:?}"));
                        self.problems.push(problem.hint("Write gpus: all."));
                    }
                }
                Data::Scalar(_) | Data::Map(_) => self.wrong(node, path, shape),
            },
            Shape::List(inner) => match node.as_list() {
                Some(items) => self.items(items, path, *inner),
                None => self.wrong(node, path, shape),
            },
            Shape::Map(inner) => match node.as_map() {
                Some(map) => self.named(map, path, *inner),
                None => self.wrong(node, path, shape),
            },
            Shape::Named(inner) => match &node.data {
                Data::Map(map) => self.named(map, path, *inner),
                Data::List(items) => self.items(items, path, Shape::Text),
                Data::Scalar(_) => self.wrong(node, path, shape),
            },
            Shape::Texts | Shape::TextOrTexts | Shape::Looses | Shape::Command | Shape::HealthTest => self.texts(node, path, shape),
            Shape::Environment | Shape::Pairs | Shape::Contexts | Shape::Hosts | Shape::Ssh => self.pairs(node, path, shape),
            Shape::Options | Shape::Settings => self.options(node, path, shape),
            Shape::Repeated => self.repeated(node, path),
            Shape::Ulimit => self.ulimit(node, path),
            Shape::External => self.external(node, path),
            Shape::Any => {}
            Shape::Text
            | Shape::Choice(_)
            | Shape::Path
            | Shape::Context
            | Shape::Bool
            | Shape::Flag
            | Shape::BoolText
            | Shape::Int
            | Shape::Number
            | Shape::Bare
            | Shape::Single
            | Shape::Bytes
            | Shape::Size
            | Shape::Duration
            | Shape::Mode
            | Shape::Count
            | Shape::Loose
            | Shape::HostPort => self.scalar(node, path, shape),
        }
    }

    fn object(&mut self, node: &Node, path: &str, object: &'static Object) {
        let Some(map) = node.as_map() else {
            return self.wrong(node, path, Shape::Object(object));
        };
        for (name, entry) in map {
            let path = child(path, name);
            match object.key(name) {
                Some(key) => {
                    self.class(object, key, entry, &path);
                    self.value(&entry.node, &path, key.shape);
                    if UNIQUE.contains(&key.name) {
                        self.unique(&entry.node, &path);
                    }
                }
                None if object.extensible && name.starts_with("x-") => {}
                None => self.unknown(object, name, entry, &path),
            }
        }
        for name in object.required {
            if !map.contains_key(*name) {
                let message = format!("{} needs {name}", object.what);
                self.problems.push(Problem::invalid(&node.span.at(path), message).hint(format!("Add {name}:.")));
            }
        }
    }

    fn unique(&mut self, node: &Node, path: &str) {
        let items = node.as_list().unwrap_or_default();
        let mut seen = HashSet::new();
        for (index, node) in items.iter().enumerate() {
            if let Some(text) = node.display().filter(|text| !seen.insert(text.clone())) {
                let problem = Problem::invalid(&node.span.at(item(path, index)), format!("{text} is there twice"));
                self.problems.push(problem.hint("Keep one of the two."));
            }
        }
    }

    fn unknown(&mut self, object: &'static Object, name: &str, entry: &Entry, path: &str) {
        let message = format!("{path} is not a key of {}", object.what);
        let problem = Problem::invalid(&entry.key.at(path), message);
        let near = nearest(name, object.keys.iter().map(|key| key.name));
        let hint = match near {
            _ if std::ptr::eq(object, &TOP) && super::SERVICE.key(name).is_some() => {
                format!("{name} belongs into a service, under services.")
            }
            _ if std::ptr::eq(object, &super::SERVICE) && TOP.key(name).is_some() => {
                format!("{name} stands at the top of the file, without indentation.")
            }
            Some(near) => format!("Did you mean {near}?"),
            None => {
                let names: Vec<_> = object.keys.iter().map(|key| key.name).take(12).collect();
                let more = if object.keys.len() > names.len() { ", …" } else { "" };
                format!("Its keys are {}{more}.", names.join(", "))
            }
        };
        self.problems.push(problem.hint(hint));
    }

    fn class(&mut self, object: &'static Object, key: &'static Key, entry: &Entry, path: &str) {
        let place = entry.key.at(path);
        let name = format!("{} of {}", key.name, object.what);
        match key.class {
            Class::Works => {}
            Class::NoEffect(why) => {
                self.problems.push(Problem::note(&place, format!("{name} has no effect here")).hint(why));
            }
            Class::Refused(instead) => {
                self.problems.push(Problem::refused(&place, format!("Orrery does not support {name}")).hint(instead));
            }
            Class::NeedsEngine(api) => {
                let message = format!("{name} needs an engine with API {api} or newer");
                self.problems.push(Problem::note(&place, message));
            }
        }
    }

    fn items(&mut self, items: &[Node], path: &str, shape: Shape) {
        for (index, node) in items.iter().enumerate() {
            self.value(node, &item(path, index), shape);
        }
    }

    fn named(&mut self, map: &Map, path: &str, shape: Shape) {
        for (name, entry) in map {
            let lenient = matches!(path, "networks" | "models");
            let path = child(path, name);
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
                let message = format!("{name:?} cannot be a name");
                let hint = "Use letters, digits, dots, dashes and underscores.";
                let place = entry.key.at(path.clone());
                let problem = if lenient { Problem::refused(&place, message) } else { Problem::invalid(&place, message) };
                self.problems.push(problem.hint(hint));
            }
            self.value(&entry.node, &path, shape);
        }
    }

    fn repeated(&mut self, node: &Node, path: &str) {
        match node.as_map() {
            Some(map) => {
                for (key, entry) in map {
                    let path = child(path, key);
                    match entry.node.as_list() {
                        Some(items) => self.items(items, &path, Shape::Any),
                        None => self.scalar(&entry.node, &path, Shape::Any),
                    }
                }
            }
            None => self.wrong(node, path, Shape::Options),
        }
    }

    fn texts(&mut self, node: &Node, path: &str, shape: Shape) {
        match &node.data {
            Data::List(items) => {
                let inner = if matches!(shape, Shape::Looses) { Shape::Loose } else { Shape::Text };
                self.items(items, path, inner);
            }
            Data::Scalar(Scalar::Text(text)) if !matches!(shape, Shape::Texts | Shape::Looses) => {
                if matches!(shape, Shape::Command) {
                    self.command(node, path, text);
                }
            }
            Data::Scalar(Scalar::Null) if matches!(shape, Shape::Command) => {}
            Data::Scalar(_) | Data::Map(_) => self.wrong(node, path, shape),
        }
    }

    fn command(&mut self, node: &Node, path: &str, text: &str) {
        let place = node.span.at(path);
        match units::words(text) {
            Some((_, None)) => {}
            Some((_, Some(at))) => {
                let sign = text[at..].chars().next().unwrap_or_default();
                let message = format!("Compose cuts the command off before {sign:?}: no shell reads it");
                let hint = format!("Write a list: [\"sh\", \"-c\", {text:?}].");
                self.problems.push(Problem::warning(&place, message).hint(hint));
            }
            None => {
                let message = "a quote or a parenthesis in this command is not closed";
                self.problems.push(Problem::invalid(&place, message).hint("Write the command as a list."));
            }
        }
    }

    fn pairs(&mut self, node: &Node, path: &str, shape: Shape) {
        match &node.data {
            Data::Map(map) => {
                for (key, entry) in map {
                    let path = child(path, key);
                    let many = matches!(shape, Shape::Hosts);
                    if key.is_empty() {
                        self.problems.push(Problem::invalid(&entry.key.at(path.clone()), "a name is missing before the colon"));
                    }
                    match &entry.node.data {
                        Data::Scalar(_) if many => self.scalar(&entry.node, &path, Shape::Text),
                        Data::Scalar(Scalar::Date(_)) => self.wrong(&entry.node, &path, Shape::Text),
                        Data::Scalar(_) => self.surprise(&entry.node, &path),
                        Data::List(items) if many => self.items(items, &path, Shape::Text),
                        Data::List(_) | Data::Map(_) => self.wrong(&entry.node, &path, Shape::Loose),
                    }
                }
            }
            Data::List(items) => {
                for (index, node) in items.iter().enumerate() {
                    let path = item(path, index);
                    match node.as_text() {
                        Some(text) => self.pair(node, &path, text, shape),
                        None => self.wrong_pair(node, &path),
                    }
                }
            }
            Data::Scalar(_) => self.wrong(node, path, shape),
        }
    }

    fn pair(&mut self, node: &Node, path: &str, text: &str, shape: Shape) {
        let key = text.split('=').next().unwrap_or_default();
        if matches!(shape, Shape::Environment) && key.ends_with(char::is_whitespace) {
            let message = format!("the variable {key:?} ends with a space");
            self.problems.push(Problem::invalid(&node.span.at(path), message).hint("Write NAME=value without spaces around the =."));
        }
        if matches!(shape, Shape::Hosts) && (!text.contains(['=', ':']) || text.starts_with(['=', ':'])) {
            let what = if text.contains(['=', ':']) { "host name" } else { "address" };
            let message = format!("{text:?} has no {what}");
            self.problems.push(Problem::invalid(&node.span.at(path), message).hint("Write host=address, such as db=10.0.0.5."));
        }
    }

    fn wrong_pair(&mut self, node: &Node, path: &str) {
        let pair = node.as_map().and_then(|map| map.first()).map(|(key, entry)| (key, entry.node.display().unwrap_or_default()));
        let message = format!("an item here is a text KEY=VALUE, and this is {}", node.kind());
        let problem = Problem::invalid(&node.span.at(path), message);
        self.problems.push(match pair {
            Some((key, value)) => problem.hint(format!("Write - {key}={value}, or drop the dash and keep {key}: {value}.")),
            None => problem.hint("Put it in quotes."),
        });
    }

    fn options(&mut self, node: &Node, path: &str, shape: Shape) {
        let Some(map) = node.as_map() else { return self.wrong(node, path, Shape::Options) };
        for (key, entry) in map {
            let path = child(path, key);
            match &entry.node.data {
                Data::Scalar(Scalar::Null) if matches!(shape, Shape::Settings) => self.wrong(&entry.node, &path, Shape::Loose),
                Data::Scalar(Scalar::Bool(_) | Scalar::Date(_)) | Data::List(_) | Data::Map(_) => {
                    self.wrong(&entry.node, &path, Shape::Loose)
                }
                Data::Scalar(_) => self.surprise(&entry.node, &path),
            }
        }
    }

    fn ulimit(&mut self, node: &Node, path: &str) {
        match &node.data {
            Data::Map(map) => {
                for name in ["soft", "hard"] {
                    match map.get(name) {
                        Some(entry) => self.scalar(&entry.node, &child(path, name), Shape::Int),
                        None => self.problems.push(Problem::invalid(&node.span.at(path), format!("a limit needs {name}"))),
                    }
                }
                for (name, entry) in map.iter().filter(|(name, _)| !matches!(name.as_str(), "soft" | "hard") && !name.starts_with("x-")) {
                    let path = child(path, name);
                    let message = format!("{path} is not a key of a limit");
                    self.problems.push(Problem::invalid(&entry.key.at(path), message).hint("Its keys are soft, hard."));
                }
            }
            Data::Scalar(_) | Data::List(_) => self.scalar(node, path, Shape::Int),
        }
    }

    fn external(&mut self, node: &Node, path: &str) {
        match node.as_map() {
            Some(_) => {
                let message = "external with a name is an old form";
                self.problems.push(Problem::warning(&node.span.at(path), message).hint("Write name: beside external: true."));
            }
            None => self.scalar(node, path, Shape::Bool),
        }
    }
}
