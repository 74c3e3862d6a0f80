//! The whole history of an installation as its broker and its engine have it, and whether it keeps what was promised.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use bollard::query_parameters::EventsOptions;
use futures::{StreamExt as _, TryStreamExt as _};
use orrery_contracts::{Time, subjects};
use orrery_queue::streams::Item;

use crate::engine::{Engine, PROJECT};
use crate::installation::Installation;

/// Everything that was stored, and what the engine says that it made.
#[derive(Debug)]
pub struct History {
    /// COMMANDS, in order.
    pub commands: Vec<Item>,
    /// EVENTS, in order.
    pub events: Vec<Item>,
    /// How often each container was created, by project and name without the suffix for a while.
    pub created: BTreeMap<(String, String), u32>,
}

impl History {
    /// Gathers it; `since` is when the installation was started, in seconds since 1970.
    ///
    /// # Errors
    /// When the broker or the engine does not answer.
    pub async fn of(orrery: &Installation, since: i64) -> anyhow::Result<Self> {
        Ok(Self {
            commands: all(orrery, subjects::COMMANDS).await?,
            events: all(orrery, subjects::EVENTS).await?,
            created: created(&orrery.engine, since).await?,
        })
    }

    /// Checks the promises of the queue: order, one at a time, final ends, no step of an older run.
    ///
    /// # Errors
    /// The first that was broken.
    pub fn check(&self) -> anyhow::Result<()> {
        orrery_simulation::audit(&self.commands, &self.events).map_err(|broken| anyhow::anyhow!("a promise is broken: {broken}"))
    }
}

/// Everything on a stream.
async fn all(orrery: &Installation, name: &str) -> anyhow::Result<Vec<Item>> {
    let jetstream = orrery.reading().await?;
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

async fn created(engine: &Engine, since: i64) -> anyhow::Result<BTreeMap<(String, String), u32>> {
    let filters = [("type".to_owned(), vec!["container".to_owned()]), ("event".to_owned(), vec!["create".to_owned()])];
    let until = time::OffsetDateTime::now_utc().unix_timestamp() + 1;
    let options = EventsOptions { since: Some(since.to_string()), until: Some(until.to_string()), filters: Some(filters.into()) };
    let events: Vec<_> = engine.docker().events(Some(options)).try_collect().await?;
    let mut created = BTreeMap::new();
    for attributes in events.into_iter().filter_map(|event| event.actor?.attributes) {
        let (Some(project), Some(name)) = (attributes.get(PROJECT), attributes.get("name")) else { continue };
        let settled = name.split(".orrery-").next().unwrap_or(name).to_owned();
        *created.entry((project.clone(), settled)).or_default() += 1;
    }
    Ok(created)
}
