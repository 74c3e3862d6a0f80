//! What PostgreSQL can keep: text and JSON have no character of code zero there. Anything a publisher wrote goes through
//! here before it becomes a column; the raw copy keeps the bytes.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

const NUL: char = '\0';
const STAND_IN: &str = "\u{fffd}";

/// The text, with a stand-in for each character that a column cannot hold.
#[must_use]
pub fn storable(text: &str) -> Cow<'_, str> {
    if text.contains(NUL) { Cow::Owned(text.replace(NUL, STAND_IN)) } else { Cow::Borrowed(text) }
}

/// The same for an optional text.
#[must_use]
pub fn storable_option(text: Option<&str>) -> Option<String> {
    text.map(|text| storable(text).into_owned())
}

/// The value as JSON that a column can hold.
#[must_use]
pub fn storable_json<T: Serialize>(value: &T) -> Value {
    clean(serde_json::to_value(value).unwrap_or(Value::Null))
}

fn clean(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(storable(&text).into_owned()),
        Value::Array(items) => Value::Array(items.into_iter().map(clean).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (storable(&key).into_owned(), clean(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_character_gets_a_stand_in_wherever_it_hides() {
        let value = serde_json::json!({"a\u{0}": ["b\u{0}", 1, null, {"c": "\u{0}"}]});
        assert_eq!(storable_json(&value), serde_json::json!({"a\u{fffd}": ["b\u{fffd}", 1, null, {"c": "\u{fffd}"}]}));
        assert_eq!(storable("plain"), "plain");
    }
}
