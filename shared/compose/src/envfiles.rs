//! What `env_file` and `label_file` add to a service, read from the bundle.

use crate::dotenv;
use crate::files::{self, Files};
use crate::interpolate::Variables;
use crate::problem::{Place, Problem};
use crate::schema;
use crate::short::pairs_to_map;
use crate::yaml::{Entry, Map, Node, Span, child, item};

/// Reads the files of every service into its `environment` and `labels`.
pub(crate) fn resolve(tree: &mut Node, files: &Files, variables: &Variables, problems: &mut Vec<Problem>) {
    let Some(services) = tree.get_mut("services").and_then(Node::as_map_mut) else { return };
    for (name, entry) in services {
        let mut reader = Reader { files, variables, problems, path: format!("services.{name}") };
        reader.environment(&mut entry.node);
        reader.labels(&mut entry.node);
    }
}

struct Reader<'a> {
    files: &'a Files,
    variables: &'a Variables,
    problems: &'a mut Vec<Problem>,
    path: String,
}

impl Reader<'_> {
    fn environment(&mut self, service: &mut Node) {
        let Some(listed) = service.get("env_file").and_then(Node::as_list).map(<[Node]>::to_vec) else { return };
        let own: Vec<(String, Entry)> =
            service.get("environment").and_then(Node::as_map).map_or(Vec::new(), |map| map.clone().into_iter().collect());
        let given: Variables = own.iter().filter_map(|(key, entry)| entry.node.display().map(|value| (key.clone(), value))).collect();
        let mut values = given.clone();
        let mut spans: Vec<(Variables, Span)> = Vec::new();
        for (index, file) in listed.iter().enumerate() {
            let path = child(&self.path, &item("env_file", index));
            let before = values.clone();
            let node = file.get("path").unwrap_or(file);
            let required = file.get("required").is_none_or(crate::normalize::is_true);
            let Some((name, content)) = self.file(node, &path, required, "env file") else { continue };
            match file.get("format").and_then(Node::as_text).unwrap_or_default() {
                "" | ".env" => {
                    let project = self.variables;
                    let outer = |key: &str| project.get(key).or_else(|| given.get(key)).cloned();
                    dotenv::read(&name, &content, &outer, &mut values, self.problems);
                }
                "raw" => self.raw(&name, &content, &mut values),
                format => {
                    let message = format!("{format:?} is no format of an env file");
                    self.problems.push(Problem::invalid(&file.span.at(path), message).hint("Leave format out, or write raw."));
                }
            }
            let added = values.iter().filter(|(key, value)| before.get(*key) != Some(value));
            spans.push((added.map(|(key, value)| (key.clone(), value.clone())).collect(), node.span.clone()));
        }
        let mut merged = Map::new();
        for (key, value) in values {
            let span = spans.iter().rev().find(|(added, _)| added.contains_key(&key)).map(|(_, span)| span.clone());
            let span = span.unwrap_or_else(|| service.span.clone());
            merged.insert(key, Entry { key: span.clone(), node: Node::text(span, value) });
        }
        merged.extend(own);
        if !merged.is_empty() {
            let mut environment = Node::empty_map(service.span.clone());
            environment.data = crate::yaml::Data::Map(merged);
            service.set("environment", environment);
        }
    }

    fn labels(&mut self, service: &mut Node) {
        let Some(listed) = service.get("label_file").and_then(Node::as_list).map(<[Node]>::to_vec) else { return };
        let mut merged = Map::new();
        for (index, node) in listed.iter().enumerate() {
            let path = child(&self.path, &item("label_file", index));
            let Some((name, content)) = self.file(node, &path, true, "label file") else { continue };
            let mut labels = Variables::new();
            let project = self.variables;
            dotenv::read(&name, &content, &|key| project.get(key).cloned(), &mut labels, self.problems);
            let entries = labels.into_iter().map(|(key, value)| (key, Node::text(node.span.clone(), value)));
            merged.extend(entries.map(|(key, value)| (key, Entry { key: node.span.clone(), node: value })));
        }
        if let Some(own) = service.get_mut("labels") {
            pairs_to_map(own);
        }
        if let Some(own) = service.get("labels").and_then(Node::as_map) {
            merged.extend(own.clone());
        }
        let mut labels = Node::empty_map(service.span.clone());
        labels.data = crate::yaml::Data::Map(merged);
        service.set("labels", labels);
    }

    /// `KEY=VALUE` line by line, nothing more.
    fn raw(&mut self, file: &str, content: &[u8], values: &mut Variables) {
        let text = String::from_utf8_lossy(content);
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').map_or((line, None), |(key, value)| (key, Some(value)));
            if key.is_empty() || key.contains([' ', '\t']) {
                let line = u32::try_from(number).unwrap_or_default() + 1;
                let span = Span { line, end_line: line, end_column: 2, ..Span::start_of(&file.into()) };
                let message = if key.is_empty() { "a name is missing before the =" } else { "a name has no spaces in it" };
                self.problems.push(Problem::invalid(&span.at(""), message).hint("Write NAME=value."));
                continue;
            }
            if let Some(value) = value.or_else(|| self.variables.get(key).map(String::as_str)) {
                values.insert(key.to_owned(), value.to_owned());
            }
        }
    }

    fn file(&mut self, node: &Node, path: &str, required: bool, what: &str) -> Option<(String, Vec<u8>)> {
        let written = node.as_text()?;
        let place = node.span.at(path);
        match files::resolve("", written) {
            Ok(name) => match self.files.get(&name) {
                Some(content) => Some((name, content.to_vec())),
                None if required => {
                    self.problems.push(missing(self.files, &place, &name, what));
                    None
                }
                None => {
                    self.problems.push(Problem::note(&place, format!("the bundle has no {what} {name}, and none is required")));
                    None
                }
            },
            Err(outside) => {
                let problem = Problem::refused(&place, format!("the {what} {written} {outside}"));
                self.problems.push(problem.hint("Put the file into the bundle, and write its path relative to compose.yaml."));
                None
            }
        }
    }
}

/// That a file is missing in the bundle, which `what` it is, and which file is nearest to it.
pub fn missing(files: &Files, place: &Place, name: &str, what: &str) -> Problem {
    let problem = Problem::invalid(place, format!("the bundle has no {what} {name}"));
    match schema::nearest(name, files.iter().map(|(file, _)| file)) {
        Some(near) => problem.hint(format!("Did you mean {near}?")),
        None => problem.hint("Add it to the bundle."),
    }
}
