//! The page, the JSON Schema and the worked machines say what the table and the reader say.

#![allow(clippy::unwrap_used)]

mod telling;

use orrery_machine::schema::{self, WORKED};
use orrery_machine::{canonical, load};
use serde_json::Value;
use telling::{container, machine, of, vm};

fn written(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_page_is_made_from_the_table() {
    let stale = "docs/machine.md is stale: cargo run -q -p orrery-machine --example machine_page > docs/machine.md";
    assert!(written("../../docs/machine.md") == schema::document(), "{stale}");
}

#[test]
fn the_json_schema_is_made_from_the_table() {
    let stale = "it is stale: cargo run -q -p orrery-machine --example machine_schema > shared/machine/machine.schema.json";
    assert!(written("machine.schema.json") == format!("{:#}\n", schema::json_schema()), "{stale}");
}

#[test]
fn every_worked_machine_is_read_without_a_word() {
    for worked in WORKED {
        let outcome = load(&of(worked.text));
        assert!(outcome.problems.is_empty(), "{}: {:?}", worked.name, outcome.problems);
        insta::assert_json_snapshot!(worked.name, canonical(&outcome.machine.unwrap()));
    }
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema::json_schema()).unwrap()
}

#[test]
fn the_json_schema_takes_what_the_reader_takes() {
    let validator = validator();
    for worked in WORKED {
        let written: Value = serde_yaml::from_str(worked.text).unwrap();
        for value in [written, canonical(&machine(&of(worked.text)))] {
            let faults: Vec<String> = validator.iter_errors(&value).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{}: {faults:?}", worked.name);
        }
    }
}

#[test]
fn the_json_schema_refuses_what_the_table_refuses() {
    let validator = validator();
    for (what, text) in [
        ("an unknown key", r#"{"kind": "vm", "source": {"box": "a"}, "memroy": 1}"#),
        ("no source", r#"{"kind": "vm"}"#),
        ("two sources", r#"{"kind": "vm", "source": {"box": "a", "iso": "b"}}"#),
        ("a firmware in a container", r#"{"kind": "container", "source": {"archive": "a"}, "firmware": "bios"}"#),
        ("a box in a container", r#"{"kind": "container", "source": {"box": "a"}}"#),
        ("a model in a container", r#"{"kind": "container", "source": {"archive": "a"}, "networks": [{"nat": "a", "model": "virtio"}]}"#),
        ("an archive in a vm", r#"{"kind": "vm", "source": {"archive": "a"}}"#),
        ("two attachments", r#"{"kind": "vm", "source": {"box": "a"}, "networks": [{"nat": "a", "bridge": "b"}]}"#),
        ("two conditions", r#"{"kind": "vm", "source": {"box": "a"}, "ready": {"tcp": 22, "agent": true}}"#),
        ("a size that is none", r#"{"kind": "vm", "source": {"box": "a"}, "memory": "lots"}"#),
        ("no processor", r#"{"kind": "vm", "source": {"box": "a"}, "cpus": 0}"#),
    ] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert!(!validator.is_valid(&value), "{what} is taken");
        assert!(load(&of(text)).machine.is_none(), "the reader takes {what}");
    }
    let extension = serde_json::json!({"kind": "vm", "source": {"box": "a"}, "x-note": 1});
    assert!(validator.is_valid(&extension));
}

/// What the table says of a default is what the canonical form has.
#[test]
fn defaults_are_those_of_the_table() {
    for (files, kind) in [(vm(""), "vm"), (container(""), "container")] {
        let value = canonical(&machine(&files));
        let mut seen = 0;
        for key in schema::TOP.keys.iter().filter(|key| key.only.kind().is_none_or(|only| only.as_str() == kind)) {
            let Some(default) = key.default else { continue };
            let text = format!("kind: {kind}\nsource: {}\n{}: {default}\n", value["source"], key.name);
            assert_eq!(canonical(&machine(&of(text)))[key.name], value[key.name], "{}", key.name);
            seen += 1;
        }
        assert!(seen > 8, "only {seen} defaults were looked at");
    }
}

#[test]
fn every_default_of_the_json_schema_is_one() {
    fn walk(schema: &Value, seen: &mut usize) {
        if let Some(default) = schema.get("default") {
            assert!(jsonschema::draft202012::is_valid(schema, default), "{default} is no {schema:#}");
            *seen += 1;
        }
        let inner = schema.as_object().into_iter().flat_map(|map| map.values()).chain(schema.as_array().into_iter().flatten());
        inner.for_each(|inner| walk(inner, seen));
    }
    let mut seen = 0;
    walk(&schema::json_schema()["properties"], &mut seen);
    assert!(seen > 20, "only {seen} defaults were found");
}
