//! Which services the chosen profiles enable.

use crate::interpolate::Variables;
use crate::load::LoadOptions;
use crate::problem::Problem;
use crate::yaml::{Map, Node};

/// Takes the services that no chosen profile enables out of the tree, and gives them back.
pub(crate) fn split(tree: &mut Node, options: &LoadOptions, variables: &Variables, problems: &mut Vec<Problem>) -> Map {
    let from_env = variables.get("COMPOSE_PROFILES").map(String::as_str).unwrap_or_default();
    let chosen: Vec<&str> =
        options.profiles.iter().map(String::as_str).chain(from_env.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect();
    let Some(services) = tree.get_mut("services").and_then(Node::as_map_mut) else { return Map::new() };
    let known: Vec<String> = services.values().flat_map(|entry| names(&entry.node)).collect();
    for name in chosen.iter().filter(|name| **name != "*" && !known.iter().any(|known| known == *name)) {
        let span = services.first().map(|(_, entry)| entry.key.clone());
        if let Some(span) = span {
            problems.push(Problem::note(&span.at("services"), format!("no service has the profile {name}")));
        }
    }
    // Compose takes an empty list of profiles for one profile without a name.
    let nameless = options.profiles.is_empty() && from_env.split(',').any(|name| name.trim().is_empty());
    let (enabled, disabled) = std::mem::take(services).into_iter().partition(|(_, entry)| {
        let profiles = names(&entry.node);
        profiles.is_empty()
            || nameless && profiles.iter().any(String::is_empty)
            || profiles.iter().any(|profile| chosen.iter().any(|name| *name == "*" || name == profile))
    });
    *services = enabled;
    disabled
}

fn names(service: &Node) -> Vec<String> {
    service.get("profiles").and_then(Node::as_list).unwrap_or_default().iter().filter_map(Node::display).collect()
}
