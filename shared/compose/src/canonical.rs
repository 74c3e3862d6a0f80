//! The canonical form: what `docker compose config --format json` prints for a definition.
//!
//! It is made from the normalised tree and the table of keys, so that every key appears, those
//! that Orrery refuses among them.

use serde_json::{Map as JsonMap, Number, Value};

use crate::schema::{Emit, Object, Shape, TOP};
use crate::units;
use crate::yaml::{Data, Map, Node, Scalar};

/// The canonical form of a normalised tree whose paths are absolute.
pub(crate) fn canonical(tree: &Node, project: &str) -> Value {
    let mut out = JsonMap::new();
    out.insert("name".to_owned(), Value::String(project.to_owned()));
    for section in ["services", "networks", "volumes", "secrets", "configs"] {
        let shape = TOP.key(section).map_or(Shape::Any, |key| key.shape);
        let value = tree.get(section).map_or(Value::Object(JsonMap::new()), |node| emit(node, shape));
        if section == "services" || !is_zero(&value) {
            out.insert(section.to_owned(), value);
        }
    }
    for (key, entry) in tree.as_map().into_iter().flatten().filter(|(key, _)| key.starts_with("x-")) {
        out.insert(key.clone(), plain(&entry.node));
    }
    let mut out = Value::Object(out);
    escape(&mut out);
    out
}

/// Dollar signs are doubled, so that the form can be read again.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('$') => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(map) => {
            if map.keys().any(|key| key.contains('$')) {
                *map = std::mem::take(map).into_iter().map(|(key, value)| (key.replace('$', "$$"), value)).collect();
            }
            map.values_mut().for_each(escape);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn object(node: &Node, object: &Object) -> Value {
    let mut out = JsonMap::new();
    for key in object.keys {
        let value = node.get(key.name);
        let value = match (key.emit, value) {
            (Emit::Never, _) | (Emit::Filled | Emit::Written, None) => continue,
            (Emit::Always, None) => nothing(key.shape),
            (Emit::Always, Some(node)) => emit(node, key.shape),
            (Emit::Written, Some(node)) if node.is_null() => continue,
            (Emit::Written, Some(node)) => emit(node, key.shape),
            (Emit::Filled, Some(node)) => {
                let value = emit(node, key.shape);
                let structure = is_struct(key.shape) && !node.is_null();
                if (is_zero(&value) && !structure) || is_zero_text(key.shape, &value) {
                    continue;
                }
                value
            }
        };
        out.insert(json_name(object, key.name), value);
    }
    Value::Object(out)
}

/// Two of Compose's own types have no names for their JSON.
fn json_name(object: &Object, name: &str) -> String {
    if !matches!(object.what, "a rate" | "a weight") {
        return name.to_owned();
    }
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// What a key that is always there looks like when nobody wrote it.
fn nothing(shape: Shape) -> Value {
    if let Shape::Object(inner) = shape {
        return object(&Node::empty_map(crate::yaml::Span::start_of(&"".into())), inner);
    }
    if matches!(shape, Shape::Bool) {
        Value::Bool(false)
    } else if matches!(shape, Shape::Int) {
        Value::from(0)
    } else if matches!(shape, Shape::Bytes) {
        Value::from("0")
    } else if matches!(shape, Shape::Text) {
        Value::from("")
    } else {
        Value::Null
    }
}

/// Whether Compose keeps it as a structure of its own, which appears even when it is empty.
fn is_struct(shape: Shape) -> bool {
    if let Shape::Short(inner) | Shape::ShortOrNumber(inner) | Shape::OrNull(inner) = shape {
        return is_struct(*inner);
    }
    matches!(shape, Shape::Object(_))
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn is_zero_text(shape: Shape, value: &Value) -> bool {
    matches!(shape, Shape::Bytes | Shape::Size) && value == "0" || matches!(shape, Shape::Duration) && value == "0s"
}

fn emit(node: &Node, shape: Shape) -> Value {
    let scalar = node.as_scalar();
    match shape {
        Shape::Object(inner) => object(node, inner),
        Shape::OrNull(inner) => {
            if node.is_null() {
                Value::Null
            } else {
                emit(node, *inner)
            }
        }
        Shape::Short(inner) | Shape::ShortOrNumber(inner) => emit(node, *inner),
        Shape::List(inner) | Shape::ShortOrList(inner) => list(node, |node| emit(node, *inner)),
        Shape::Map(inner) | Shape::Named(inner) => map(node, |_, node| emit(node, *inner)),
        Shape::Text | Shape::Choice(_) | Shape::Path | Shape::Context | Shape::BoolText | Shape::Loose | Shape::HostPort => {
            Value::String(node.display().unwrap_or_default())
        }
        Shape::Bool | Shape::Flag | Shape::External => Value::Bool(crate::normalize::is_true(node)),
        Shape::Int => scalar.and_then(units::int).map_or(Value::Null, Value::from),
        Shape::Count => match node.as_text() {
            Some(text) if text.eq_ignore_ascii_case("all") => Value::from(-1),
            Some(_) | None => scalar.and_then(units::int).map_or(Value::Null, Value::from),
        },
        Shape::Number | Shape::Bare => scalar.and_then(units::whole).map_or(Value::Null, Value::from),
        Shape::Single => scalar.and_then(units::number).map_or(Value::Null, single),
        Shape::Bytes | Shape::Size => scalar.and_then(units::bytes).map_or(Value::Null, |size| Value::String(size.to_string())),
        Shape::Duration => {
            let text = node.as_text().unwrap_or_default();
            let (sign, text) = text.strip_prefix('-').map_or(("", text), |text| ("-", text));
            let time = units::duration(text).map(units::go_duration);
            time.map_or(Value::Null, |time| Value::String(format!("{sign}{time}")))
        }
        Shape::Mode => scalar.and_then(units::mode).map_or(Value::Null, |mode| Value::String(format!("0{mode:o}"))),
        Shape::Texts | Shape::TextOrTexts | Shape::Looses => texts(node),
        Shape::Command => match node.as_text() {
            Some(text) => units::words(text).map_or(Value::Null, |(words, _)| Value::from(words)),
            None if node.is_null() => Value::Null,
            None => texts(node),
        },
        Shape::HealthTest => match node.as_text() {
            Some(text) => Value::from(vec!["CMD-SHELL".to_owned(), text.to_owned()]),
            None => texts(node),
        },
        Shape::Environment => pairs(node, |value| value.map_or(Value::Null, Value::String)),
        Shape::Repeated => map(node, |_, node| texts(node)),
        Shape::Pairs | Shape::Contexts | Shape::Options | Shape::Settings => pairs(node, |value| Value::String(value.unwrap_or_default())),
        Shape::Hosts => Value::from(hosts(node).into_iter().map(|(host, address)| format!("{host}={address}")).collect::<Vec<_>>()),
        Shape::Ssh => map_items(node, |key, value| value.display().map_or(key.to_owned(), |value| format!("{key}: {value}"))),
        Shape::Ulimit => ulimit(node),
        Shape::Any => plain(node),
    }
}

fn list(node: &Node, each: impl Fn(&Node) -> Value) -> Value {
    Value::Array(node.as_list().unwrap_or_default().iter().map(each).collect())
}

fn map(node: &Node, each: impl Fn(&str, &Node) -> Value) -> Value {
    let entries = node.as_map().into_iter().flatten();
    Value::Object(entries.map(|(key, entry)| (key.clone(), each(key, &entry.node))).collect())
}

fn map_items(node: &Node, each: impl Fn(&str, &Node) -> String) -> Value {
    let entries = node.as_map().into_iter().flatten();
    Value::Array(entries.map(|(key, entry)| Value::String(each(key, &entry.node))).collect())
}

fn texts(node: &Node) -> Value {
    match &node.data {
        Data::List(items) => Value::Array(items.iter().map(|item| Value::String(item.display().unwrap_or_default())).collect()),
        Data::Scalar(Scalar::Null) | Data::Map(_) => Value::Array(Vec::new()),
        Data::Scalar(_) => Value::from(vec![node.display().unwrap_or_default()]),
    }
}

/// A mapping, or a list of `KEY=VALUE`.
fn pairs(node: &Node, each: impl Fn(Option<String>) -> Value) -> Value {
    let mut out = JsonMap::new();
    for (key, value) in entries(node) {
        out.insert(key, each(value));
    }
    Value::Object(out)
}

/// The pairs of a mapping or of a list of `KEY=VALUE`.
pub(crate) fn entries(node: &Node) -> Vec<(String, Option<String>)> {
    match &node.data {
        Data::Map(map) => map.iter().map(|(key, entry)| (key.clone(), entry.node.display())).collect(),
        Data::List(items) => items
            .iter()
            .filter_map(Node::display)
            .map(|text| match text.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (text, None),
            })
            .collect(),
        Data::Scalar(_) => Vec::new(),
    }
}

/// Hosts and their addresses, sorted as Compose sorts them.
pub(crate) fn hosts(node: &Node) -> Vec<(String, String)> {
    let mut hosts: Vec<(String, String)> = Vec::new();
    match &node.data {
        Data::Map(map) => {
            for (host, entry) in map {
                for address in addresses(&entry.node) {
                    hosts.push((host.clone(), address));
                }
            }
        }
        Data::List(items) => {
            for text in items.iter().filter_map(Node::display) {
                if let Some((host, addresses)) = text.split_once('=').or_else(|| text.split_once(':')) {
                    hosts.extend(addresses.split(',').map(|address| (host.to_owned(), address.to_owned())));
                }
            }
        }
        Data::Scalar(_) => {}
    }
    for (_, address) in &mut hosts {
        if let Some(bare) = address.strip_prefix('[').and_then(|bare| bare.strip_suffix(']')).filter(|bare| !bare.is_empty()) {
            *address = bare.to_owned();
        }
    }
    hosts.sort_by_key(|(host, address)| format!("{host}={address}"));
    hosts
}

fn addresses(node: &Node) -> Vec<String> {
    match node.as_list() {
        Some(items) => items.iter().filter_map(Node::display).collect(),
        None => vec![node.display().unwrap_or_default()],
    }
}

fn ulimit(node: &Node) -> Value {
    let of = |node: &Node| node.as_scalar().and_then(units::int).unwrap_or_default();
    if node.as_map().is_none() {
        let single = of(node);
        return if single == 0 { Value::Object(JsonMap::new()) } else { Value::from(single) };
    }
    let fields = ["soft", "hard"].into_iter().filter_map(|key| node.get(key).map(|node| (key.to_owned(), of(node))));
    Value::Object(fields.filter(|(_, value)| *value != 0).map(|(key, value)| (key, Value::from(value))).collect())
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A number in single precision, as short as that allows.
fn single(value: f64) -> Value {
    #[allow(clippy::cast_possible_truncation)]
    let text = (value as f32).to_string();
    text.parse().map_or(Value::Null, number)
}

/// A date as Go prints it: with the time of its beginning.
fn moment(text: &str) -> String {
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [year, month, day] if !text.contains([':', ' ', 'T', 't']) => format!("{year}-{month:0>2}-{day:0>2}T00:00:00Z"),
        _ => text.to_owned(),
    }
}

/// A tree as it is.
fn plain(node: &Node) -> Value {
    match &node.data {
        Data::Scalar(Scalar::Null) => Value::Null,
        Data::Scalar(Scalar::Bool(value)) => Value::Bool(*value),
        Data::Scalar(Scalar::Int(value)) => Value::from(*value),
        Data::Scalar(Scalar::Big(value)) => Value::from(*value),
        Data::Scalar(Scalar::Float(value)) => number(*value),
        Data::Scalar(Scalar::Date(text)) => Value::String(moment(text)),
        Data::Scalar(Scalar::Text(text)) => Value::String(text.clone()),
        Data::List(items) => Value::Array(items.iter().map(plain).collect()),
        Data::Map(map) => plain_map(map),
    }
}

fn plain_map(map: &Map) -> Value {
    Value::Object(map.iter().map(|(key, entry)| (key.clone(), plain(&entry.node))).collect())
}
