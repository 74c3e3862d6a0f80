//! Every property of the official Compose schema either changes what is run, or gets a message.
//! The schema is walked; for each property a small definition that has it is compared with the
//! same definition without it.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod schema_walk;

use std::collections::BTreeSet;

use orrery_compose::Outcome;
use orrery_compose::schema::{Shape, TOP};
use schema_walk::{definition, item_of, named_of, object_of, official, outcome, sample, told, walk};
use serde_json::Value;

#[test]
fn the_table_has_every_key_of_the_official_schema_and_no_other() {
    let root = official();
    let (leaves, missing) = walk(&root);
    assert_eq!(missing, Vec::<String>::new(), "keys that the table does not have");
    assert!(leaves.len() > 250, "only {} leaves were found", leaves.len());
    let known: BTreeSet<String> = leaves.iter().flat_map(|leaf| prefixes(&leaf.path)).collect();
    let mut ours = Vec::new();
    keys("", Shape::Object(&TOP), &mut ours);
    let unknown: Vec<&String> = ours.iter().filter(|path| !known.contains(*path)).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "keys that only the table has");
}

fn prefixes(path: &[String]) -> Vec<String> {
    (1..=path.len()).map(|length| path[..length].join(".")).collect()
}

fn keys(path: &str, shape: Shape, out: &mut Vec<String>) {
    if let Some(object) = object_of(shape) {
        for key in object.keys {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            out.push(path.clone());
            keys(&path, key.shape, out);
        }
    } else if let Some(inner) = item_of(shape) {
        keys(&format!("{path}.[]"), inner, out);
    } else if let Some(inner) = named_of(shape) {
        keys(&format!("{path}.*"), inner, out);
    }
}

#[test]
fn every_property_works_or_gets_a_message() {
    let root = official();
    let (leaves, _) = walk(&root);
    let mut silent = Vec::new();
    let mut invalid = Vec::new();
    for leaf in &leaves {
        let path = leaf.path.join(".");
        let with = outcome(&definition(&leaf.path, Some(sample(&path, &leaf.schema))));
        let without = outcome(&definition(&leaf.path, None));
        if let Some(error) = with.errors().next() {
            invalid.push(format!("{path}: {error}"));
            continue;
        }
        if !told(&path, &with, &without) && model(&with) == model(&without) {
            silent.push(path);
        }
    }
    assert_eq!(invalid, Vec::<String>::new(), "samples that are not valid");
    assert_eq!(silent, Vec::<String>::new(), "properties that neither work nor get a message");
}

/// What would be run, services of all profiles included.
fn model(outcome: &Outcome) -> Value {
    serde_json::to_value(outcome.project.as_ref()).unwrap()
}
