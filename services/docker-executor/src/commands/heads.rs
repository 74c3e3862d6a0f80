//! What a command writes down and tells: versions, heads and events of stacks. Each write may be repeated.

use orrery_contracts::{StackChange, StackEvent, StackHead, Time};
use orrery_queue::definitions::{DefinitionError, Draft};
use orrery_queue::{Run, RunError};
use time::OffsetDateTime;

use super::DockerExecutor;
use crate::engine::Engine;

impl<E: Engine> DockerExecutor<E> {
    /// Writes a version with its files, and tells it.
    pub(super) async fn write_version(
        &self,
        run: &Run,
        head: &StackHead,
        number: u32,
        author: &orrery_contracts::Name,
        draft: &Draft,
    ) -> Result<(), RunError> {
        let definitions = &self.definitions;
        let record = told(definitions.write_version(head.id.into(), number, author, draft, run.command().seq).await)?;
        let change = StackChange::VersionCreated {
            version: record.version,
            parent: record.parent,
            author: record.author,
            comment: record.comment,
            digest: record.digest,
            files: record.files,
        };
        self.tell(run, head, change).await
    }

    /// Tells what became of a stack.
    pub(crate) async fn tell(&self, run: &Run, head: &StackHead, change: StackChange) -> Result<(), RunError> {
        let seq = run.command().seq;
        let event_id = StackEvent::derive_id(head.id, seq, run.attempt(), &change);
        let event = StackEvent { event_id, stack_id: head.id, seq, at: now(), change };
        told(self.definitions.patiently(|| self.definitions.tell(&event)).await).map(drop)
    }

    /// The installation's id, waited for.
    pub(super) async fn known_installation(&self) -> Result<uuid::Uuid, RunError> {
        let found = told(self.definitions.patiently(|| self.definitions.installation()).await)?;
        found.map(|installation| installation.id).ok_or_else(|| RunError::failed("definitions", "the installation's record is gone"))
    }
}

fn told<T>(result: Result<T, DefinitionError>) -> Result<T, RunError> {
    result.map_err(|error| RunError::failed("definitions", error.to_string()))
}

pub(crate) fn now() -> Time {
    Time::new(OffsetDateTime::now_utc())
}
