//! The whole history of an installation: what its broker has stored, what its engine says that it made, and what its api has
//! answered; in one file that can be held against the promises at any time.

mod file;
mod promises;
mod watch;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use async_nats::jetstream;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures::StreamExt as _;
use orrery_contracts::{Time, subjects};
use orrery_queue::streams::Item;
use serde::{Deserialize, Serialize};

use crate::api::Told;
use crate::installation::Installation;
pub use watch::{EngineEvent, Watch};

/// Everything that was stored, made and said.
#[derive(Debug, Default)]
pub struct History {
    /// COMMANDS, in order.
    pub commands: Vec<Item>,
    /// EVENTS, in order.
    pub events: Vec<Item>,
    /// What the engine says of the installation's containers, in order.
    pub engine: Vec<EngineEvent>,
    /// What the api has said of commands.
    pub told: Vec<Told>,
    /// When the broker was recovered, in order.
    pub recoveries: Vec<Recovery>,
}

/// From when to when a broker was recovered. What it stored meanwhile are copies of what it had lost, at their numbers and with
/// new times: of these a message's own time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// From when.
    pub began: Time,
    /// To when.
    pub ended: Time,
}

impl History {
    /// Gathers it; the engine was watched since the installation was started.
    ///
    /// # Errors
    /// When the broker or the engine does not answer.
    pub async fn of(orrery: &Installation, watch: &Watch) -> anyhow::Result<Self> {
        let history = Self::gather(&orrery.reading().await?, watch, orrery.api.told()).await?;
        Ok(Self { recoveries: orrery.recoveries.clone(), ..history })
    }

    /// The same of an installation without an api.
    ///
    /// # Errors
    /// When the broker or the engine does not answer.
    pub async fn gather(reading: &jetstream::Context, watch: &Watch, told: Vec<Told>) -> anyhow::Result<Self> {
        // The engine first: what it made is on record before.
        let engine = watch.seen().await?;
        Ok(Self { engine, told, ..Self::stored(reading).await? })
    }

    /// What the broker has stored, and nothing else: for tests without an engine or an api.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn stored(reading: &jetstream::Context) -> anyhow::Result<Self> {
        let (commands, events) = (all(reading, subjects::COMMANDS).await?, all(reading, subjects::EVENTS).await?);
        Ok(Self { commands, events, ..Self::default() })
    }

    /// Writes it to a file, in the folder that `ORRERY_HISTORY_DIR` names, and holds against the promises what the file says.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn audited(&self, name: &str) -> anyhow::Result<()> {
        let folder = std::env::var_os("ORRERY_HISTORY_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let scratch = tempfile::tempdir().context("make a folder")?;
        let path = folder.unwrap_or_else(|| scratch.path().to_owned()).join(format!("{name}-{}.jsonl", uuid::Uuid::now_v7()));
        self.write(&path)?;
        let read = Self::read(&path)?;
        let counts = |of: &Self| [of.commands.len(), of.events.len(), of.engine.len(), of.told.len(), of.recoveries.len()];
        ensure!(counts(&read) == counts(self), "{} does not hold the whole history", path.display());
        read.check()
    }
}

/// Everything on a stream.
async fn all(jetstream: &jetstream::Context, name: &str) -> anyhow::Result<Vec<Item>> {
    let mut stream = jetstream.get_stream(name).await?;
    let last = stream.info().await?.state.last_sequence;
    let config = pull::OrderedConfig { deliver_policy: DeliverPolicy::All, ..pull::OrderedConfig::default() };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    let mut items: Vec<Item> = Vec::new();
    while items.last().map_or(0, |item| item.seq) < last {
        let message = messages.next().await.context("the consumer ended")??;
        let info = message.info().map_err(|error| anyhow::anyhow!("{error}"))?;
        let (seq, at) = (info.stream_sequence, Time::new(info.published));
        ensure!(items.last().is_none_or(|before| before.seq + 1 == seq), "{name} has a gap before {seq}");
        let headers = message.headers.clone().unwrap_or_default();
        items.push(Item { seq, subject: message.subject.to_string(), headers, body: message.payload.clone(), at });
    }
    Ok(items)
}
