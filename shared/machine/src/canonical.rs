//! The canonical form: the definition that one would have written for a machine with every default filled in.

use serde_json::{Map, Value};

use crate::model::Machine;

/// The canonical form of a machine, its keys in alphabetical order. It is a definition: written to a file beside the files that
/// it names, it reads as the same machine. Sizes are in bytes, times as `1m30s`.
pub fn canonical(machine: &Machine) -> Value {
    // Every key of the model is a text and no number of it is infinite, so that this cannot fail.
    sorted(serde_json::to_value(machine).unwrap_or_default())
}

/// The same value with the keys of its mappings in order, whatever order the crate's features give them.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
