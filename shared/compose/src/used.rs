//! What no enabled service uses is not made: networks, volumes, configs and secrets left out, as
//! Compose leaves them out.

use std::collections::HashSet;

use crate::model::Project;
use crate::yaml::Node;

/// Takes what nobody uses out of the tree and out of the project.
pub(crate) fn keep(tree: &mut Node, project: &mut Project) {
    for section in ["networks", "volumes", "configs", "secrets"] {
        let used = used(tree, section);
        if let Some(map) = tree.get_mut(section).and_then(Node::as_map_mut) {
            map.retain(|name, _| used.contains(name));
        }
        match section {
            "networks" => project.networks.retain(|name, _| used.contains(name)),
            "volumes" => project.volumes.retain(|name, _| used.contains(name)),
            "configs" => project.configs.retain(|name, _| used.contains(name)),
            _ => project.secrets.retain(|name, _| used.contains(name)),
        }
    }
}

fn used(tree: &Node, section: &str) -> HashSet<String> {
    let mut used = HashSet::new();
    for (_, entry) in tree.get("services").and_then(Node::as_map).into_iter().flatten() {
        let service = &entry.node;
        if section == "networks" {
            used.extend(service.get(section).and_then(Node::as_map).into_iter().flat_map(|map| map.keys().cloned()));
            continue;
        }
        let built = service.get("build").and_then(|build| build.get(section));
        let mounts = [service.get(section), built].into_iter().flatten().filter_map(Node::as_list).flatten();
        let named = mounts.filter(|mount| section != "volumes" || mount.get("type").and_then(Node::as_text) == Some("volume"));
        used.extend(named.filter_map(|mount| mount.get("source").and_then(Node::display)));
    }
    used
}
