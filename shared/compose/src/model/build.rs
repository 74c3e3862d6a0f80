//! How a service's image is built.

use serde::Serialize;

use super::{Spanned, Strings, Ulimit};
use crate::problem::Place;

/// `build` of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Build {
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
    /// The context: a folder of the bundle, by its path there (`""` is the bundle itself).
    pub context: Spanned<String>,
    /// The Dockerfile, by its path in the bundle. `None` when it is inline.
    pub dockerfile: Option<Spanned<String>>,
    /// A Dockerfile written in the definition.
    pub dockerfile_inline: Option<Spanned<String>>,
    /// Build arguments. `None` takes the value of the builder's environment, which is empty here.
    pub args: std::collections::BTreeMap<String, Option<String>>,
    /// The stage to build.
    pub target: Option<String>,
    /// Labels of the image.
    pub labels: Strings,
    /// Further names for the image.
    pub tags: Vec<String>,
    /// Images to take layers from.
    pub cache_from: Vec<String>,
    /// Use no cache.
    pub no_cache: bool,
    /// Pull base images even when they are here.
    pub pull: bool,
    /// Network of the `RUN` instructions.
    pub network: Option<String>,
    /// `host:address` entries for the `RUN` instructions.
    pub extra_hosts: Vec<(String, String)>,
    /// Size of `/dev/shm` during the build, in bytes.
    pub shm_size: Option<i64>,
    /// Limits during the build.
    pub ulimits: std::collections::BTreeMap<String, Ulimit>,
    /// Isolation technology (Windows).
    pub isolation: Option<String>,
    /// Platforms to build for.
    pub platforms: Vec<String>,
}
