//! What is mounted into a service's containers.

use serde::Serialize;

use super::{Spanned, Strings};
use crate::problem::Place;

/// One entry of `volumes`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mount {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// Absolute path in the container.
    pub target: String,
    /// Mounted read-only.
    pub read_only: bool,
    /// `consistency`, which only Docker Desktop looks at.
    pub consistency: Option<String>,
    /// What is mounted.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// A path of the bundle, of the stack's folder or of the host.
    Bind(Bind),
    /// A named or an anonymous volume.
    Volume(VolumeMount),
    /// Memory.
    Tmpfs(Tmpfs),
    /// The content of an image.
    Image {
        /// The image.
        source: String,
        /// A path in it.
        subpath: Option<String>,
    },
}

/// A bind mount.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bind {
    /// What is bound.
    pub source: BindSource,
    /// Make a missing host path, as a folder.
    pub create_host_path: bool,
    /// Mount propagation.
    pub propagation: Option<String>,
    /// SELinux relabelling: `z` or `Z`.
    pub selinux: Option<String>,
    /// `enabled`, `disabled`, `writable` or `readonly`.
    pub recursive: Option<String>,
}

/// What a bind mount's source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "in", content = "path")]
pub enum BindSource {
    /// A file or folder of the bundle, by its path there (`""` is the whole bundle).
    Bundle(String),
    /// A folder of the stack that the bundle does not have, by its relative path.
    StackFolder(String),
    /// An absolute path of the host. Policy decides elsewhere.
    Host(String),
}

/// A volume mount.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VolumeMount {
    /// Key of the volume in the project; `None` for an anonymous one.
    pub source: Option<Spanned<String>>,
    /// Do not copy the image's content into a new volume.
    pub nocopy: bool,
    /// A path in the volume.
    pub subpath: Option<String>,
    /// Labels for an anonymous volume.
    pub labels: Strings,
}

/// A tmpfs mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tmpfs {
    /// Size limit in bytes.
    pub size: Option<i64>,
    /// Permissions.
    pub mode: Option<u32>,
}

/// One entry of a service's `configs` or `secrets`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileMount {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// Key of the config or secret in the project.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Owner; `None` is root.
    pub uid: Option<u32>,
    /// Group; `None` is root's.
    pub gid: Option<u32>,
    /// Permissions.
    pub mode: Option<u32>,
}
