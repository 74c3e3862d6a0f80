//! Reads: SQL over the read model, one file an aggregate, with the handlers that answer it.
//!
//! What a caller may see is part of each statement, never a check afterwards. Nothing is written here.

pub mod boxes;
pub mod bundles;
pub mod commands;
pub mod compose_check;
pub mod containers;
pub mod diff;
pub mod figures;
pub mod hosts;
pub(crate) mod line;
pub mod machines;
pub mod named;
pub mod plans;
pub mod queue;
pub mod screenshots;
pub mod secrets;
pub mod stacks;
pub mod steps;
pub mod versions;

use orrery_contracts::rest::List;
use serde::de::DeserializeOwned;

use crate::problems::{Answer, Refusal};

/// A page of `limit` items out of one more than that, with where the next one begins.
pub(crate) fn page<T>(mut items: Vec<T>, limit: i64, key: impl Fn(&T) -> String) -> List<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(key);
    List { items, next }
}

/// A number that the database keeps as a bigint; what cannot be one of ours becomes the nearest that can.
pub(crate) fn small(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// A sequence that the database keeps as a bigint.
pub(crate) fn sequence(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A sequence as the database keeps it.
pub(crate) fn stored(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A value that the projector wrote as JSON, or a word that serde reads.
pub(crate) fn read<T: DeserializeOwned>(what: &str, value: serde_json::Value) -> Answer<T> {
    serde_json::from_value(value).map_err(|error| Refusal::internal(&format!("reading {what} of the read model"), &error))
}

/// A word that the projector wrote.
pub(crate) fn word<T: DeserializeOwned>(what: &str, value: String) -> Answer<T> {
    read(what, serde_json::Value::String(value))
}
