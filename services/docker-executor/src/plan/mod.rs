//! What would have to be done, and why: a pure function of what is desired and what is observed. It has no effect, reads
//! no clock, and mentions nothing that is not the stack's.

mod conflicts;
mod ending;
mod images;
mod people;
mod resources;
mod slots;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use orrery_contracts::{FieldChange, Plan, PlanNote};
use orrery_queue::ports::Held;

use crate::definition::Desired;
use crate::engine::{Observed, Seen};

pub use ending::{Stack, delete_plan, layers, stack_of, stop_plan};
pub(crate) use orrery_queue::ports::collide;
pub use slots::{Leftovers, leftovers};

/// What a plan depends on beside desired and observed.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The last command that converged this stack and ended well: what later ones made is not in place for good.
    pub converged: u64,
    /// The command that is taken up again after its executor died: what it made already is gone on with.
    pub resuming: Option<u64>,
    /// Ask registries and builders again where the policy says "always".
    pub refresh: bool,
    /// Containers that a stop stopped: they start again although they ended with exit code 0.
    pub stopped: BTreeSet<String>,
    /// How long ago this executor pulled an image, by the name that it was pulled by.
    pub pulled: BTreeMap<String, Duration>,
    /// Containers whose start was broken off: their hooks run again.
    pub unhooked: BTreeSet<String>,
    /// The ports of the host that machines hold.
    pub machines: Vec<Held>,
}

/// What is to be done, for the executor and for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Todo {
    /// Images to get, by service.
    pub images: Vec<ImageWork>,
    /// Networks to make, by name.
    pub networks: Vec<String>,
    /// Volumes to make, by name.
    pub volumes: Vec<String>,
    /// What becomes of each container of the version, dependencies first.
    pub slots: Vec<SlotWork>,
    /// Containers that the version does not have, and what a broken command left behind.
    pub removals: Vec<Removal>,
    /// Networks that the version does not have.
    pub stale_networks: Vec<String>,
    /// Why it cannot be done; empty when it can.
    pub refusals: Vec<Refusal>,
    /// What else is worth knowing.
    pub notes: Vec<PlanNote>,
}

/// Something that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A stable code: `port_taken`, `name_taken`, `volume_differs`, …
    pub code: &'static str,
    /// What, who, and what to do.
    pub message: String,
}

/// An image to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageWork {
    /// The first service that needs it.
    pub service: String,
    /// Its name.
    pub reference: String,
    /// Built, not pulled.
    pub build: bool,
    /// Why.
    pub reason: String,
}

/// What becomes of one container of the version.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotWork {
    /// Its service.
    pub service: String,
    /// Its number, from 1.
    pub number: u32,
    /// The name that it has in the end.
    pub name: String,
    /// What is to be done.
    pub what: SlotAction,
    /// The container that is in place.
    pub current: Option<String>,
    /// The container that an earlier run of this command made for this place.
    pub fresh: Option<String>,
    /// The name of the container whose making an earlier run of this command has begun: it is finished, and no other one made.
    pub begun: Option<String>,
    /// Why.
    pub reason: String,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
}

/// What is to be done with one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotAction {
    /// All is well.
    Keep,
    /// There is none: make one.
    Create,
    /// Make a new one, and let it take the place of the old.
    Replace,
    /// It is right, and does not run.
    Start,
    /// It runs, and must begin anew because what it depends on was replaced.
    Restart,
    /// Change limits in place; start it where it does not run.
    Update,
}

/// A container that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Why.
    pub reason: String,
}

impl Todo {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
            && self.networks.is_empty()
            && self.volumes.is_empty()
            && self.removals.is_empty()
            && self.stale_networks.is_empty()
            && self.slots.iter().all(|slot| slot.what == SlotAction::Keep)
    }

    /// The plan as people see it.
    #[must_use]
    pub fn shown(&self, desired: &Desired) -> Plan {
        people::shown(self, desired)
    }
}

/// Plans the way from what is observed to what is desired.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, circumstances: &Circumstances) -> Todo {
    let mut todo = Todo { notes: desired.notes.clone(), ..Todo::default() };
    images::plan(desired, observed, circumstances, &mut todo);
    resources::plan(desired, observed, &mut todo);
    slots::plan(desired, observed, circumstances, &mut todo);
    conflicts::check(desired, observed, &circumstances.machines, &mut todo);
    todo
}

/// Whether a container does what its version wants of it, the definition apart.
fn does_its_work(seen: &Seen, may_finish: bool, circumstances: &Circumstances) -> bool {
    use crate::engine::State;
    match seen.state {
        State::Running | State::Restarting => true,
        State::Exited => may_finish && seen.exit_code == 0 && !circumstances.stopped.contains(&seen.id),
        State::Paused | State::Created | State::Dead => false,
    }
}
