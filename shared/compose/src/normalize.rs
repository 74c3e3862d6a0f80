//! Implicit things made explicit, in the tree: the default network, names on the engine,
//! dependencies that follow from links and shared name spaces, defaults of long forms.

use crate::interpolate::Variables;
use crate::short::{mapping, pairs_to_map, text};
use crate::yaml::{Data, Node, Scalar};

/// Normalises a merged definition of a project.
pub(crate) fn normalize(tree: &mut Node, project: &str, variables: &Variables) {
    default_network(tree);
    for entry in tree.get_mut("services").and_then(Node::as_map_mut).into_iter().flat_map(|map| map.values_mut()) {
        service(&mut entry.node, variables);
    }
    for section in ["networks", "volumes", "configs", "secrets"] {
        names(tree, section, project);
    }
}

fn service(service: &mut Node, variables: &Variables) {
    if service.get("pull_policy").and_then(Node::as_text) == Some("if_not_present") {
        let span = service.span.clone();
        service.set("pull_policy", Node::text(span, "missing"));
    }
    if let Some(environment) = service.get_mut("environment") {
        pairs_to_map(environment);
        fill(environment, variables, true);
    }
    for key in ["labels", "annotations", "sysctls"] {
        if let Some(node) = service.get_mut(key) {
            pairs_to_map(node);
        }
    }
    if let Some(build) = service.get_mut("build") {
        self::build(build, variables);
    }
    if let Some(items) = service.get_mut("gpus").and_then(Node::as_list_mut) {
        items.iter_mut().for_each(device_request);
    }
    let deploy = service.get_mut("deploy");
    if let Some(deploy) = deploy {
        let reserved = deploy.get_mut("resources").and_then(|r| r.get_mut("reservations")).and_then(|r| r.get_mut("devices"));
        if let Some(items) = reserved.and_then(Node::as_list_mut) {
            items.iter_mut().for_each(device_request);
        }
        if let Some(labels) = deploy.get_mut("labels") {
            pairs_to_map(labels);
        }
    }
    mounts(service);
    dependencies(service);
}

fn build(build: &mut Node, variables: &Variables) {
    if build.as_map().is_none() {
        return;
    }
    let span = build.span.clone();
    if build.get("context").is_none() {
        build.set("context", Node::text(span.clone(), "."));
    }
    if build.get("dockerfile").is_none() && build.get("dockerfile_inline").is_none() {
        build.set("dockerfile", Node::text(span, "Dockerfile"));
    }
    if let Some(args) = build.get_mut("args") {
        pairs_to_map(args);
        fill(args, variables, false);
    }
    if let Some(labels) = build.get_mut("labels") {
        pairs_to_map(labels);
    }
}

/// Gives keys without a value the value of the variable of that name; drops the others unless they
/// mean something.
fn fill(node: &mut Node, variables: &Variables, keep: bool) {
    let Some(map) = node.as_map_mut() else { return };
    for (key, entry) in map.iter_mut().filter(|(_, entry)| entry.node.is_null()) {
        if let Some(value) = variables.get(key) {
            entry.node.data = text(value.clone());
        }
    }
    if !keep {
        map.retain(|_, entry| !entry.node.is_null());
    }
}

fn device_request(node: &mut Node) {
    if node.as_map().is_some() && node.get("count").is_none() && node.get("device_ids").is_none() {
        let span = node.span.clone();
        node.set("count", Node::text(span, "all"));
    }
}

fn mounts(service: &mut Node) {
    if let Some(items) = service.get_mut("volumes").and_then(Node::as_list_mut) {
        for mount in items {
            if let Some(target) = mount.get_mut("target")
                && let Some(path) = target.as_text()
            {
                target.data = text(crate::short::clean(path));
            }
        }
    }
    if let Some(items) = service.get_mut("secrets").and_then(Node::as_list_mut) {
        for secret in items.iter_mut().filter(|secret| secret.get("target").is_none()) {
            if let Some(source) = secret.get("source").and_then(Node::as_text).map(str::to_owned) {
                let span = secret.span.clone();
                secret.set("target", Node::text(span, format!("/run/secrets/{source}")));
            }
        }
    }
    if let Some(items) = service.get_mut("ports").and_then(Node::as_list_mut) {
        for port in items.iter_mut().filter(|port| port.as_map().is_some()) {
            for (key, default) in [("protocol", "tcp"), ("mode", "ingress")] {
                if port.get(key).is_none() {
                    let span = port.span.clone();
                    port.set(key, Node::text(span, default));
                }
            }
        }
    }
}

/// Dependencies that follow from links, name spaces and `volumes_from`.
fn dependencies(service: &mut Node) {
    let mut implied: Vec<(String, bool, Node)> = Vec::new();
    for link in service.get("links").and_then(Node::as_list).into_iter().flatten() {
        if let Some(text) = link.as_text() {
            let name = match text.split_once(':') {
                Some((name, alias)) if !alias.contains(':') => name,
                _ => text,
            };
            implied.push((name.to_owned(), true, link.clone()));
        }
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        if let Some(node) = service.get(key)
            && let Some(name) = node.as_text().and_then(|text| text.strip_prefix("service:"))
        {
            implied.push((name.to_owned(), true, node.clone()));
        }
    }
    for from in service.get("volumes_from").and_then(Node::as_list).into_iter().flatten() {
        if let Some(text) = from.as_text().filter(|text| !text.starts_with("container:")) {
            let name = text.split(':').next().unwrap_or_default();
            implied.push((name.to_owned(), false, from.clone()));
        }
    }
    if implied.is_empty() || service.as_map().is_none() {
        return;
    }
    if service.get("depends_on").is_none() {
        service.set("depends_on", Node::empty_map(service.span.clone()));
    }
    let Some(depends_on) = service.get_mut("depends_on").filter(|node| node.as_map().is_some()) else { return };
    for (name, restart, node) in implied {
        if depends_on.get(&name).is_none() {
            let yes = |value| Data::Scalar(Scalar::Bool(value));
            let fields = vec![("condition", text("service_started")), ("restart", yes(restart)), ("required", yes(true))];
            depends_on.set(&name, Node::new(node.span.clone(), mapping(&node, fields)));
        }
    }
}

/// Joins services without networks to `default`, and declares it where somebody uses it.
fn default_network(tree: &mut Node) {
    let mut used = None;
    for entry in tree.get_mut("services").and_then(Node::as_map_mut).into_iter().flat_map(|map| map.values_mut()) {
        let service = &mut entry.node;
        if service.as_map().is_none() || service.get("provider").is_some() || service.get("network_mode").is_some() {
            continue;
        }
        let none = service.get("networks").is_none_or(|networks| networks.as_map().is_some_and(|map| map.is_empty()));
        if none {
            let span = entry.key.clone();
            let mut networks = Node::empty_map(span.clone());
            networks.set("default", Node::null(span));
            service.set("networks", networks);
        }
        if service.get("networks").is_some_and(|networks| networks.get("default").is_some()) {
            used.get_or_insert(entry.key.clone());
        }
    }
    let Some(span) = used else { return };
    if tree.get("networks").is_none() {
        tree.set("networks", Node::empty_map(span.clone()));
    }
    if let Some(networks) = tree.get_mut("networks").filter(|networks| networks.get("default").is_none()) {
        networks.set("default", Node::null(span));
    }
}

fn names(tree: &mut Node, section: &str, project: &str) {
    let Some(map) = tree.get_mut(section).and_then(Node::as_map_mut) else { return };
    for (key, entry) in map.iter_mut() {
        if entry.node.is_null() {
            entry.node.data = Data::Map(crate::yaml::Map::new());
        }
        if let Some(labels) = entry.node.get_mut("labels") {
            pairs_to_map(labels);
        }
        if entry.node.get("name").is_none() {
            let external = entry.node.get("external").is_some_and(is_true);
            let name = if external { key.clone() } else { format!("{project}_{key}") };
            entry.node.set("name", Node::text(entry.key.clone(), name));
        }
    }
}

/// Whether a truth value, also in words, is true.
pub(crate) fn is_true(node: &Node) -> bool {
    match node.as_scalar() {
        Some(Scalar::Bool(value)) => *value,
        Some(Scalar::Text(text)) => crate::units::bool(text) == Some(true),
        Some(Scalar::Null | Scalar::Int(_) | Scalar::Big(_) | Scalar::Float(_) | Scalar::Date(_)) | None => false,
    }
}
