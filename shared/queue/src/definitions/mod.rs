//! What an executor writes besides transitions and steps: versions, bundles, heads, and what became of its aggregates;
//! and what it reads: uploads, rights. Every write may be repeated: what the command in hand wrote before counts as done.

mod bundles;
mod drafts;
mod heads;
mod policy;
mod ports;
mod shelf;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use orrery_contracts::{BoxHead, Digest, MachineEvent, MachineHead, StackEvent, StackHead, subjects};
use thiserror::Error;
use tokio::sync::Mutex;

use self::shelf::Shelf;
use crate::streams::{Item, Streams};

pub use bundles::KEPT_LOG_BYTES;
pub use drafts::{Draft, must_be_latest};
pub use heads::{Head, Kept};
pub use policy::PolicyWatch;

/// Reads and writes definitions. Clones share the connection, and what was read of the heads.
#[derive(Clone, Debug)]
pub struct Definitions {
    streams: Streams,
    stacks: Arc<Mutex<Shelf<StackHead>>>,
    machines: Arc<Mutex<Shelf<MachineHead>>>,
    boxes: Arc<Mutex<Shelf<BoxHead>>>,
}

/// Why a definition could not be read or written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DefinitionError {
    /// The broker did not answer; the same call may be made again.
    #[error("the broker did not answer about {subject}: {reason}")]
    Away {
        /// What was asked for.
        subject: String,
        /// Why.
        reason: String,
    },
    /// The record is not what its name says: another hash, missing pieces, or no JSON of ours.
    #[error("{subject} is damaged: {reason}")]
    Damaged {
        /// What was read.
        subject: String,
        /// In what way.
        reason: String,
    },
    /// Somebody else wrote the record first, and it is another one.
    #[error("{subject} was written by command {by} already")]
    Taken {
        /// What should have been written.
        subject: String,
        /// The command that wrote it.
        by: u64,
    },
    /// The record has another revision than the one that was read.
    #[error("{subject} has changed since it was read")]
    Changed {
        /// The record.
        subject: String,
    },
}

impl DefinitionError {
    /// Whether the same call may work later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Damaged { .. } | Self::Taken { .. } | Self::Changed { .. } => false,
        }
    }
}

impl Definitions {
    /// Over these streams.
    #[must_use]
    pub fn new(streams: &Streams) -> Self {
        Self { streams: streams.clone(), stacks: Arc::default(), machines: Arc::default(), boxes: Arc::default() }
    }

    /// Publishes what became of a stack and waits until the broker has it. Its id is derived from command and change,
    /// so that a repeat changes nothing for who reads it.
    ///
    /// # Errors
    /// [`DefinitionError::Away`].
    pub async fn tell(&self, event: &StackEvent) -> Result<u64, DefinitionError> {
        let subject = subjects::stack_event(event.stack_id);
        self.store(&subject, HeaderMap::new(), encode(event)).await
    }

    /// The same of a machine.
    ///
    /// # Errors
    /// [`DefinitionError::Away`].
    pub async fn tell_machine(&self, event: &MachineEvent) -> Result<u64, DefinitionError> {
        let subject = subjects::machine_event(event.machine_id);
        self.store(&subject, HeaderMap::new(), encode(event)).await
    }

    /// Publishes to a stream and waits for its acknowledgement.
    async fn store(&self, subject: &str, headers: HeaderMap, body: Bytes) -> Result<u64, DefinitionError> {
        let stored = self.streams.store(subject, headers, body).await;
        stored.map_err(|reason| DefinitionError::Away { subject: subject.to_owned(), reason })
    }

    /// The last message on a subject, read from the stream's leader.
    async fn last(&self, stream: &str, subject: &str) -> Result<Option<Item>, DefinitionError> {
        let found = self.streams.last(stream, subject).await;
        found.map_err(|reason| DefinitionError::Away { subject: subject.to_owned(), reason })
    }

    /// Calls again while the broker is away, with growing pauses, for as long as the caller keeps waiting:
    /// `definitions.patiently(|| definitions.get_bundle(&digest))`.
    ///
    /// # Errors
    /// Whatever is not the broker's absence.
    pub async fn patiently<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, DefinitionError>
    where
        F: Future<Output = Result<T, DefinitionError>>,
    {
        let mut pause = Duration::from_millis(50);
        loop {
            self.streams.connected().await;
            match call().await {
                Err(error) if error.is_transient() => {
                    tracing::debug!("waits for the broker: {error}");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(Duration::from_secs(1));
                }
                Ok(found) => return Ok(found),
                Err(error) => return Err(error),
            }
        }
    }
}

fn encode<T: serde::Serialize>(record: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(record).unwrap_or_default())
}

fn decode<T: serde::de::DeserializeOwned>(subject: &str, body: &[u8]) -> Result<T, DefinitionError> {
    serde_json::from_slice(body).map_err(|error| DefinitionError::Damaged { subject: subject.to_owned(), reason: error.to_string() })
}

fn verified(subject: &str, digest: &Digest, bytes: Vec<u8>) -> Result<Vec<u8>, DefinitionError> {
    let found = Digest::of(&bytes);
    if found == *digest {
        return Ok(bytes);
    }
    Err(DefinitionError::Damaged { subject: subject.to_owned(), reason: format!("its SHA-256 is {found}") })
}
