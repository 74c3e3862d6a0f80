//! What a deleted stack leaves in the data folder. Files of bundles may be secrets, so they go with the stack; only what a
//! container of the engine still mounts stays, whoever's that is.

use std::collections::{BTreeMap, BTreeSet};

use orrery_contracts::{Digest, Role, StackHead};
use orrery_queue::definitions::DefinitionError;

use super::{DockerExecutor, Ready, identity_of, read_definition};
use crate::engine::{Engine, EngineError};
use crate::files::FileError;

/// Why files stay that nobody needs any more.
#[derive(Debug, thiserror::Error)]
enum Stays {
    #[error("the engine does not say what is mounted: {0}")]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Definitions(#[from] DefinitionError),
    #[error("{error}: {cause}")]
    File { error: FileError, cause: String },
    #[error("{0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl<E: Engine> DockerExecutor<E> {
    /// Removes the laid-out files of every version of a stack whose containers are gone. Answers what to tell of it: that
    /// something stays keeps no stack from being deleted.
    pub(super) async fn sweep(&self, head: &StackHead) -> Option<String> {
        let stays = self.try_sweep(head).await.err()?;
        tracing::warn!(stack = %head.id, "files of a deleted stack stay: {stays}");
        Some(format!("files of its versions stay in {}: {stays}", self.data.root().display()))
    }

    async fn try_sweep(&self, head: &StackHead) -> Result<(), Stays> {
        let (mut bundles, mut inline) = (BTreeSet::new(), BTreeSet::new());
        let definitions = &self.definitions;
        for version in 1.. {
            let Some(record) = definitions.patiently(|| definitions.get_version(head.id, version)).await? else { break };
            if self.data.is_laid_out(&record.digest) && !bundles.contains(&record.digest) {
                inline.extend(self.inline_files(head, version, &record.digest).await?);
                bundles.insert(record.digest);
            }
        }
        inline.extend(self.data.other_secrets(head.id, &BTreeMap::new()));
        if bundles.is_empty() && inline.is_empty() {
            return Ok(());
        }
        let mounted = self.engine.mounted().await?;
        let data = self.data.clone();
        let removed = self.data.aside(move || data.remove_unmounted(&bundles, &inline, &mounted)).await?;
        removed.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            Stays::File { error, cause }
        })
    }

    /// Removes the files of secrets' earlier versions that nothing mounts any more; what stays goes with the stack.
    pub(super) async fn sweep_secrets(&self, ready: &Ready) {
        let stale = self.data.other_secrets(ready.desired.identity.stack, &ready.desired.inline);
        if stale.is_empty() {
            return;
        }
        let Ok(mounted) = self.engine.mounted().await else { return };
        let data = self.data.clone();
        let removed = self.data.aside(move || data.remove_unmounted(&BTreeSet::new(), &stale, &mounted)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!("files of earlier secrets stay: {error}");
        }
    }

    /// The files beside the bundle that a version mounts.
    async fn inline_files(&self, head: &StackHead, version: u32, digest: &Digest) -> Result<BTreeSet<String>, DefinitionError> {
        let Some(bundle) = self.definitions.patiently(|| self.definitions.get_bundle(digest)).await? else { return Ok(BTreeSet::new()) };
        let reading = read_definition(&self.data, &identity_of(head, version, 0), &bundle, digest, Role::Admin);
        Ok(reading.desired.map(|desired| desired.inline.into_keys().collect()).unwrap_or_default())
    }
}
