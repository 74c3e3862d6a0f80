//! What is asked for, with its payload checked: one enum for each kind of thing, so that an executor meets its own alone.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::payload::{
    Apply, BoxImport, Create, MachineDelete, MachineShutdown, NoFields, Rollback, SecretPut, SecretRemove, SnapshotCreate, SnapshotName,
    StackDelete, VersionCreate,
};
use super::{CommandType, Rejection};
use crate::bundle::Bundle;
use crate::ids::{Digest, SecretName};
use crate::secret::Sealed;

/// The longest name of a snapshot, in characters.
const LONGEST_SNAPSHOT: usize = 63;

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Of a stack.
    Stack(StackAction),
    /// Of a machine.
    Machine(MachineAction),
    /// Of a box.
    Box(BoxAction),
}

/// Where the files of a new version come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleSource {
    /// In the command itself.
    Inline(Bundle),
    /// Uploaded before, by digest.
    Digest(Digest),
}

impl BundleSource {
    /// The digest of the files.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Inline(bundle) => bundle.digest(),
            Self::Digest(digest) => digest.clone(),
        }
    }
}

/// What is asked for that is about versions, of a stack and of a machine alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// Makes it, named as the target, with version 1.
    Create {
        /// The files of version 1.
        source: BundleSource,
        /// What the author says.
        comment: String,
    },
    /// Writes the next version.
    Version {
        /// Its files.
        source: BundleSource,
        /// What the author says.
        comment: String,
        /// The latest version that the author saw.
        expected_version: Option<u32>,
    },
    /// Converges to an existing version.
    Apply {
        /// The version.
        version: u32,
        /// The digest that it must have.
        digest: Option<Digest>,
    },
    /// Writes the next version and converges to it.
    Deploy {
        /// Its files.
        source: BundleSource,
        /// What the author says.
        comment: String,
        /// The latest version that the author saw.
        expected_version: Option<u32>,
    },
    /// Converges to an earlier version.
    Rollback {
        /// The version.
        version: u32,
        /// The digest that it must have.
        digest: Option<Digest>,
    },
}

/// What is asked of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackAction {
    /// About its versions.
    Versioning(Versioning),
    /// Starts what is stopped.
    Start,
    /// Stops what runs.
    Stop,
    /// Stops and starts.
    Restart,
    /// Removes the stack.
    Delete {
        /// Whether its data goes too.
        volumes: bool,
    },
    /// Keeps a secret.
    SecretPut {
        /// Its name.
        name: SecretName,
        /// Its value.
        sealed: Sealed,
    },
    /// Forgets a secret.
    SecretRemove {
        /// Its name.
        name: SecretName,
    },
}

/// What is asked of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineAction {
    /// About its versions.
    Versioning(Versioning),
    /// Starts the guest.
    Start,
    /// Asks the guest to end, and ends it when its time is over.
    Shutdown {
        /// How long it may take, in seconds; the definition's own time when none.
        grace_seconds: Option<u64>,
    },
    /// Ends the guest at once.
    Stop,
    /// Has it boot again.
    Reboot,
    /// Has it stand still.
    Suspend,
    /// Lets it go on.
    Resume,
    /// Removes the machine.
    Delete {
        /// Whether its disks go too.
        disks: bool,
    },
    /// Keeps it as it is now.
    SnapshotCreate {
        /// The snapshot's name.
        name: String,
        /// What it is for.
        description: String,
    },
    /// Has it be as it was.
    SnapshotRevert {
        /// The snapshot's name.
        name: String,
    },
    /// Forgets a snapshot.
    SnapshotDelete {
        /// The snapshot's name.
        name: String,
    },
}

/// What is asked of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoxAction {
    /// Brings it into the pool, named as the target.
    Import {
        /// Where it is.
        source: BoxSource,
        /// What it is, when the publisher says so.
        format: Option<BoxFormat>,
        /// The SHA-256 that it must have.
        sha256: Option<Digest>,
        /// What it is for.
        description: String,
    },
    /// Removes it.
    Remove,
}

/// Where a box comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoxSource {
    /// Fetched from an address.
    Url(String),
    /// Uploaded before, by SHA-256.
    Upload(Digest),
}

/// What a box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BoxFormat {
    /// A disk image as QEMU writes it.
    Qcow2,
    /// A disk image, byte for byte.
    Raw,
    /// A `.box` archive of Vagrant for libvirt: becomes its disk image.
    Vagrant,
    /// An ISO 9660 image.
    Iso,
    /// A root filesystem as a tar archive, for a container.
    Rootfs,
    /// Any other file: a kernel, an initramfs.
    File,
}

impl BoxFormat {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Vagrant => "vagrant",
            Self::Iso => "iso",
            Self::Rootfs => "rootfs",
            Self::File => "file",
        }
    }
}

impl Versioning {
    /// Where the files of the version are that it makes; none when it makes none.
    #[must_use]
    pub fn into_source(self) -> Option<BundleSource> {
        match self {
            Self::Create { source, .. } | Self::Version { source, .. } | Self::Deploy { source, .. } => Some(source),
            Self::Apply { .. } | Self::Rollback { .. } => None,
        }
    }

    /// The version that it is about, as far as it says so itself.
    #[must_use]
    pub const fn version(&self) -> Option<u32> {
        match self {
            Self::Create { .. } => Some(1),
            Self::Apply { version, .. } | Self::Rollback { version, .. } => Some(*version),
            Self::Version { .. } | Self::Deploy { .. } => None,
        }
    }
}

impl Action {
    /// The type of this action on the wire.
    #[must_use]
    pub const fn command_type(&self) -> CommandType {
        use CommandType as Type;
        match self {
            Self::Stack(StackAction::Versioning(of)) => match of {
                Versioning::Create { .. } => Type::StackCreate,
                Versioning::Version { .. } => Type::StackVersionCreate,
                Versioning::Apply { .. } => Type::StackApply,
                Versioning::Deploy { .. } => Type::StackDeploy,
                Versioning::Rollback { .. } => Type::StackRollback,
            },
            Self::Stack(StackAction::Start) => Type::StackStart,
            Self::Stack(StackAction::Stop) => Type::StackStop,
            Self::Stack(StackAction::Restart) => Type::StackRestart,
            Self::Stack(StackAction::Delete { .. }) => Type::StackDelete,
            Self::Stack(StackAction::SecretPut { .. }) => Type::StackSecretPut,
            Self::Stack(StackAction::SecretRemove { .. }) => Type::StackSecretRemove,
            Self::Machine(action) => action.command_type(),
            Self::Box(BoxAction::Import { .. }) => Type::BoxImport,
            Self::Box(BoxAction::Remove) => Type::BoxRemove,
        }
    }

    /// What it is about versions, of whatever kind; none for anything else.
    #[must_use]
    pub const fn versioning(&self) -> Option<&Versioning> {
        match self {
            Self::Stack(StackAction::Versioning(of)) | Self::Machine(MachineAction::Versioning(of)) => Some(of),
            Self::Stack(
                StackAction::Start
                | StackAction::Stop
                | StackAction::Restart
                | StackAction::Delete { .. }
                | StackAction::SecretPut { .. }
                | StackAction::SecretRemove { .. },
            )
            | Self::Machine(
                MachineAction::Start
                | MachineAction::Shutdown { .. }
                | MachineAction::Stop
                | MachineAction::Reboot
                | MachineAction::Suspend
                | MachineAction::Resume
                | MachineAction::Delete { .. }
                | MachineAction::SnapshotCreate { .. }
                | MachineAction::SnapshotRevert { .. }
                | MachineAction::SnapshotDelete { .. },
            )
            | Self::Box(_) => None,
        }
    }

    /// Where the files of the version are that it makes; none when it makes none.
    #[must_use]
    pub fn into_source(self) -> Option<BundleSource> {
        match self {
            Self::Stack(StackAction::Versioning(of)) | Self::Machine(MachineAction::Versioning(of)) => of.into_source(),
            Self::Stack(_) | Self::Machine(_) | Self::Box(_) => None,
        }
    }

    pub(super) fn read(kind: CommandType, payload: Option<&RawValue>) -> Result<Self, Rejection> {
        use CommandType as Type;
        Ok(match kind {
            Type::StackCreate => Self::Stack(StackAction::Versioning(create(payload)?)),
            Type::StackVersionCreate => Self::Stack(StackAction::Versioning(version(payload)?)),
            Type::StackApply => Self::Stack(StackAction::Versioning(apply(payload)?)),
            Type::StackRollback => Self::Stack(StackAction::Versioning(rollback(payload)?)),
            Type::StackDeploy => Self::Stack(StackAction::Versioning(deploy(payload)?)),
            Type::StackStart => Self::Stack(nothing(payload, StackAction::Start)?),
            Type::StackStop => Self::Stack(nothing(payload, StackAction::Stop)?),
            Type::StackRestart => Self::Stack(nothing(payload, StackAction::Restart)?),
            Type::StackDelete => {
                let p: StackDelete = fields(payload)?;
                Self::Stack(StackAction::Delete { volumes: p.volumes })
            }
            Type::StackSecretPut => Self::Stack(fields::<SecretPut>(payload)?.into()),
            Type::StackSecretRemove => Self::Stack(fields::<SecretRemove>(payload)?.into()),
            Type::BoxImport => Self::Box(import(fields(payload)?)?),
            Type::BoxRemove => Self::Box(nothing(payload, BoxAction::Remove)?),
            Type::MachineCreate
            | Type::MachineVersionCreate
            | Type::MachineApply
            | Type::MachineRollback
            | Type::MachineDeploy
            | Type::MachineStart
            | Type::MachineShutdown
            | Type::MachineStop
            | Type::MachineReboot
            | Type::MachineSuspend
            | Type::MachineResume
            | Type::MachineDelete
            | Type::MachineSnapshotCreate
            | Type::MachineSnapshotRevert
            | Type::MachineSnapshotDelete => Self::Machine(MachineAction::read(kind, payload)?),
        })
    }
}

impl MachineAction {
    const fn command_type(&self) -> CommandType {
        use CommandType as Type;
        match self {
            Self::Versioning(Versioning::Create { .. }) => Type::MachineCreate,
            Self::Versioning(Versioning::Version { .. }) => Type::MachineVersionCreate,
            Self::Versioning(Versioning::Apply { .. }) => Type::MachineApply,
            Self::Versioning(Versioning::Deploy { .. }) => Type::MachineDeploy,
            Self::Versioning(Versioning::Rollback { .. }) => Type::MachineRollback,
            Self::Start => Type::MachineStart,
            Self::Shutdown { .. } => Type::MachineShutdown,
            Self::Stop => Type::MachineStop,
            Self::Reboot => Type::MachineReboot,
            Self::Suspend => Type::MachineSuspend,
            Self::Resume => Type::MachineResume,
            Self::Delete { .. } => Type::MachineDelete,
            Self::SnapshotCreate { .. } => Type::MachineSnapshotCreate,
            Self::SnapshotRevert { .. } => Type::MachineSnapshotRevert,
            Self::SnapshotDelete { .. } => Type::MachineSnapshotDelete,
        }
    }

    fn read(kind: CommandType, payload: Option<&RawValue>) -> Result<Self, Rejection> {
        use CommandType as Type;
        Ok(match kind {
            Type::MachineCreate => Self::Versioning(create(payload)?),
            Type::MachineVersionCreate => Self::Versioning(version(payload)?),
            Type::MachineApply => Self::Versioning(apply(payload)?),
            Type::MachineRollback => Self::Versioning(rollback(payload)?),
            Type::MachineDeploy => Self::Versioning(deploy(payload)?),
            Type::MachineStart => nothing(payload, Self::Start)?,
            Type::MachineShutdown => {
                let p: MachineShutdown = fields(payload)?;
                Self::Shutdown { grace_seconds: p.grace_seconds }
            }
            Type::MachineStop => nothing(payload, Self::Stop)?,
            Type::MachineReboot => nothing(payload, Self::Reboot)?,
            Type::MachineSuspend => nothing(payload, Self::Suspend)?,
            Type::MachineResume => nothing(payload, Self::Resume)?,
            Type::MachineDelete => {
                let p: MachineDelete = fields(payload)?;
                Self::Delete { disks: p.disks }
            }
            Type::MachineSnapshotCreate => {
                let p: SnapshotCreate = fields(payload)?;
                Self::SnapshotCreate { name: snapshot(p.name)?, description: p.description.unwrap_or_default() }
            }
            Type::MachineSnapshotRevert => Self::SnapshotRevert { name: snapshot(fields::<SnapshotName>(payload)?.name)? },
            Type::MachineSnapshotDelete => Self::SnapshotDelete { name: snapshot(fields::<SnapshotName>(payload)?.name)? },
            Type::StackCreate
            | Type::StackVersionCreate
            | Type::StackApply
            | Type::StackRollback
            | Type::StackDeploy
            | Type::StackStart
            | Type::StackStop
            | Type::StackRestart
            | Type::StackDelete
            | Type::StackSecretPut
            | Type::StackSecretRemove
            | Type::BoxImport
            | Type::BoxRemove => return Err(Rejection(format!("type {:?} is about no machine", kind.as_str()))),
        })
    }
}

fn fields<P: DeserializeOwned>(payload: Option<&RawValue>) -> Result<P, Rejection> {
    let text = payload.map_or("{}", RawValue::get);
    serde_json::from_str(text).map_err(|error| Rejection(format!("payload: {error}")))
}

fn nothing<A>(payload: Option<&RawValue>, action: A) -> Result<A, Rejection> {
    fields::<NoFields>(payload).map(|NoFields {}| action)
}

fn source(bundle: Option<Bundle>, digest: Option<Digest>) -> Result<BundleSource, Rejection> {
    match (bundle, digest) {
        (Some(bundle), None) => Ok(BundleSource::Inline(bundle)),
        (None, Some(digest)) => Ok(BundleSource::Digest(digest)),
        (Some(_), Some(_)) => Err(Rejection("payload: give either `bundle` or `digest`, not both".into())),
        (None, None) => Err(Rejection("payload: missing field `bundle` (or `digest` of an upload)".into())),
    }
}

fn create(payload: Option<&RawValue>) -> Result<Versioning, Rejection> {
    let p: Create = fields(payload)?;
    Ok(Versioning::Create { source: source(p.bundle, p.digest)?, comment: p.comment.unwrap_or_default() })
}

fn version(payload: Option<&RawValue>) -> Result<Versioning, Rejection> {
    let p: VersionCreate = fields(payload)?;
    let (comment, expected_version) = (p.comment.unwrap_or_default(), p.expected_version);
    Ok(Versioning::Version { source: source(p.bundle, p.digest)?, comment, expected_version })
}

fn deploy(payload: Option<&RawValue>) -> Result<Versioning, Rejection> {
    let p: VersionCreate = fields(payload)?;
    let (comment, expected_version) = (p.comment.unwrap_or_default(), p.expected_version);
    Ok(Versioning::Deploy { source: source(p.bundle, p.digest)?, comment, expected_version })
}

fn rollback(payload: Option<&RawValue>) -> Result<Versioning, Rejection> {
    let p: Rollback = fields(payload)?;
    Ok(Versioning::Rollback { version: p.version, digest: p.digest })
}

fn apply(payload: Option<&RawValue>) -> Result<Versioning, Rejection> {
    match fields(payload)? {
        Apply { version: Some(version), digest, bundle: None, comment: None } => Ok(Versioning::Apply { version, digest }),
        Apply { version: None, digest: None, bundle: Some(bundle), comment } => {
            let source = BundleSource::Inline(bundle);
            Ok(Versioning::Deploy { source, comment: comment.unwrap_or_default(), expected_version: None })
        }
        Apply { version: None, bundle: None, .. } => Err(Rejection("payload: missing field `version` (or `bundle`)".into())),
        Apply { .. } => Err(Rejection("payload: give either `version` with `digest`, or `bundle` with `comment`".into())),
    }
}

/// The name of a snapshot: it becomes part of libvirt's own names and of addresses.
fn snapshot(name: String) -> Result<String, Rejection> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= LONGEST_SNAPSHOT && name.chars().all(plain) {
        return Ok(name);
    }
    Err(Rejection(format!(
        "payload: name: {name:?} is no name of a snapshot: use 1 to {LONGEST_SNAPSHOT} letters, digits, '-', '_' and '.', starting with a letter or digit"
    )))
}

fn import(payload: BoxImport) -> Result<BoxAction, Rejection> {
    let BoxImport { format, url, upload, sha256, description } = payload;
    let source = match (url, upload) {
        (Some(url), None) => BoxSource::Url(address(url, sha256.is_some())?),
        (None, Some(digest)) if sha256.as_ref().is_none_or(|sha256| *sha256 == digest) => BoxSource::Upload(digest),
        (None, Some(_)) => return Err(Rejection("payload: sha256: differs from that of the upload".into())),
        (Some(_), Some(_)) => return Err(Rejection("payload: give either `url` or `upload`, not both".into())),
        (None, None) => return Err(Rejection("payload: missing field `url` (or `upload`)".into())),
    };
    Ok(BoxAction::Import { source, format, sha256, description: description.unwrap_or_default() })
}

fn address(url: String, checked: bool) -> Result<String, Rejection> {
    match url.split_once("://") {
        Some(("https", rest)) if !rest.is_empty() => Ok(url),
        Some(("http", rest)) if !rest.is_empty() && checked => Ok(url),
        Some(("http", _)) => Err(Rejection("payload: url: http is not encrypted: say what `sha256` the box must have".into())),
        Some(_) | None => Err(Rejection(format!("payload: url: {url:?} is no address that begins with http:// or https://"))),
    }
}
