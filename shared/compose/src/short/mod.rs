//! Short forms expanded into long ones, in the tree, as Compose does between reading and merging.
//!
//! Doing it twice changes nothing. A short form that makes no sense is told and left as it is.

mod mount;
mod port;

pub(crate) use mount::clean;
pub(crate) use port::{published, range};

use crate::problem::Problem;
use crate::yaml::{Data, Entry, Map, Node, Scalar, child, item};

/// Expands every short form of a document.
pub(crate) fn expand(document: &mut Node, problems: &mut Vec<Problem>) {
    if let Some(services) = document.get_mut("services").and_then(Node::as_map_mut) {
        for (name, entry) in services {
            service(&mut entry.node, &format!("services.{name}"), problems);
        }
    }
    for section in ["networks", "volumes", "configs", "secrets"] {
        if let Some(map) = document.get_mut(section).and_then(Node::as_map_mut) {
            for (name, entry) in map {
                external(&mut entry.node, &format!("{section}.{name}"), problems);
            }
        }
    }
}

/// Expands every short form of a service.
pub(crate) fn service(service: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    let Some(map) = service.as_map_mut() else { return };
    for (key, entry) in map.iter_mut() {
        let path = child(path, key);
        let node = &mut entry.node;
        match key.as_str() {
            "build" => build(node),
            "depends_on" => depends_on(node),
            "env_file" => env_file(node),
            "label_file" => to_list(node),
            "dns" => dns(node),
            "networks" | "models" => names_to_map(node),
            "secrets" | "configs" => each_item(node, file_mount),
            "gpus" => gpus(node),
            "ports" => port::expand(node, &path, problems),
            "volumes" => each(node, &path, &mut |node, path| mount::expand(node, path, problems)),
            "devices" => each(node, &path, &mut |node, path| device(node, path, problems)),
            _ => {}
        }
    }
}

fn each(node: &mut Node, path: &str, change: &mut dyn FnMut(&mut Node, &str)) {
    if let Some(items) = node.as_list_mut() {
        for (index, node) in items.iter_mut().enumerate() {
            change(node, &item(path, index));
        }
    }
}

fn each_item(node: &mut Node, change: fn(&mut Node)) {
    if let Some(items) = node.as_list_mut() {
        items.iter_mut().for_each(change);
    }
}

/// A mapping whose entries are all placed where `node` is.
pub(crate) fn mapping(node: &Node, entries: Vec<(&str, Data)>) -> Data {
    let entry = |data| Entry { key: node.span.clone(), node: Node::new(node.span.clone(), data) };
    Data::Map(entries.into_iter().map(|(key, data)| (key.to_owned(), entry(data))).collect())
}

pub(crate) fn text(text: impl Into<String>) -> Data {
    Data::Scalar(Scalar::Text(text.into()))
}

fn build(node: &mut Node) {
    if let Some(context) = node.as_text() {
        node.data = mapping(node, vec![("context", text(context))]);
    }
    if let Some(contexts) = node.get_mut("additional_contexts") {
        pairs_to_map(contexts);
    }
    if let Some(ssh) = node.get_mut("ssh") {
        pairs_to_map(ssh);
    }
    if let Some(secrets) = node.get_mut("secrets") {
        each_item(secrets, file_mount);
    }
    for key in ["provenance", "sbom"] {
        if let Some(node) = node.get_mut(key)
            && let Some(shown) = node.display()
        {
            node.data = text(shown);
        }
    }
}

fn depends_on(node: &mut Node) {
    let required = ("required", Data::Scalar(Scalar::Bool(true)));
    let started = |node: &Node| mapping(node, vec![("condition", text("service_started")), required.clone()]);
    match &mut node.data {
        Data::List(items) => {
            let mut map = Map::new();
            for item in items.drain(..) {
                if let Some(name) = item.as_text().map(str::to_owned) {
                    let data = started(&item);
                    map.insert(name, Entry { key: item.span.clone(), node: Node::new(item.span, data) });
                }
            }
            node.data = Data::Map(map);
        }
        Data::Map(map) => {
            for entry in map.values_mut() {
                let span = entry.node.span.clone();
                if entry.node.get("required").is_none() {
                    entry.node.set("required", Node::bool(span, true));
                }
            }
        }
        Data::Scalar(_) => {}
    }
}

fn env_file(node: &mut Node) {
    to_list(node);
    each_item(node, |node| {
        if let Some(path) = node.as_text() {
            node.data = mapping(node, vec![("path", text(path)), ("required", Data::Scalar(Scalar::Bool(true)))]);
        } else if node.as_map().is_some() && node.get("required").is_none() {
            node.set("required", Node::bool(node.span.clone(), true));
        }
    });
}

fn dns(node: &mut Node) {
    to_list(node);
    if let Some(items) = node.as_list_mut() {
        items.retain(|item| !item.is_null() && item.as_text() != Some(""));
    }
}

fn to_list(node: &mut Node) {
    if node.as_text().is_some() {
        node.data = Data::List(vec![Node::new(node.span.clone(), node.data.clone())]);
    }
}

/// `[a, b]` becomes `{a: , b: }`.
pub(crate) fn names_to_map(node: &mut Node) {
    if let Data::List(items) = &mut node.data {
        let named = items.drain(..).filter_map(|item| item.as_text().map(str::to_owned).map(|name| (name, item.span)));
        node.data = Data::Map(named.map(|(name, span)| (name, Entry { key: span.clone(), node: Node::null(span) })).collect());
    }
}

/// `[A=1, B]` becomes `{A: 1, B: }`; the last of two wins.
pub(crate) fn pairs_to_map(node: &mut Node) {
    if let Data::List(items) = &mut node.data {
        let mut map = Map::new();
        for item in items.drain(..) {
            let Some(pair) = item.display() else { continue };
            let (key, value) = match pair.split_once('=') {
                Some((key, value)) => (key.to_owned(), text(value)),
                None => (pair, Data::Scalar(Scalar::Null)),
            };
            map.insert(key, Entry { key: item.span.clone(), node: Node::new(item.span, value) });
        }
        node.data = Data::Map(map);
    }
}

fn file_mount(node: &mut Node) {
    if let Some(source) = node.as_text() {
        node.data = mapping(node, vec![("source", text(source))]);
    }
}

fn gpus(node: &mut Node) {
    if node.as_text().is_some() {
        let all = Node::new(node.span.clone(), mapping(node, vec![("count", text("all"))]));
        node.data = Data::List(vec![all]);
    }
}

fn device(node: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    let Some(short) = node.as_text() else { return };
    let parts: Vec<&str> = short.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => {
            let message = format!("{short:?} has too many colons for a device");
            problems.push(Problem::invalid(&node.span.at(path), message).hint("Write source:target:permissions, or the long form."));
            return;
        }
    };
    let target = if target.is_empty() { source } else { target };
    node.data = mapping(node, vec![("source", text(source)), ("target", text(target)), ("permissions", text(permissions))]);
}

fn external(node: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    let Some(old) = node.get("external").filter(|external| external.as_map().is_some()).cloned() else { return };
    if let Some(name) = old.get("name") {
        if let Some(other) = node.get("name").filter(|other| *other != name) {
            let message = "name and external.name differ";
            problems.push(Problem::invalid(&other.span.at(child(path, "name")), message).hint("Keep name, and write external: true."));
        } else {
            node.set("name", name.clone());
        }
    }
    node.set("external", Node::bool(old.span, true));
}

/// Expands one entry of `volumes` without a word about what is wrong with it.
pub(crate) fn mount(node: &mut Node) {
    mount::expand(node, "", &mut Vec::new());
}
