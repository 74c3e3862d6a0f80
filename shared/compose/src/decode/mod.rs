//! From the normalised tree to the typed project. What only a look at the meaning can find wrong
//! is told here; what is of the wrong kind was told before, and is left out in silence.

mod cursor;
mod deploy;
mod mounts;
mod networks;
mod ports;
mod refused;
mod service;

use indexmap::IndexMap;

use crate::consistency;
use crate::files::{self, Files};
use crate::interpolate::Variables;
use crate::load::LoadOptions;
use crate::model::{FileObject, FileSource, Project, Service};
use crate::paths;
use crate::problem::{Place, Problem};
use crate::yaml::{Map, Node};

use cursor::Cursor;

/// What a definition is decoded with.
pub(crate) struct Context<'a> {
    pub(crate) files: &'a Files,
    pub(crate) options: &'a LoadOptions,
    pub(crate) variables: &'a Variables,
}

/// The typed project of a normalised tree.
pub(crate) fn project(tree: &Node, disabled: &Map, context: &Context<'_>, problems: &mut Vec<Problem>) -> Project {
    let root = Cursor::new(tree, "");
    let project = Project {
        name: context.options.project.clone(),
        services: services(&root, context, problems),
        disabled: set_aside(disabled, context),
        networks: section(&root, "networks", |cursor, place| networks::network(cursor, place, problems)),
        volumes: section(&root, "volumes", |cursor, place| networks::volume(cursor, place, problems)),
        configs: section(&root, "configs", |cursor, place| file_object(cursor, place, context, problems)),
        secrets: section(&root, "secrets", |cursor, place| file_object(cursor, place, context, problems)),
    };
    consistency::check(&project, problems);
    refused::check(&root, problems);
    project
}

fn services(root: &Cursor<'_>, context: &Context<'_>, problems: &mut Vec<Problem>) -> IndexMap<String, Service> {
    let Some(services) = root.get("services") else { return IndexMap::new() };
    let decode = |(name, cursor): (&str, Cursor<'_>)| {
        let place = services.key_place(name);
        (name.to_owned(), service::service(name, &cursor, place, context, problems))
    };
    services.entries().into_iter().map(decode).collect()
}

/// Services of other profiles: decoded, and nothing said about them.
fn set_aside(disabled: &Map, context: &Context<'_>) -> IndexMap<String, Service> {
    let decode = |(name, entry): (&String, &crate::yaml::Entry)| {
        let path = format!("services.{name}");
        let cursor = Cursor::new(&entry.node, path.as_str());
        (name.clone(), service::service(name, &cursor, entry.key.at(path), context, &mut Vec::new()))
    };
    disabled.iter().map(decode).collect()
}

fn section<T>(root: &Cursor<'_>, name: &str, mut decode: impl FnMut(&Cursor<'_>, Place) -> T) -> IndexMap<String, T> {
    let Some(section) = root.get(name) else { return IndexMap::new() };
    section.entries().into_iter().map(|(key, cursor)| (key.to_owned(), decode(&cursor, section.key_place(key)))).collect()
}

/// A config or a secret.
fn file_object(cursor: &Cursor<'_>, place: Place, context: &Context<'_>, problems: &mut Vec<Problem>) -> FileObject {
    let secret = cursor.path.starts_with("secrets.");
    let kinds: &[&str] = if secret { &["file", "environment"] } else { &["file", "environment", "content"] };
    let written: Vec<&str> = kinds.iter().copied().filter(|kind| cursor.node.get(kind).is_some()).collect();
    let source = if cursor.flag("external") {
        FileSource::External
    } else if written.len() > 1 {
        problems.push(Problem::invalid(&cursor.place(), format!("{} exclude each other", written.join(" and "))).hint("Keep one of them."));
        FileSource::External
    } else if let Some(file) = cursor.get("file") {
        file_source(&file, context, problems)
    } else if let Some(name) = cursor.text("environment") {
        match context.variables.get(&name) {
            Some(content) => FileSource::Environment { variable: name, content: content.clone() },
            None => {
                let place = cursor.get("environment").map_or_else(|| cursor.place(), |at| at.place());
                let problem = Problem::warning(&place, format!("the variable {name} has no value; the content is empty"));
                problems.push(problem.hint(format!("Set {name} in the bundle's .env.")));
                FileSource::Environment { variable: name, content: String::new() }
            }
        }
    } else if let Some(content) = cursor.get("content").and_then(|content| content.show()) {
        FileSource::Inline(content)
    } else {
        if secret || cursor.node.get("driver").is_none() && cursor.node.get("external").is_none() {
            let problem = Problem::invalid(&place, "its content is missing");
            problems.push(problem.hint(format!("Add one of {}.", kinds.join(", "))));
        }
        FileSource::External
    };
    // Where none is written, the reader has put the key in its place.
    let written = cursor.get("name").map(|name| name.place()).filter(|at| (at.line, at.column) != (place.line, place.column));
    if let Some(at) = written.filter(|_| secret && !cursor.flag("external")) {
        let message = "name has no effect without external: the content is mounted as a file, and has no name on the engine";
        problems.push(Problem::note(&at, message));
    }
    FileObject { place, name: cursor.text("name").unwrap_or_default(), source, labels: cursor.strings("labels") }
}

fn file_source(file: &Cursor<'_>, context: &Context<'_>, problems: &mut Vec<Problem>) -> FileSource {
    let Some(written) = file.show() else { return FileSource::External };
    match inside(&written, &file.place(), context, problems) {
        Some(Location::Bundle(path)) if context.files.has_file(&path) => FileSource::Bundle(path),
        Some(Location::Bundle(path)) => {
            let place = file.place();
            if context.files.has_folder(&path) && !path.is_empty() {
                problems.push(Problem::refused(&place, format!("{path} is a folder")).hint("Name a file of the bundle."));
            } else {
                let problem = crate::envfiles::missing(context.files, &place, &path, "file");
                problems.push(Problem { kind: crate::problem::Kind::Refused, ..problem });
            }
            FileSource::StackFolder(path)
        }
        Some(Location::Host(path)) => FileSource::Host(path),
        None => FileSource::External,
    }
}

/// Where a written path leads.
enum Location {
    /// Into the bundle, or beside what is in it.
    Bundle(String),
    /// To an absolute path of the host.
    Host(String),
}

/// Where a path leads; one that leaves the bundle is refused.
fn inside(written: &str, place: &Place, context: &Context<'_>, problems: &mut Vec<Problem>) -> Option<Location> {
    let windows = written.starts_with('\\') || (paths::is_absolute(written) && !written.starts_with('/'));
    if windows {
        let problem = Problem::refused(place, format!("{written} is a path of Windows"));
        problems.push(problem.hint("Write a path of Linux, or one relative to compose.yaml with ./ before it."));
        return None;
    }
    if let (Some(rest), Some(home)) = (written.strip_prefix('~'), context.variables.get("HOME")) {
        return Some(Location::Host(crate::short::clean(&format!("{home}/{rest}"))));
    }
    if written.starts_with('/') {
        return Some(Location::Host(crate::short::clean(written)));
    }
    let found = if written.starts_with('~') { Err(files::Outside::Home) } else { files::resolve("", written) };
    match found {
        Ok(path) => Some(Location::Bundle(path)),
        Err(outside) => {
            let hint = match outside {
                files::Outside::Home => "There is no home folder here: write an absolute path, or one relative to compose.yaml.",
                files::Outside::Above | files::Outside::Absolute => "Put what is needed into the bundle, or write an absolute path.",
            };
            problems.push(Problem::refused(place, format!("{written} {outside}")).hint(hint));
            None
        }
    }
}
