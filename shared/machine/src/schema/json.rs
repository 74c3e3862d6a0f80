//! The table as a JSON Schema (draft 2020-12), for editors. It knows the keys, the kinds of values, and which kind of machine has
//! which key; what must fit together across the definition only the reader knows.

use orrery_compose::yaml::{self, Data, Node, Scalar};
use serde_json::{Map, Value, json};

use super::{Choice, Form, Key, Object, Only, Shape, TOP, item_of, object_of};
use crate::canonical::sorted;
use crate::model::Kind;

const SIZE: &str = "^[0-9]+([.][0-9]+)? ?([kKmMgGtTpP]([iI]?[bB])?|[bB])?$";
const TIME: &str = "^(0|([0-9]+([.][0-9]+)?(ns|us|µs|ms|s|m|h|d|w))+)$";

/// The JSON Schema of `machine.yaml`.
pub fn json_schema() -> Value {
    let mut schema = object(&TOP);
    set(&mut schema, "$schema", "https://json-schema.org/draft/2020-12/schema".into());
    set(&mut schema, "title", "machine.yaml".into());
    set(&mut schema, "description", "The definition of a machine in Orrery.".into());
    set(&mut schema, "patternProperties", json!({"^x-": true}));
    let kinds = [Kind::Vm, Kind::Container].map(|kind| {
        let is = json!({"properties": {"kind": {"const": kind.as_str()}}, "required": ["kind"]});
        json!({"if": is, "then": denied(&TOP, kind).unwrap_or(Value::Bool(true))})
    });
    set(&mut schema, "allOf", kinds.to_vec().into());
    sorted(schema)
}

fn set(schema: &mut Value, key: &str, value: Value) {
    if let Some(map) = schema.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

fn object(object: &Object) -> Value {
    let properties: Map<String, Value> = object.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !object.required.is_empty() {
        set(&mut schema, "required", object.required.into());
    }
    if let Some(choice) = object.choice {
        exclusive(&mut schema, choice);
    }
    schema
}

fn exclusive(schema: &mut Value, choice: Choice) {
    let required = |key: &&str| json!({"required": [key]});
    let any: Vec<Value> = choice.of.iter().map(required).collect();
    if choice.needed {
        return set(schema, "oneOf", any.into());
    }
    let none = json!({"not": {"anyOf": any.clone()}});
    set(schema, "oneOf", any.into_iter().chain([none]).collect());
}

fn property(key: &Key) -> Value {
    let mut schema = self::shape(key.shape);
    set(&mut schema, "description", key.doc.into());
    if let Some(default) = key.default {
        let written = yaml::read("default", default.as_bytes(), &mut Vec::new());
        set(&mut schema, "default", written.first().map(value).unwrap_or_default());
    }
    schema
}

/// A default as the table has it, in JSON. There are no fractions among them.
fn value(node: &Node) -> Value {
    match &node.data {
        Data::List(items) => items.iter().map(value).collect(),
        Data::Map(map) => Value::Object(map.iter().map(|(key, entry)| (key.clone(), value(&entry.node))).collect()),
        Data::Scalar(Scalar::Bool(truth)) => Value::Bool(*truth),
        Data::Scalar(Scalar::Int(number)) => Value::from(*number),
        Data::Scalar(other) => other.display().map(Value::String).unwrap_or_default(),
    }
}

fn text(form: &Form) -> Value {
    match form.pattern {
        Some(pattern) => json!({"type": "string", "pattern": pattern}),
        None => json!({"type": "string"}),
    }
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Text(form) => text(form),
        Shape::Prose | Shape::File => json!({"type": "string"}),
        Shape::Choice(choices) => json!({"enum": choices}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::True => json!({"const": true}),
        Shape::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Shape::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
        Shape::Bytes(least, most, step) => {
            let number = json!({"type": "integer", "minimum": least, "maximum": most, "multipleOf": step});
            json!({"anyOf": [number, {"type": "string", "pattern": SIZE}]})
        }
        Shape::Time(..) => json!({"type": "string", "pattern": TIME}),
        Shape::Loose => json!({"type": ["string", "number", "boolean"]}),
        Shape::List(inner, most) => json!({"type": "array", "items": self::shape(*inner), "maxItems": most}),
        Shape::Words(form) => json!({"anyOf": [text(form), {"type": "array", "items": text(form), "minItems": 1}]}),
        Shape::Command => json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
        Shape::Map(form, inner) => {
            json!({"type": "object", "propertyNames": text(form), "additionalProperties": self::shape(*inner)})
        }
        Shape::Object(inner) => object(inner),
        Shape::Short(form, inner) => json!({"anyOf": [text(form), object(inner)]}),
    }
}

/// What a kind of machine must not have; `None` when that is nothing.
fn denied(object: &Object, kind: Kind) -> Option<Value> {
    let mut properties = Map::new();
    for key in object.keys {
        if let Only::Kind(only, _) = key.only
            && only != kind
        {
            properties.insert(key.name.to_owned(), Value::Bool(false));
        } else if let Some(inner) = object_of(key.shape).and_then(|inner| denied(inner, kind)) {
            properties.insert(key.name.to_owned(), inner);
        } else if let Some(inner) = item_of(key.shape).and_then(object_of).and_then(|inner| denied(inner, kind)) {
            properties.insert(key.name.to_owned(), json!({"items": inner}));
        }
    }
    (!properties.is_empty()).then(|| json!({"properties": properties}))
}
