//! Every property of the official Compose schema either changes what is asked of the engine, or the reader says that it
//! does nothing here: what the reader takes into the model, the translation uses.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../shared/compose/tests/schema_walk/mod.rs"]
mod schema_walk;
mod support;

use orrery_compose::Outcome;
use orrery_docker_executor::definition::{ContainerSpec, Desired, Folders, ImageSource, ServiceSpec, compile};
use schema_walk::{definition, files, official, outcome, sample, useless, walk};
use serde_json::{Value, json};

/// It orders several networks, and the definition has one: see the test below.
const PRIORITY: &str = "services.*.networks.*.priority";

#[test]
fn networks_are_joined_from_the_highest_priority_down() {
    let written = json!({
        "services": {"web": {"image": "x", "networks": {"a": null, "b": {"priority": 5}, "c": {"priority": 9}}}},
        "networks": {"a": null, "b": null, "c": null},
    });
    let asked = requests(&written, &outcome(&written));
    let joined: Vec<&Value> = asked[2][0][3][0][4].as_array().unwrap().iter().map(|network| &network[0]).collect();
    assert_eq!(joined, ["app_c", "app_b", "app_a"]);
}

#[test]
fn every_property_changes_what_is_asked_of_the_engine_or_gets_a_message() {
    let root = official();
    let (leaves, _) = walk(&root);
    let mut silent = Vec::new();
    for leaf in &leaves {
        let path = leaf.path.join(".");
        let (with, without) = (definition(&leaf.path, Some(sample(&path, &leaf.schema))), definition(&leaf.path, None));
        if path == PRIORITY {
            continue;
        }
        let read = outcome(&with);
        if !useless(&path, &read) && requests(&with, &read) == requests(&without, &outcome(&without)) {
            silent.push(path);
        }
    }
    assert_eq!(silent, Vec::<String>::new(), "properties that neither reach the engine nor get a message");
}

/// All that the engine would be asked, and all that decides when.
fn requests(written: &Value, read: &Outcome) -> Value {
    let identity = support::identity("shop");
    let folders = Folders { bundle: "/bundle".into(), stack: "/stack".into(), inline: "/inline".into() };
    let Some(project) = &read.project else { return Value::Null };
    match compile(project, &identity, &files(written), &folders) {
        Ok(desired) => all(&desired),
        Err(problems) => json!(problems.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

fn all(desired: &Desired) -> Value {
    let Desired { identity: _, networks, volumes, services, inline, folders, secrets, registries: _, notes: _ } = desired;
    let networks: Vec<Value> = networks.values().map(|spec| json!([spec.body, spec.external])).collect();
    let volumes: Vec<Value> = volumes.values().map(|spec| json!([spec.body, spec.external])).collect();
    let services: Vec<Value> = services.values().map(service).collect();
    json!([networks, volumes, services, format!("{inline:?} {folders:?} {secrets:?}")])
}

fn service(spec: &ServiceSpec) -> Value {
    let ServiceSpec { name, image, containers, needs, joins, start_first, may_finish, parallelism, delay, stable, probe } = spec;
    let source = match &image.source {
        ImageSource::Pull { policy, platform } => json!([policy, platform]),
        ImageSource::Build(order) => json!(format!("{order:?}")),
    };
    let rules = format!("{needs:?} {joins:?} {start_first} {may_finish} {parallelism} {delay:?} {stable:?} {probe:?}");
    json!([name, image.reference, source, containers.iter().map(container).collect::<Vec<_>>(), rules])
}

fn container(spec: &ContainerSpec) -> Value {
    let ContainerSpec { name, service, number, body, networks, facts, platform, grace } = spec;
    json!([name, service, number, body, networks, facts.to_label(), platform, grace])
}
