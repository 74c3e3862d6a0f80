//! The keys that may stand at a place, for an editor that completes them.

use super::{Class, Object, Shape, TOP};

/// A key and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// Its name.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// What it does here.
    pub class: Class,
}

/// The keys that may stand under a path such as `services.web.build`; empty where the author chooses them.
pub fn keys_at(path: &str) -> Vec<KeyDoc> {
    let plain = path.replace('[', ".[");
    let mut shape = Shape::Object(&TOP);
    for part in plain.split('.').filter(|part| !part.is_empty()) {
        match step(shape, part) {
            Some(next) => shape = next,
            None => return Vec::new(),
        }
    }
    object_of(shape)
        .map(|object| object.keys.iter().map(|key| KeyDoc { name: key.name, doc: key.doc, class: key.class }).collect())
        .unwrap_or_default()
}

/// The mapping with known keys that a shape allows, if it does.
pub(super) fn object_of(shape: Shape) -> Option<&'static Object> {
    if let Shape::Short(inner) | Shape::ShortOrNumber(inner) | Shape::OrNull(inner) = shape {
        return object_of(*inner);
    }
    if let Shape::Object(object) = shape { Some(object) } else { None }
}

/// What the items of a list look like, where a shape allows a list of them.
pub(super) fn item_of(shape: Shape) -> Option<Shape> {
    if let Shape::OrNull(inner) = shape {
        return item_of(*inner);
    }
    if let Shape::List(inner) | Shape::ShortOrList(inner) = shape { Some(*inner) } else { None }
}

/// What the values look like under keys of the author's choice.
pub(super) fn named_of(shape: Shape) -> Option<Shape> {
    if let Shape::OrNull(inner) = shape {
        return named_of(*inner);
    }
    if let Shape::Map(inner) | Shape::Named(inner) = shape { Some(*inner) } else { None }
}

fn step(shape: Shape, part: &str) -> Option<Shape> {
    if let Some(object) = object_of(shape) {
        return object.key(part).map(|key| key.shape);
    }
    if let Shape::Map(inner) | Shape::Named(inner) = shape {
        return Some(*inner);
    }
    if let Shape::OrNull(inner) = shape {
        return step(*inner, part);
    }
    if let Shape::List(inner) | Shape::ShortOrList(inner) = shape {
        return part.starts_with('[').then_some(*inner);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_at_every_depth() {
        let names = |path: &str| keys_at(path).iter().map(|key| key.name).collect::<Vec<_>>();
        assert!(names("").contains(&"services"));
        assert!(names("services.web").contains(&"ports"));
        assert!(names("services.web.ports[0]").contains(&"published"));
        assert!(names("services.web.build").contains(&"context"));
        assert!(names("services.web.deploy.resources.limits").contains(&"memory"));
        assert!(names("services.web.networks.back").contains(&"aliases"));
        assert!(names("networks.back.ipam.config[1]").contains(&"subnet"));
        assert!(names("services").is_empty());
        assert!(names("services.web.environment").is_empty());
        assert!(names("nothing.at.all").is_empty());
    }
}
