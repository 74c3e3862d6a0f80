//! A node of the definition together with its path: what the rules and the decoder read from.

use orrery_compose::Place;
use orrery_compose::yaml::{Node, Scalar, Span, child, item};

/// A node, its path, and where its key is written.
#[derive(Clone)]
pub(crate) struct At<'n> {
    pub(crate) node: &'n Node,
    pub(crate) path: String,
    key: &'n Span,
}

impl<'n> At<'n> {
    pub(crate) fn root(node: &'n Node) -> Self {
        Self { node, path: String::new(), key: &node.span }
    }

    /// Where the value is written.
    pub(crate) fn place(&self) -> Place {
        self.node.span.at(self.path.as_str())
    }

    /// Where its key is written; the value's place for items of lists.
    pub(crate) fn key_place(&self) -> Place {
        self.key.at(self.path.as_str())
    }

    /// The value of a key, when it is there.
    pub(crate) fn get(&self, key: &str) -> Option<At<'n>> {
        let entry = self.node.as_map()?.get(key)?;
        Some(At { node: &entry.node, path: child(&self.path, key), key: &entry.key })
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Vec<At<'n>> {
        let items = self.node.as_list().unwrap_or_default();
        items.iter().enumerate().map(|(index, node)| At { node, path: item(&self.path, index), key: &node.span }).collect()
    }

    /// The items of the list under a key; none when it is missing.
    pub(crate) fn list(&self, key: &str) -> Vec<At<'n>> {
        self.get(key).map(|list| list.items()).unwrap_or_default()
    }

    /// The entries of a mapping.
    pub(crate) fn entries(&self) -> Vec<(&'n str, At<'n>)> {
        let entries = self.node.as_map().into_iter().flatten();
        entries.map(|(key, entry)| (key.as_str(), At { node: &entry.node, path: child(&self.path, key), key: &entry.key })).collect()
    }

    pub(crate) fn text(&self) -> Option<&'n str> {
        self.node.as_text()
    }

    /// The text under a key.
    pub(crate) fn text_of(&self, key: &str) -> Option<&'n str> {
        self.node.get(key)?.as_text()
    }

    /// The truth value under a key.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.node.get(key)?.as_scalar()? {
            Scalar::Bool(value) => Some(*value),
            Scalar::Null | Scalar::Int(_) | Scalar::Big(_) | Scalar::Float(_) | Scalar::Date(_) | Scalar::Text(_) => None,
        }
    }

    pub(crate) fn whole(&self) -> Option<i64> {
        match self.node.as_scalar()? {
            Scalar::Int(value) => Some(*value),
            Scalar::Null | Scalar::Bool(_) | Scalar::Big(_) | Scalar::Float(_) | Scalar::Date(_) | Scalar::Text(_) => None,
        }
    }
}
