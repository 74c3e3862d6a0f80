//! Every head of a kind: read whole once, and from then on only what was written since. A command by name looks through all
//! of them, however many there are.

use std::collections::BTreeMap;

use orrery_contracts::subjects;

use super::heads::{Head, Kept};
use super::{DefinitionError, decode};
use crate::streams::{Link, Streams};

/// The heads whose keys begin alike.
#[derive(Debug)]
pub(super) struct Shelf<H> {
    /// Which connection they were read on: behind another one may be another broker.
    connection: u64,
    /// Everything up to this sequence of the bucket was read.
    read_to: u64,
    heads: BTreeMap<String, Kept<H>>,
}

impl<H> Default for Shelf<H> {
    fn default() -> Self {
        Self { connection: 0, read_to: 0, heads: BTreeMap::new() }
    }
}

impl<H: Head + Clone> Shelf<H> {
    /// All of them, as they stand now; `prefix` is the beginning of their keys: `stack.`.
    pub(super) async fn current(&mut self, streams: &Streams, prefix: &str) -> Result<Vec<Kept<H>>, DefinitionError> {
        let connection = match *streams.link().borrow() {
            Link::Connected(count) => count,
            Link::Away(_) => 0,
        };
        if connection != self.connection {
            *self = Self { connection, ..Self::default() };
        }
        let filter = format!("$KV.{}.{prefix}>", subjects::HEADS);
        let stream = format!("KV_{}", subjects::HEADS);
        let away = |reason: String| DefinitionError::Away { subject: filter.clone(), reason };
        while let Some(item) = streams.next(&stream, &filter, self.read_to.saturating_add(1)).await.map_err(away)? {
            self.read_to = item.seq;
            if item.body.is_empty() {
                self.heads.remove(&item.subject);
                continue;
            }
            match decode(&item.subject, &item.body) {
                Ok(value) => drop(self.heads.insert(item.subject, Kept { value, revision: item.seq })),
                Err(damaged) => {
                    // It is asked about again, as long as it stands.
                    *self = Self::default();
                    return Err(damaged);
                }
            }
        }
        Ok(self.heads.values().cloned().collect())
    }
}
