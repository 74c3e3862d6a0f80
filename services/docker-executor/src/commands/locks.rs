//! Locks: which images a version ran with. A rollback has the same ones, although their names may mean others by now.

use orrery_contracts::{Digest, ImageLock, PlanNote, StackHead};
use orrery_queue::RunError;
use orrery_queue::definitions::DefinitionError;

use super::DockerExecutor;
use crate::definition::Desired;
use crate::engine::Engine;

impl<E: Engine> DockerExecutor<E> {
    /// Keeps a lock; answers its digest.
    pub(super) async fn put_lock(&self, lock: &ImageLock) -> Result<Digest, RunError> {
        let failed = |error: String| RunError::failed("definitions", error);
        let bytes = serde_json::to_vec(lock).map_err(|error| failed(error.to_string()))?;
        let put = self.definitions.patiently(|| self.definitions.put_bytes(&bytes)).await;
        put.map_err(|error| failed(error.to_string()))
    }

    /// Has a version keep to the images that it ran with; a note says so where nobody knows which.
    pub(crate) async fn keep_to_lock(&self, desired: &mut Desired, head: &StackHead, version: u32) -> Result<(), DefinitionError> {
        let lock = match head.locks.get(&version) {
            Some(digest) => self.definitions.get_bytes(digest).await?,
            None => None,
        };
        match lock.and_then(|bytes| serde_json::from_slice::<ImageLock>(&bytes).ok()) {
            Some(lock) => desired.keep_to(&lock),
            None => desired
                .notes
                .push(PlanNote::note(format!("which images version {version} ran with is not known: they are what their names mean now"))),
        }
        Ok(())
    }
}
