//! What a command writes down and tells: versions, heads and events of machines, heads of boxes. Each write may be repeated.

use orrery_contracts::{BoxHead, MachineChange, MachineEvent, MachineHead, Name, Time};
use orrery_queue::definitions::{DefinitionError, Draft};
use orrery_queue::{Run, RunError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::LibvirtExecutor;
use crate::engine::Hypervisor;

impl<E: Hypervisor> LibvirtExecutor<E> {
    /// Writes a version with its files, and tells it.
    pub(super) async fn write_version(
        &self,
        run: &Run,
        head: &MachineHead,
        number: u32,
        author: &Name,
        draft: &Draft,
    ) -> Result<(), RunError> {
        let written = self.definitions.write_version(head.id.into(), number, author, draft, run.command().seq);
        let record = told(written.await)?;
        let change = MachineChange::VersionCreated {
            version: record.version,
            parent: record.parent,
            author: record.author,
            comment: record.comment,
            digest: record.digest,
            files: record.files,
        };
        self.tell(run, head, change).await
    }

    /// Writes the head of a box, and has it observed.
    pub(super) async fn write_box(&self, head: &BoxHead) -> Result<(), RunError> {
        self.definitions.write_head(head).await?;
        self.changed.notify_one();
        Ok(())
    }

    /// Tells what became of a machine.
    pub(super) async fn tell(&self, run: &Run, head: &MachineHead, change: MachineChange) -> Result<(), RunError> {
        let seq = run.command().seq;
        let event_id = MachineEvent::derive_id(head.id, seq, run.attempt(), &change);
        let event = MachineEvent { event_id, machine_id: head.id, seq, at: now(), change };
        told(self.definitions.patiently(|| self.definitions.tell_machine(&event)).await).map(drop)
    }

    /// The installation's id, waited for.
    pub(super) async fn known_installation(&self) -> Result<Uuid, RunError> {
        let found = told(self.definitions.patiently(|| self.definitions.installation()).await)?;
        found.map(|installation| installation.id).ok_or_else(|| RunError::failed("definitions", "the installation's record is gone"))
    }
}

pub(super) fn told<T>(result: Result<T, DefinitionError>) -> Result<T, RunError> {
    result.map_err(|error| RunError::failed("definitions", error.to_string()))
}

pub(crate) fn now() -> Time {
    Time::new(OffsetDateTime::now_utc())
}
