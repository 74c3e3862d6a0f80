//! One definition over another, as Compose merges override files and extended services, and what
//! it does about entries that are there twice.

use std::collections::HashMap;

use crate::problem::Problem;
use crate::short::names_to_map;
use crate::yaml::{Data, Directive, Entry, Map, Node, Scalar, child};

/// Merges `over` over `base`. `path` is where both stand.
pub(crate) fn merge(base: Node, over: Node, path: &str, problems: &mut Vec<Problem>) -> Node {
    Merger { problems }.merge(base, over, path)
}

struct Merger<'p> {
    problems: &'p mut Vec<Problem>,
}

/// How the values at a path are merged.
enum Rule {
    Plain,
    Replace,
    Sequence,
    NoRepeats,
    Named,
    Dependencies,
    Build,
    Logging,
    Pools,
}

fn rule(path: &str) -> Rule {
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        ["services", _, rest @ ..] => match rest {
            ["build"] => Rule::Build,
            ["build", "args" | "additional_contexts" | "labels"]
            | ["annotations" | "dns" | "dns_opt" | "dns_search" | "env_file" | "label_file"]
            | ["environment" | "labels" | "sysctls" | "tmpfs"]
            | ["deploy", "labels"] => Rule::Sequence,
            ["build", "extra_hosts"] | ["extra_hosts"] => Rule::NoRepeats,
            ["command" | "entrypoint"] | ["healthcheck", "test"] | ["ulimits", _] => Rule::Replace,
            ["depends_on"] => Rule::Dependencies,
            ["networks" | "models"] => Rule::Named,
            ["logging"] => Rule::Logging,
            _ => Rule::Plain,
        },
        ["networks" | "volumes", _, "labels"] => Rule::Sequence,
        ["networks", _, "ipam", "config"] => Rule::Pools,
        _ => Rule::Plain,
    }
}

impl Merger<'_> {
    fn merge(&mut self, mut base: Node, mut over: Node, path: &str) -> Node {
        match rule(path) {
            Rule::Replace => over,
            Rule::Sequence => sequence(base, over, false),
            Rule::NoRepeats => sequence(base, over, true),
            Rule::Named => {
                names_to_map(&mut base);
                names_to_map(&mut over);
                self.plain(base, over, path)
            }
            Rule::Dependencies => {
                dependencies(&mut base);
                dependencies(&mut over);
                self.plain(base, over, path)
            }
            Rule::Build => {
                for node in [&mut base, &mut over] {
                    if let Some(context) = node.as_text().map(str::to_owned) {
                        let mut long = Node::empty_map(node.span.clone());
                        long.set("context", Node::text(node.span.clone(), context));
                        *node = long;
                    }
                }
                self.plain(base, over, path)
            }
            Rule::Logging => {
                let differ = matches!((base.get("driver"), over.get("driver")), (Some(a), Some(b)) if a != b);
                if differ { over } else { self.plain(base, over, path) }
            }
            Rule::Pools => self.pools(base, over, path),
            Rule::Plain => self.plain(base, over, path),
        }
    }

    fn plain(&mut self, base: Node, over: Node, path: &str) -> Node {
        if over.is_null() {
            return base;
        }
        let span = over.span.clone();
        match (base.data, over.data) {
            (Data::Map(base), Data::Map(over)) => Node::new(span, Data::Map(self.maps(base, over, path))),
            (Data::List(mut items), Data::List(more)) => {
                items.extend(more);
                Node::new(span, Data::List(items))
            }
            (base @ (Data::Map(_) | Data::List(_)), over) => {
                let (was, is) = (Node::new(span.clone(), base), Node::new(span.clone(), over));
                let message = format!("{path} is {} here and {} in the definition below", is.kind(), was.kind());
                self.problems.push(Problem::invalid(&span.at(path), message).hint("Write both in the same form."));
                was
            }
            (Data::Scalar(_), over) => Node::new(span, over),
        }
    }

    fn maps(&mut self, mut base: Map, over: Map, path: &str) -> Map {
        for (key, entry) in over {
            match base.get_mut(&key) {
                Some(slot) => {
                    let path = child(path, &key);
                    let before = std::mem::replace(&mut slot.node, Node::null(entry.key.clone()));
                    slot.node = self.merge(before, entry.node, &path);
                    slot.key = entry.key;
                }
                None => {
                    base.insert(key, entry);
                }
            }
        }
        base
    }

    /// Address pools are merged by their subnets; a pool that the later file does not have is gone.
    fn pools(&mut self, base: Node, over: Node, path: &str) -> Node {
        let span = over.span.clone();
        let (Data::List(mut before), Data::List(more)) = (base.data, over.data) else {
            return Node::new(span, Data::List(Vec::new()));
        };
        let mut pools = Vec::new();
        for pool in more {
            let same = before.iter().position(|other| other.get("subnet") == pool.get("subnet"));
            pools.push(match same {
                Some(index) => self.plain(before.swap_remove(index), pool, path),
                None => pool,
            });
        }
        Node::new(span, Data::List(pools))
    }
}

fn dependencies(node: &mut Node) {
    if let Data::List(items) = &mut node.data {
        let started = |item: &Node| {
            let mut long = Node::empty_map(item.span.clone());
            long.set("condition", Node::text(item.span.clone(), "service_started"));
            long.set("required", Node::bool(item.span.clone(), true));
            long
        };
        let named = items.iter().filter_map(|item| item.as_text().map(|name| (name.to_owned(), item)));
        let map = named.map(|(name, item)| (name, Entry { key: item.span.clone(), node: started(item) }));
        node.data = Data::Map(map.collect());
    }
}

/// Both as lists of `KEY=VALUE`, one behind the other.
fn sequence(base: Node, over: Node, no_repeats: bool) -> Node {
    let span = over.span.clone();
    let mut items = pairs(base);
    for node in pairs(over) {
        if !no_repeats || !items.contains(&node) {
            items.push(node);
        }
    }
    Node::new(span, Data::List(items))
}

fn pairs(node: Node) -> Vec<Node> {
    match node.data {
        Data::Map(map) => {
            let mut items = Vec::new();
            for (key, entry) in map {
                let values = match &entry.node.data {
                    Data::List(values) => values.iter().map(Node::display).collect(),
                    Data::Scalar(_) | Data::Map(_) => vec![entry.node.display()],
                };
                for value in values {
                    let text = value.map_or_else(|| key.clone(), |value| format!("{key}={value}"));
                    items.push(Node::text(entry.node.span.clone(), text));
                }
            }
            items
        }
        Data::List(items) => items,
        Data::Scalar(Scalar::Null) => Vec::new(),
        Data::Scalar(scalar) => vec![Node::new(node.span, Data::Scalar(scalar))],
    }
}

/// Takes out of a later document what is empty there and has a value in `base`: the value stays.
pub(crate) fn drop_empty(document: &mut Node, base: &Node, path: &str) {
    let (Some(map), Some(below)) = (document.as_map_mut(), base.as_map()) else { return };
    map.retain(|key, entry| {
        let Some(under) = below.get(key) else { return true };
        let path = child(path, key);
        if entry.node.is_null() {
            let stays = matches!(rule(&path), Rule::Plain) && entry.node.directive.is_none();
            return !stays || under.node.is_null();
        }
        drop_empty(&mut entry.node, &under.node, &path);
        true
    });
}

/// Takes `!reset` and `!override` out of a later document, and out of `base` what they stand for.
pub(crate) fn apply_directives(document: &mut Node, base: &mut Node) {
    let Some(map) = document.as_map_mut() else { return };
    let mut gone = Vec::new();
    for (key, entry) in map.iter_mut() {
        match entry.node.directive.take() {
            Some(Directive::Reset) => {
                gone.push(key.clone());
                base.remove(key);
            }
            Some(Directive::Override) => {
                base.remove(key);
            }
            None => {
                let mut nothing = Node::null(entry.key.clone());
                apply_directives(&mut entry.node, base.get_mut(key).unwrap_or(&mut nothing));
            }
        }
    }
    for key in gone {
        map.shift_remove(&key);
    }
}

/// Drops what a later entry of a list says again: the same variable, the same target, the same port.
pub(crate) fn unify(document: &mut Node) {
    let each = |document: &mut Node, section: &str, change: fn(&str, &mut Node)| {
        if let Some(map) = document.get_mut(section).and_then(Node::as_map_mut) {
            for entry in map.values_mut() {
                if let Some(map) = entry.node.as_map_mut() {
                    map.iter_mut().for_each(|(key, entry)| change(key, &mut entry.node));
                }
            }
        }
    };
    each(document, "services", unify_key);
    each(document, "networks", |key, node| {
        if key == "labels" {
            unify_list(node, key_of);
        }
    });
}

fn unify_key(key: &str, node: &mut Node) {
    match key {
        "annotations" | "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "environment" | "labels" | "links" | "profiles"
        | "sysctls" | "tmpfs" => unify_list(node, key_of),
        "build" | "deploy" => {
            for key in ["args", "additional_contexts", "tags", "labels"] {
                if let Some(node) = node.get_mut(key) {
                    unify_list(node, key_of);
                }
            }
        }
        "devices" => unify_list(node, device_of),
        "volumes" => unify_list(node, target_of),
        "configs" => unify_list(node, |node| mount_of(node, "")),
        "secrets" => unify_list(node, |node| mount_of(node, "/run/secrets")),
        "env_file" => unify_list(node, |node| node.get("path").unwrap_or(node).display()),
        "expose" => unify_list(node, Node::display),
        "ports" => unify_list(node, port_of),
        "networks" => {
            if let Some(map) = node.as_map_mut() {
                for entry in map.values_mut() {
                    for key in ["aliases", "link_local_ips"] {
                        if let Some(node) = entry.node.get_mut(key) {
                            unify_list(node, key_of);
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

fn unify_list(node: &mut Node, identity: fn(&Node) -> Option<String>) {
    let Some(items) = node.as_list_mut() else { return };
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Node> = Vec::new();
    for item in items.drain(..) {
        let Some(identity) = identity(&item) else {
            kept.push(item);
            continue;
        };
        match seen.get(&identity) {
            Some(index) => kept[*index] = item,
            None => {
                seen.insert(identity, kept.len());
                kept.push(item);
            }
        }
    }
    *items = kept;
}

fn key_of(node: &Node) -> Option<String> {
    node.as_text().map(|text| text.split('=').next().unwrap_or_default().to_owned())
}

fn device_of(node: &Node) -> Option<String> {
    match node.as_text() {
        Some(text) => text.split(':').nth(1).or(Some(text)).map(str::to_owned),
        None => node.get("target").and_then(Node::display),
    }
}

fn target_of(node: &Node) -> Option<String> {
    match node.as_text() {
        Some(_) => {
            let mut long = node.clone();
            crate::short::mount(&mut long);
            long.get("target").and_then(Node::display)
        }
        None => node.get("target").and_then(Node::display),
    }
}

fn mount_of(node: &Node, folder: &str) -> Option<String> {
    match node.as_text() {
        Some(text) => Some(format!("{folder}/{text}")),
        None => node.get("target").and_then(Node::display).or_else(|| Some(format!("{folder}/{}", node.get("source")?.display()?))),
    }
}

fn port_of(node: &Node) -> Option<String> {
    if node.as_map().is_none() {
        return node.display();
    }
    let field = |key: &str, default: &str| node.get(key).and_then(Node::display).unwrap_or_else(|| default.to_owned());
    let target = node.get("target").and_then(Node::display)?;
    // To Compose a number and a text are never the same host port.
    let number = node.get("published").is_some_and(|published| published.as_text().is_none());
    let published = format!("{}{}", if number { "#" } else { "" }, field("published", ""));
    Some(format!("{}:{published}:{target}/{}", field("host_ip", "0.0.0.0"), field("protocol", "tcp")))
}
