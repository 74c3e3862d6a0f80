//! YAML as Compose reads it: a tree of values with places, aliases and merge keys resolved.
//!
//! Every node knows where it is written. The tree is bounded in nodes, depth and text, whatever
//! the input. Nothing here knows a key of Compose.

mod read;
mod scalar;

use std::sync::Arc;

use indexmap::IndexMap;

pub use read::{MAX_BYTES, MAX_DEPTH, MAX_NODES, read};
pub use scalar::{Scalar, go_float};

use crate::problem::Place;

/// A range of a file. Lines and columns count from 1; the end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Path of the file in the bundle.
    pub file: Arc<str>,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column behind the last character.
    pub end_column: u32,
}

impl Span {
    /// The beginning of a file.
    pub fn start_of(file: &Arc<str>) -> Self {
        Self { file: file.clone(), line: 1, column: 1, end_line: 1, end_column: 1 }
    }

    /// The place of the value that has this path.
    pub fn at(&self, path: impl Into<Arc<str>>) -> Place {
        Place {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            end_line: self.end_line,
            end_column: self.end_column,
            path: path.into(),
        }
    }
}

/// What a tag asks of the merge of several files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// `!reset`: forget what earlier files said.
    Reset,
    /// `!override`: replace what earlier files said.
    Override,
}

/// A value and where it is written.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where.
    pub span: Span,
    /// What.
    pub data: Data,
    /// What its tag asks of a merge.
    pub directive: Option<Directive>,
    /// The text of a plain scalar whose meaning differs from its text, such as `0755`.
    pub source: Option<Box<str>>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Map),
}

/// The entries of a mapping.
pub type Map = IndexMap<String, Entry>;

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where its key is written.
    pub key: Span,
    /// Its value.
    pub node: Node,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Node {
    /// A node at a span.
    pub fn new(span: Span, data: Data) -> Self {
        Self { span, data, directive: None, source: None }
    }

    /// A text at a span.
    pub fn text(span: Span, text: impl Into<String>) -> Self {
        Self::new(span, Data::Scalar(Scalar::Text(text.into())))
    }

    /// A null at a span.
    pub fn null(span: Span) -> Self {
        Self::new(span, Data::Scalar(Scalar::Null))
    }

    /// A truth value at a span.
    pub fn bool(span: Span, value: bool) -> Self {
        Self::new(span, Data::Scalar(Scalar::Bool(value)))
    }

    /// An empty mapping at a span.
    pub fn empty_map(span: Span) -> Self {
        Self::new(span, Data::Map(Map::new()))
    }

    /// The entries, when it is a mapping.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.data {
            Data::Map(map) => Some(map),
            Data::Scalar(_) | Data::List(_) => None,
        }
    }

    /// The entries, when it is a mapping.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.data {
            Data::Map(map) => Some(map),
            Data::Scalar(_) | Data::List(_) => None,
        }
    }

    /// The items, when it is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            Data::Scalar(_) | Data::Map(_) => None,
        }
    }

    /// The items, when it is a list.
    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.data {
            Data::List(items) => Some(items),
            Data::Scalar(_) | Data::Map(_) => None,
        }
    }

    /// The single value, when it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(scalar) => Some(scalar),
            Data::List(_) | Data::Map(_) => None,
        }
    }

    /// The text, when it is a text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(Scalar::Text(text)) => Some(text),
            Data::Scalar(_) | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// A single value as text; `None` for null, lists and mappings.
    pub fn display(&self) -> Option<String> {
        self.as_scalar().and_then(Scalar::display)
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Scalar(Scalar::Null))
    }

    /// The value of a key, when it is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key).map(|entry| &entry.node)
    }

    /// The value of a key, when it is a mapping that has it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.as_map_mut()?.get_mut(key).map(|entry| &mut entry.node)
    }

    /// Sets a key of a mapping; its key is placed where the value is.
    pub fn set(&mut self, key: &str, node: Node) {
        if let Some(map) = self.as_map_mut() {
            map.insert(key.to_owned(), Entry { key: node.span.clone(), node });
        }
    }

    /// Removes a key of a mapping.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.as_map_mut()?.shift_remove(key).map(|entry| entry.node)
    }

    /// What it is, for a message.
    pub fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar(scalar) => scalar.kind(),
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// How many nodes it has, itself included.
    pub fn count(&self) -> usize {
        match &self.data {
            Data::Scalar(_) => 1,
            Data::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Data::Map(map) => 1 + map.values().map(|entry| entry.node.count()).sum::<usize>(),
        }
    }

    /// How many bytes of text it has, keys included.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::Scalar(Scalar::Text(text)) => text.len(),
            Data::Scalar(_) => 8,
            Data::List(items) => items.iter().map(Node::bytes).sum(),
            Data::Map(map) => map.iter().map(|(key, entry)| key.len() + entry.node.bytes()).sum(),
        }
    }
}

/// The path of a key under a path.
pub fn child(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The path of an item under a path.
pub fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}
