//! What a change of a key means for a machine that exists.

use std::fmt;

use super::{Key, Shape, TOP, item_of, object_of};

/// When a change of a key applies. The order is the order of what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Applies {
    /// At once, while it runs.
    Live,
    /// When it starts the next time.
    NextBoot,
    /// Only with a new disk or root filesystem: what was on the old one is lost.
    NewDisk,
    /// Never: it takes another machine.
    Never,
}

impl Applies {
    /// The words of the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NextBoot => "next boot",
            Self::NewDisk => "new disk",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for Applies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When a change at a path applies, such as `disks.data.size` or `networks[0].address` of a [`crate::Change`]: what the
/// table says of the deepest key on the path. A path that leads nowhere never applies. A forward of passt is the exception that
/// the table cannot tell: it stands in the definition of the domain, and changes at the next boot.
pub fn applies_to(path: &str) -> Applies {
    walk(path).0
}

/// The keys that may stand at a path, for an editor that completes them; none where the author chooses them.
pub fn keys_at(path: &str) -> &'static [Key] {
    walk(path).1.and_then(object_of).map(|object| object.keys).unwrap_or_default()
}

/// What the deepest known key on a path says, and what may stand at the path's end, if that is known.
fn walk(path: &str) -> (Applies, Option<Shape>) {
    let plain = path.replace('[', ".[");
    let mut shape = Shape::Object(&TOP);
    let mut applies = Applies::Never;
    for part in plain.split('.').filter(|part| !part.is_empty()) {
        if let Some(object) = object_of(shape) {
            let Some(key) = object.key(part) else { return (applies, None) };
            (shape, applies) = (key.shape, key.applies);
        } else if let Some(inner) = item_of(shape) {
            shape = inner;
        } else {
            return (applies, None);
        }
    }
    (applies, Some(shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_depth_has_its_answer() {
        for (path, applies) in [
            ("description", Applies::Live),
            ("labels.team", Applies::Live),
            ("memory", Applies::NextBoot),
            ("disks", Applies::NextBoot),
            ("disks.data", Applies::NextBoot),
            ("disks.data.size", Applies::Live),
            ("networks[0].address", Applies::NextBoot),
            ("networks[0]", Applies::NextBoot),
            ("ports[3].host", Applies::Live),
            ("source.box", Applies::NewDisk),
            ("source", Applies::NewDisk),
            ("cloud_init.users.anna.sudo", Applies::NextBoot),
            ("kind", Applies::Never),
            ("", Applies::Never),
            ("nothing", Applies::Never),
        ] {
            assert_eq!(applies_to(path), applies, "{path}");
        }
    }

    #[test]
    fn keys_are_known_at_every_depth() {
        let names = |path: &str| keys_at(path).iter().map(|key| key.name).collect::<Vec<_>>();
        assert!(names("").contains(&"memory"));
        assert!(names("disks[0]").contains(&"bus"));
        assert!(names("disks.data").contains(&"bus"));
        assert!(names("ports[1]").contains(&"guest"));
        assert!(names("cloud_init.users[0]").contains(&"sudo"));
        for path in ["disks", "labels", "labels.a", "memory", "nothing.at.all"] {
            assert!(names(path).is_empty(), "{path}");
        }
    }

    #[test]
    fn what_costs_more_is_greater() {
        assert!(Applies::Live < Applies::NextBoot && Applies::NextBoot < Applies::NewDisk && Applies::NewDisk < Applies::Never);
    }
}
