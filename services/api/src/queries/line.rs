//! A line of versions: what a stack and a machine have in common for whoever reads or writes versions.

use orrery_contracts::Versioned;
use orrery_contracts::rest::{Machine, Stack};
use uuid::Uuid;

/// The versions of one stack or machine.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Whose.
    pub(crate) of: Versioned,
    /// Its name.
    pub(crate) name: String,
    /// The number of the latest.
    pub(crate) latest: u32,
    /// What its definition is read as: the Compose project, or the name of the domain.
    pub(crate) project: String,
}

impl Line {
    /// The id under which the read model keeps it.
    pub(crate) fn id(&self) -> Uuid {
        match self.of {
            Versioned::Stack(id) => id.uuid(),
            Versioned::Machine(id) => id.uuid(),
        }
    }

    /// What it is, in a sentence.
    pub(crate) fn words(&self) -> String {
        match self.of {
            Versioned::Stack(_) => format!("the stack {:?}", self.name),
            Versioned::Machine(_) => format!("the machine {:?}", self.name),
        }
    }
}

impl From<&Stack> for Line {
    fn from(stack: &Stack) -> Self {
        Self { of: stack.id.into(), name: stack.name.clone(), latest: stack.latest_version, project: stack.project.clone() }
    }
}

impl From<&Machine> for Line {
    fn from(machine: &Machine) -> Self {
        Self { of: machine.id.into(), name: machine.name.clone(), latest: machine.latest_version, project: machine.domain.clone() }
    }
}
