//! A history as a file: one line of JSON for each message, event and answer, in the order in which they were gathered.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orrery_contracts::Time;
use orrery_queue::streams::Item;
use serde::{Deserialize, Serialize};

use super::{EngineEvent, History, Recovery};
use crate::api::Told;

#[derive(Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase")]
enum Line {
    Command(Stored),
    Event(Stored),
    Engine(EngineEvent),
    Answer(Told),
    Recovery(Recovery),
}

/// A message of a stream.
#[derive(Serialize, Deserialize)]
struct Stored {
    seq: u64,
    at: Time,
    subject: String,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Body {
    Text(String),
    /// What is no text.
    Base64(String),
}

impl Stored {
    fn of(item: &Item) -> Self {
        let body =
            std::str::from_utf8(&item.body).map_or_else(|_| Body::Base64(STANDARD.encode(&item.body)), |text| Body::Text(text.into()));
        Self { seq: item.seq, at: item.at, subject: item.subject.clone(), body }
    }

    fn item(self) -> anyhow::Result<Item> {
        let body = match self.body {
            Body::Text(text) => text.into_bytes(),
            Body::Base64(text) => STANDARD.decode(text)?,
        };
        Ok(Item { seq: self.seq, subject: self.subject, headers: async_nats::HeaderMap::new(), body: body.into(), at: self.at })
    }
}

impl History {
    /// Writes it to a file; folders are made.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let what = || format!("write {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(what)?;
        }
        let commands = self.commands.iter().map(|item| Line::Command(Stored::of(item)));
        let events = self.events.iter().map(|item| Line::Event(Stored::of(item)));
        let engine = self.engine.iter().map(|event| Line::Engine(event.clone()));
        let told = self.told.iter().map(|told| Line::Answer(told.clone()));
        let recoveries = self.recoveries.iter().map(|recovery| Line::Recovery(*recovery));
        let mut file = BufWriter::new(File::create(path).with_context(what)?);
        for line in commands.chain(events).chain(engine).chain(told).chain(recoveries) {
            serde_json::to_writer(&mut file, &line).with_context(what)?;
            file.write_all(b"\n").with_context(what)?;
        }
        file.flush().with_context(what)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// When the file is not there, or a line is not of a history.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut history = Self::default();
        for (n, line) in BufReader::new(file).lines().enumerate() {
            let place = || format!("{}, line {}", path.display(), n + 1);
            match serde_json::from_str(&line.with_context(place)?).with_context(place)? {
                Line::Command(stored) => history.commands.push(stored.item().with_context(place)?),
                Line::Event(stored) => history.events.push(stored.item().with_context(place)?),
                Line::Engine(event) => history.engine.push(event),
                Line::Answer(told) => history.told.push(told),
                Line::Recovery(recovery) => history.recoveries.push(recovery),
            }
        }
        Ok(history)
    }
}
