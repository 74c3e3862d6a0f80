//! What only a system container has.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// A system container by libvirt's LXC driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Name of the box that its root filesystem is unpacked from, of format rootfs.
    #[serde(rename = "source", serialize_with = "source")]
    pub archive: String,
    /// The first process: an absolute path and its arguments (`<init>`, `<initarg>`).
    pub init: Vec<String>,
    /// Environment of the first process (`<initenv>`).
    pub environment: BTreeMap<String, String>,
    /// Whether root inside is nobody outside (`<idmap>`).
    pub idmap: bool,
}

fn source<S: Serializer>(archive: &str, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map([("archive", archive)])
}
