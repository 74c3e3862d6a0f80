//! Rights and quotas: read when a command's turn has come, so that what was taken away is gone at once; watched for
//! what needs them all the time.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_nats::jetstream::kv;
use futures::StreamExt;
use orrery_contracts::{PolicyEntry, subjects};
use tokio::task::JoinHandle;

use super::{DefinitionError, Definitions};
use crate::broker::Broker;

impl Definitions {
    /// The entry of a user; none when there is no such user.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn user_policy(&self, name: &str) -> Result<Option<PolicyEntry>, DefinitionError> {
        self.policy(&subjects::user_key(name)).await
    }

    /// The entry of a publisher; none when there is no such publisher.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn publisher_policy(&self, name: &str) -> Result<Option<PolicyEntry>, DefinitionError> {
        self.policy(&subjects::publisher_key(name)).await
    }

    /// The entry under a key; none under one that no entry can have.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn policy(&self, key: &str) -> Result<Option<PolicyEntry>, DefinitionError> {
        if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Ok(None);
        }
        let kept = self.get_record(subjects::POLICY, key).await?;
        Ok(kept.map(|kept| kept.value))
    }
}

/// A copy of POLICY that follows it, a moment behind.
#[derive(Debug)]
pub struct PolicyWatch {
    entries: Arc<RwLock<HashMap<String, PolicyEntry>>>,
    follower: JoinHandle<()>,
}

impl PolicyWatch {
    /// Begins to follow; empty until the broker has answered.
    #[must_use]
    pub fn start(broker: &Broker) -> Self {
        let entries = Arc::new(RwLock::new(HashMap::new()));
        let follower = tokio::spawn(follow(broker.clone(), Arc::clone(&entries)));
        Self { entries, follower }
    }

    /// The entry of a user.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<PolicyEntry> {
        self.entry(&subjects::user_key(name))
    }

    /// The entry of a publisher.
    #[must_use]
    pub fn publisher(&self, name: &str) -> Option<PolicyEntry> {
        self.entry(&subjects::publisher_key(name))
    }

    /// The entry under a key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<PolicyEntry> {
        let entries = self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.get(key).cloned()
    }
}

impl Drop for PolicyWatch {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

async fn follow(broker: Broker, entries: Arc<RwLock<HashMap<String, PolicyEntry>>>) {
    loop {
        let connection = broker.connected().await;
        if let Err(error) = follow_connection(&broker, &entries, connection).await {
            tracing::debug!("follows POLICY again: {error}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Follows until the connection is another one: the broker may have forgotten the consumer of the one before.
async fn follow_connection(
    broker: &Broker,
    entries: &RwLock<HashMap<String, PolicyEntry>>,
    connection: u64,
) -> Result<(), DefinitionError> {
    let away = |reason: String| DefinitionError::Away { subject: "bucket POLICY".into(), reason };
    let store = broker.jetstream().get_key_value(subjects::POLICY).await.map_err(|error| away(error.to_string()))?;
    let mut changes = store.watch_many_with_history([">"]).await.map_err(|error| away(error.to_string()))?;
    let mut link = broker.link();
    let another = link.wait_for(|link| *link != crate::streams::Link::Connected(connection));
    tokio::pin!(another);
    loop {
        tokio::select! {
            biased;
            _ = &mut another => return Ok(()),
            change = changes.next() => {
                let Some(change) = change else { return Ok(()) };
                take(entries, change.map_err(|error| away(error.to_string()))?);
            }
        }
    }
}

fn take(entries: &RwLock<HashMap<String, PolicyEntry>>, change: kv::Entry) {
    let mut entries = entries.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    match change.operation {
        kv::Operation::Put => match serde_json::from_slice(&change.value) {
            Ok(entry) => drop(entries.insert(change.key, entry)),
            Err(error) => {
                tracing::error!(key = change.key, "an entry of POLICY cannot be read, and gives no rights: {error}");
                entries.remove(&change.key);
            }
        },
        kv::Operation::Delete | kv::Operation::Purge => drop(entries.remove(&change.key)),
    }
}
