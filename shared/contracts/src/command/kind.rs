//! The types of commands, by their words on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every type of command of this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CommandType {
    /// Makes a stack and its version 1.
    #[serde(rename = "stack.create")]
    StackCreate,
    /// Writes the next version.
    #[serde(rename = "stack.version.create")]
    StackVersionCreate,
    /// Converges to a version.
    #[serde(rename = "stack.apply")]
    StackApply,
    /// Converges to an earlier version.
    #[serde(rename = "stack.rollback")]
    StackRollback,
    /// Writes the next version and converges to it.
    #[serde(rename = "stack.deploy")]
    StackDeploy,
    /// Starts the containers of the current version.
    #[serde(rename = "stack.start")]
    StackStart,
    /// Stops the containers.
    #[serde(rename = "stack.stop")]
    StackStop,
    /// Stops and starts the containers.
    #[serde(rename = "stack.restart")]
    StackRestart,
    /// Removes the containers, networks and, when told, the volumes.
    #[serde(rename = "stack.delete")]
    StackDelete,
    /// Keeps a secret for the stack, or its next version.
    #[serde(rename = "stack.secret.put")]
    StackSecretPut,
    /// Forgets a secret of the stack.
    #[serde(rename = "stack.secret.remove")]
    StackSecretRemove,
    /// Makes a machine and its version 1.
    #[serde(rename = "machine.create")]
    MachineCreate,
    /// Writes the next version.
    #[serde(rename = "machine.version.create")]
    MachineVersionCreate,
    /// Converges to a version.
    #[serde(rename = "machine.apply")]
    MachineApply,
    /// Converges to an earlier version.
    #[serde(rename = "machine.rollback")]
    MachineRollback,
    /// Writes the next version and converges to it.
    #[serde(rename = "machine.deploy")]
    MachineDeploy,
    /// Starts the guest of the current version.
    #[serde(rename = "machine.start")]
    MachineStart,
    /// Asks the guest to end, and ends it when its time is over.
    #[serde(rename = "machine.shutdown")]
    MachineShutdown,
    /// Ends the guest at once.
    #[serde(rename = "machine.stop")]
    MachineStop,
    /// Has the guest boot again.
    #[serde(rename = "machine.reboot")]
    MachineReboot,
    /// Has the guest stand still, in memory.
    #[serde(rename = "machine.suspend")]
    MachineSuspend,
    /// Lets a guest go on that stands still.
    #[serde(rename = "machine.resume")]
    MachineResume,
    /// Removes the machine and, when told, its disks.
    #[serde(rename = "machine.delete")]
    MachineDelete,
    /// Keeps the machine as it is now, under a name.
    #[serde(rename = "machine.snapshot.create")]
    MachineSnapshotCreate,
    /// Has the machine be as it was.
    #[serde(rename = "machine.snapshot.revert")]
    MachineSnapshotRevert,
    /// Forgets a snapshot.
    #[serde(rename = "machine.snapshot.delete")]
    MachineSnapshotDelete,
    /// Brings an image, an ISO, a root filesystem or a file into the pool.
    #[serde(rename = "box.import")]
    BoxImport,
    /// Removes a box that no machine uses.
    #[serde(rename = "box.remove")]
    BoxRemove,
}

impl CommandType {
    /// Every type of this release, in the order of the documentation.
    pub const ALL: [Self; 28] = [
        Self::StackCreate,
        Self::StackVersionCreate,
        Self::StackApply,
        Self::StackRollback,
        Self::StackDeploy,
        Self::StackStart,
        Self::StackStop,
        Self::StackRestart,
        Self::StackDelete,
        Self::StackSecretPut,
        Self::StackSecretRemove,
        Self::MachineCreate,
        Self::MachineVersionCreate,
        Self::MachineApply,
        Self::MachineRollback,
        Self::MachineDeploy,
        Self::MachineStart,
        Self::MachineShutdown,
        Self::MachineStop,
        Self::MachineReboot,
        Self::MachineSuspend,
        Self::MachineResume,
        Self::MachineDelete,
        Self::MachineSnapshotCreate,
        Self::MachineSnapshotRevert,
        Self::MachineSnapshotDelete,
        Self::BoxImport,
        Self::BoxRemove,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StackCreate => "stack.create",
            Self::StackVersionCreate => "stack.version.create",
            Self::StackApply => "stack.apply",
            Self::StackRollback => "stack.rollback",
            Self::StackDeploy => "stack.deploy",
            Self::StackStart => "stack.start",
            Self::StackStop => "stack.stop",
            Self::StackRestart => "stack.restart",
            Self::StackDelete => "stack.delete",
            Self::StackSecretPut => "stack.secret.put",
            Self::StackSecretRemove => "stack.secret.remove",
            Self::MachineCreate => "machine.create",
            Self::MachineVersionCreate => "machine.version.create",
            Self::MachineApply => "machine.apply",
            Self::MachineRollback => "machine.rollback",
            Self::MachineDeploy => "machine.deploy",
            Self::MachineStart => "machine.start",
            Self::MachineShutdown => "machine.shutdown",
            Self::MachineStop => "machine.stop",
            Self::MachineReboot => "machine.reboot",
            Self::MachineSuspend => "machine.suspend",
            Self::MachineResume => "machine.resume",
            Self::MachineDelete => "machine.delete",
            Self::MachineSnapshotCreate => "machine.snapshot.create",
            Self::MachineSnapshotRevert => "machine.snapshot.revert",
            Self::MachineSnapshotDelete => "machine.snapshot.delete",
            Self::BoxImport => "box.import",
            Self::BoxRemove => "box.remove",
        }
    }

    /// Whether a command of this type makes what it is about, so that its target is a new name.
    #[must_use]
    pub const fn creates(self) -> bool {
        matches!(self, Self::StackCreate | Self::MachineCreate | Self::BoxImport)
    }
}
