//! A node together with its path: what the decoders read from.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::canonical;
use crate::model::{Spanned, Strings};
use crate::normalize::is_true;
use crate::problem::Place;
use crate::units;
use crate::yaml::{Node, child, item};

/// A node and its path.
#[derive(Clone)]
pub(super) struct Cursor<'n> {
    pub(super) node: &'n Node,
    pub(super) path: String,
}

impl<'n> Cursor<'n> {
    pub(super) fn new(node: &'n Node, path: impl Into<String>) -> Self {
        Self { node, path: path.into() }
    }

    /// The value of a key, unless it is missing or empty.
    pub(super) fn get(&self, key: &str) -> Option<Cursor<'n>> {
        let node = self.node.get(key).filter(|node| !node.is_null())?;
        Some(Cursor::new(node, child(&self.path, key)))
    }

    pub(super) fn place(&self) -> Place {
        self.node.span.at(self.path.as_str())
    }

    /// Where a key of this mapping is written.
    pub(super) fn key_place(&self, key: &str) -> Place {
        let span = self.node.as_map().and_then(|map| map.get(key)).map_or(&self.node.span, |entry| &entry.key);
        span.at(child(&self.path, key))
    }

    pub(super) fn items(&self) -> Vec<Cursor<'n>> {
        let items = self.node.as_list().unwrap_or_default();
        items.iter().enumerate().map(|(index, node)| Cursor::new(node, item(&self.path, index))).collect()
    }

    pub(super) fn entries(&self) -> Vec<(&'n str, Cursor<'n>)> {
        let map = self.node.as_map().into_iter().flatten();
        map.map(|(key, entry)| (key.as_str(), Cursor::new(&entry.node, child(&self.path, key)))).collect()
    }

    pub(super) fn show(&self) -> Option<String> {
        self.node.display()
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.show().filter(|text| !text.is_empty())
    }

    pub(super) fn spanned(&self, key: &str) -> Option<Spanned<String>> {
        let value = self.get(key)?;
        Some(Spanned::new(value.show().filter(|text| !text.is_empty())?, value.place()))
    }

    pub(super) fn int(&self, key: &str) -> Option<i64> {
        self.get(key)?.node.as_scalar().and_then(units::whole)
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.get(key)?.node.as_scalar().and_then(units::number)
    }

    pub(super) fn bytes(&self, key: &str) -> Option<i64> {
        self.get(key)?.node.as_scalar().and_then(units::bytes)
    }

    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        self.get(key)?.node.as_text().and_then(units::duration)
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| is_true(value.node))
    }

    pub(super) fn maybe(&self, key: &str) -> Option<bool> {
        self.get(key).map(|value| is_true(value.node))
    }

    /// A list of texts; one text is a list of one.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        self.spanned_texts(key).into_iter().map(|text| text.value).collect()
    }

    pub(super) fn spanned_texts(&self, key: &str) -> Vec<Spanned<String>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let items = if value.node.as_list().is_some() { value.items() } else { vec![value] };
        items.into_iter().filter_map(|item| Some(Spanned::new(item.show()?, item.place()))).collect()
    }

    /// A mapping of texts, or a list of `KEY=VALUE`.
    pub(super) fn strings(&self, key: &str) -> Strings {
        let Some(value) = self.get(key) else { return Strings::new() };
        canonical::entries(value.node).into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
    }

    pub(super) fn optional_strings(&self, key: &str) -> BTreeMap<String, Option<String>> {
        self.get(key).map(|value| canonical::entries(value.node).into_iter().collect()).unwrap_or_default()
    }

    pub(super) fn hosts(&self, key: &str) -> Vec<(String, String)> {
        self.get(key).map(|value| canonical::hosts(value.node)).unwrap_or_default()
    }

    /// A command: nothing, a text split into words, or a list.
    pub(super) fn command(&self, key: &str) -> Option<Vec<String>> {
        let value = self.get(key)?;
        match value.node.as_text() {
            Some(text) => units::words(text).map(|(words, _)| words),
            None => Some(value.items().iter().filter_map(Cursor::show).collect()),
        }
    }
}
