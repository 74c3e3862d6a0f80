//! `GET /events`: everything the caller may see, as it changes, in the order of the projector's feed.
//!
//! An event's id is `<generation>-<n>`. Who comes back with one goes on behind it; where that is not possible any more
//! he is told `reset`, and loads again. Each event carries the thing as it is when it is told.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use orrery_contracts::StackId;
use orrery_contracts::rest::{Container, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::KEEP_ALIVE;
use super::pipe::{Events, Inlet, pipe};
use crate::auth::Principal;
use crate::extract::Params;
use crate::problems::Answer;
use crate::queries::commands::Wanted;
use crate::queries::{commands, containers, sequence, small, stacks, steps, versions};
use crate::state::Api;

/// How many entries of the feed are read at once.
const BATCH: i64 = 500;

/// Where to go on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// The id of the last event that was seen; the header `Last-Event-ID` wins.
    pub after: Option<String>,
}

/// A place in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    generation: i64,
    n: i64,
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let (generation, n) = text.split_once('-')?;
        Some(Self { generation: generation.parse().ok()?, n: n.parse().ok()? })
    }

    fn id(self) -> String {
        format!("{}-{}", self.generation, self.n)
    }
}

/// A step, with the command that it belongs to.
#[derive(Serialize)]
struct StepOf {
    command: u64,
    attempt: u32,
    #[serde(flatten)]
    step: Step,
}

/// A container, with the stack that it belongs to.
#[derive(Serialize)]
struct ContainerOf {
    stack_id: Option<StackId>,
    #[serde(flatten)]
    container: Container,
}

/// Something that is not there any more.
#[derive(Serialize)]
struct Gone {
    id: String,
    stack_id: Option<StackId>,
    gone: bool,
}

/// Tells what changes.
pub async fn events(State(api): State<Api>, principal: Principal, headers: HeaderMap, Params(asked): Params<After>) -> Answer<Events> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let last = last.filter(|text| !text.is_empty()).or(asked.after);
    let news = api.feed.follow();
    let (head, oldest) = head(&api).await?;
    let (inlet, events) = pipe();
    let start = match last.as_deref() {
        None => Start::At(head),
        Some(text) => match Place::read(text) {
            Some(place) if place.generation == head.generation && place.n >= oldest && place.n <= head.n => Start::At(place),
            Some(_) | None => Start::Reset(head),
        },
    };
    tokio::spawn(tell(Teller { api, principal, inlet, news }, start));
    Ok(events)
}

enum Start {
    At(Place),
    Reset(Place),
}

/// Where the feed is, and the first place that one can go on from.
async fn head(api: &Api) -> Answer<(Place, i64)> {
    let row = sqlx::query!(
        r#"SELECT generation, n, (SELECT coalesce(min(f.n), h.n + 1) - 1 FROM read.feed f) AS "oldest!" FROM meta.feed_head h"#
    )
    .fetch_one(&api.database)
    .await?;
    Ok((Place { generation: row.generation, n: row.n }, row.oldest))
}

struct Teller {
    api: Api,
    principal: Principal,
    inlet: Inlet,
    news: watch::Receiver<u64>,
}

async fn tell(mut teller: Teller, start: Start) {
    let mut place = match start {
        Start::At(place) => {
            // An id without data: the reader can come back to here, and nothing is shown.
            if !teller.inlet.put(Event::default().id(place.id()).comment("here")).await {
                return;
            }
            place
        }
        Start::Reset(place) => {
            if !teller.reset(place).await {
                return;
            }
            place
        }
    };
    let mut checked = Instant::now();
    loop {
        match teller.batch(place).await {
            Ok(Some(next)) => place = next,
            Ok(None) => return,
            // The database is away: the connection ends, and the reader comes back with his last id.
            Err(refusal) => {
                tracing::debug!("an event stream ends: {}", refusal.problem().detail);
                return;
            }
        }
        tokio::select! {
            () = teller.api.ending.cancelled() => return,
            () = teller.inlet.closed() => return,
            _ = tokio::time::timeout(KEEP_ALIVE, teller.news.changed()) => {}
        }
        if checked.elapsed() >= KEEP_ALIVE {
            checked = Instant::now();
            if !teller.principal.is_still_good(&teller.api).await.unwrap_or(false) {
                return;
            }
        }
    }
}

impl Teller {
    async fn reset(&self, place: Place) -> bool {
        self.inlet.put(Event::default().event("reset").id(place.id()).data("{}")).await
    }

    /// Tells everything behind a place; answers the new place, or none when nobody reads any more.
    async fn batch(&self, mut place: Place) -> Answer<Option<Place>> {
        loop {
            let (head, oldest) = head(&self.api).await?;
            if head.generation != place.generation || place.n < oldest {
                return Ok(self.reset(head).await.then_some(head));
            }
            if head.n <= place.n {
                return Ok(Some(place));
            }
            let entries = self.entries(place).await?;
            let Some(last) = entries.last().map(|entry| entry.n) else {
                return Ok(Some(Place { n: head.n, ..place }));
            };
            for entry in latest_of_each(entries) {
                let id = Place { n: entry.n, ..place }.id();
                if let Some(event) = self.event(&entry).await?
                    && !self.inlet.put(event.id(id)).await
                {
                    return Ok(None);
                }
            }
            place.n = last;
        }
    }

    async fn entries(&self, place: Place) -> Answer<Vec<Entry>> {
        let entries = sqlx::query_as!(
            Entry,
            r#"SELECT n, kind, command, attempt, step, stack_id, version, host, container, gone FROM read.feed
               WHERE n > $1 AND ($2::text IS NULL OR owner = $2 OR actor = $2) ORDER BY n LIMIT $3"#,
            place.n,
            self.principal.sees_only(),
            BATCH
        )
        .fetch_all(&self.api.database)
        .await?;
        Ok(entries)
    }

    /// What an entry is about, as it is now; none when there is nothing to say.
    async fn event(&self, entry: &Entry) -> Answer<Option<Event>> {
        let api = &self.api;
        let stack_id = entry.stack_id.map(StackId::new);
        let told = match entry.kind.as_str() {
            "command" => {
                let Some(seq) = entry.command else { return Ok(None) };
                let found = commands::by_seq(api, &Wanted::seen_by(self.principal.sees_only()), sequence(seq)).await?;
                found.map(|command| as_event("command", &command))
            }
            "step" => {
                let (Some(seq), Some(attempt), Some(n)) = (entry.command, entry.attempt, entry.step) else { return Ok(None) };
                let step = steps::one(api, sequence(seq), small(attempt), small(n)).await?;
                step.map(|step| as_event("step", &StepOf { command: sequence(seq), attempt: small(attempt), step }))
            }
            "stack" => {
                let Some(id) = entry.stack_id else { return Ok(None) };
                let stack = stacks::by_id(api, &self.principal, id).await?;
                Some(stack.map_or_else(|| gone("stack", id.to_string(), stack_id), |stack| as_event("stack", &stack)))
            }
            "version" => {
                let (Some(stack), Some(version)) = (stack_id, entry.version) else { return Ok(None) };
                versions::find(api, stack, small(version)).await?.map(|version| as_event("version", &version))
            }
            "container" => {
                let (Some(host), Some(id)) = (&entry.host, &entry.container) else { return Ok(None) };
                let found = containers::one(api, host, id).await?;
                let left = || gone("container", id.clone(), stack_id);
                Some(found.map_or_else(left, |container| as_event("container", &ContainerOf { stack_id, container })))
            }
            // An engine that was listed again is nobody's news: `GET /hosts` shows it.
            _ => None,
        };
        Ok(told.flatten())
    }
}

fn as_event<T: Serialize>(kind: &str, data: &T) -> Option<Event> {
    match serde_json::to_string(data) {
        Ok(text) => Some(Event::default().event(kind).data(text)),
        Err(error) => {
            tracing::error!("an event of kind {kind} cannot be written: {error}");
            None
        }
    }
}

fn gone(kind: &str, id: String, stack_id: Option<StackId>) -> Option<Event> {
    as_event(kind, &Gone { id, stack_id, gone: true })
}

#[derive(Clone, Debug)]
struct Entry {
    n: i64,
    kind: String,
    command: Option<i64>,
    attempt: Option<i64>,
    step: Option<i64>,
    stack_id: Option<Uuid>,
    version: Option<i64>,
    host: Option<String>,
    container: Option<String>,
    gone: bool,
}

/// What is about one thing several times is told once, at its last place: it is told as it is now anyway.
fn latest_of_each(entries: Vec<Entry>) -> Vec<Entry> {
    let mut seen = HashSet::new();
    let mut latest: Vec<Entry> = entries
        .into_iter()
        .rev()
        .filter(|e| {
            seen.insert((
                e.kind.clone(),
                e.command.filter(|_| e.kind != "stack"),
                e.attempt,
                e.step,
                e.stack_id,
                e.version,
                e.container.clone(),
                e.gone,
            ))
        })
        .collect();
    latest.reverse();
    latest
}

#[cfg(test)]
mod tests {
    use super::{Entry, Place, latest_of_each};

    fn entry(n: i64, kind: &str, command: Option<i64>, step: Option<i64>) -> Entry {
        Entry {
            n,
            kind: kind.into(),
            command,
            attempt: Some(1),
            step,
            stack_id: None,
            version: None,
            host: None,
            container: None,
            gone: false,
        }
    }

    #[test]
    fn a_place_is_read_back() {
        let place = Place { generation: 1_795_252_894_745, n: 7 };
        assert_eq!(Place::read(&place.id()), Some(place));
        for strange in ["", "7", "a-b", "1-", "1-2-3"] {
            assert_eq!(Place::read(strange), None, "{strange}");
        }
    }

    #[test]
    fn what_changed_twice_is_told_once_at_its_last_place() {
        let entries = vec![
            entry(1, "command", Some(4), None),
            entry(2, "step", Some(4), Some(1)),
            entry(3, "step", Some(4), Some(2)),
            entry(4, "step", Some(4), Some(1)),
            entry(5, "command", Some(4), None),
        ];
        let places: Vec<i64> = latest_of_each(entries).iter().map(|entry| entry.n).collect();
        assert_eq!(places, [3, 4, 5]);
    }
}
