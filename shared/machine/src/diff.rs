//! What two machines differ in, for a table that a person reads and for the planner.

use orrery_compose::diff::changes;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use orrery_compose::diff::Change;

use crate::canonical;
use crate::model::{BundleFile, Content, Machine, UserData};

/// What two machines differ in, sorted by path. Disks and users are told apart by their names (`disks.data.size`), other items by
/// their place in the list (`networks[0].address`). Where the order of disks or users differs, that is a change of `disks` or
/// `cloud_init.users`, from names to names. A file of the bundle is its path and the hash of its content.
pub fn diff(old: &Machine, new: &Machine) -> Vec<Change> {
    let (from, to) = (form(old), form(new));
    let mut all = changes(&named(&from), &named(&to));
    for path in ["disks", "cloud_init.users"] {
        all.extend(reordered(path, &from, &to));
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// The canonical form, with the contents of files in it, and sizes as a person writes them.
fn form(machine: &Machine) -> Value {
    let mut value = canonical(machine);
    with_units(&mut value);
    let Some(section) = value.get_mut("cloud_init") else { return value };
    let Some(cloud_init) = machine.cloud_init() else { return value };
    if let (UserData::File { user_data }, Some(slot)) = (&cloud_init.user_data, section.get_mut("user_data")) {
        *slot = hashed(user_data);
    }
    if let (Some(file), Some(slot)) = (&cloud_init.network_data, section.get_mut("network_data")) {
        *slot = hashed(file);
    }
    if let (UserData::Short(short), Some(Value::Array(slots))) = (&cloud_init.user_data, section.get_mut("write_files")) {
        for (written, slot) in short.write_files.iter().zip(slots) {
            if let (Content::File { file }, Some(slot)) = (&written.content, slot.get_mut("file")) {
                *slot = hashed(file);
            }
        }
    }
    value
}

fn with_units(machine: &mut Value) {
    let disks = machine.get_mut("disks").and_then(Value::as_array_mut).into_iter().flatten();
    disks.filter_map(|disk| disk.get_mut("size")).for_each(with_unit);
    machine.get_mut("memory").into_iter().for_each(with_unit);
}

/// Bytes in the largest unit of which they are a whole number: `96MiB`.
fn with_unit(size: &mut Value) {
    let Some(bytes) = size.as_u64().filter(|bytes| *bytes > 0) else { return };
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let (shift, unit) = units.into_iter().find(|(shift, _)| bytes.trailing_zeros() >= *shift).unwrap_or((0, "B"));
    *size = Value::String(format!("{}{unit}", bytes >> shift));
}

fn hashed(file: &BundleFile) -> Value {
    let digest: String = Sha256::digest(&file.content).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Value::String(format!("{} (sha256 {digest}…)", file.path))
}

/// Lists of things with names as mappings.
fn named(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), keyed(key, value))).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => value.clone(),
    }
}

fn keyed(key: &str, value: &Value) -> Value {
    match value {
        Value::Array(items) if matches!(key, "disks" | "users") => Value::Object(items.iter().filter_map(by_name).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => named(value),
    }
}

fn by_name(item: &Value) -> Option<(String, Value)> {
    let map = item.as_object()?;
    let rest: Map<String, Value> = map.iter().filter(|(key, _)| *key != "name").map(|(key, value)| (key.clone(), value.clone())).collect();
    Some((map.get("name")?.as_str()?.to_owned(), Value::Object(rest)))
}

/// The change of the order of those that are in both.
fn reordered(path: &str, from: &Value, to: &Value) -> Option<Change> {
    let (from, to) = (names(path, from), names(path, to));
    let common = |names: &[String], other: &[String]| names.iter().filter(|name| other.contains(name)).cloned().collect::<Vec<_>>();
    let (before, after) = (common(&from, &to), common(&to, &from));
    (before != after).then(|| Change { path: path.to_owned(), from: Some(before.into()), to: Some(after.into()) })
}

fn names(path: &str, value: &Value) -> Vec<String> {
    let list = path.split('.').try_fold(value, |value, key| value.get(key)).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|item| Some(item.get("name")?.as_str()?.to_owned())).collect()
}
