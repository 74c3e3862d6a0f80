//! `GET /events`: everything the caller may see, as it changes, in the order of the projector's feed.
//!
//! An event's id is `<generation>-<n>`. Who comes back with one goes on behind it; where that is not possible any more
//! he is told `reset`, and loads again. Each event carries the thing as it was when it was told first.
//!
//! `figures` is an event of another kind: it says that machines have newer figures, has no id and no place, and is not told again.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use futures::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::KEEP_ALIVE;
use super::pipe::Events;
use super::telling::{self, Behind, Older, Place, Told};
use crate::auth::Principal;
use crate::extract::Params;
use crate::problems::Answer;
use crate::state::Api;

/// Where to go on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// The id of the last event that was seen; the header `Last-Event-ID` wins.
    pub after: Option<String>,
}

/// Tells what changes.
pub async fn events(State(api): State<Api>, principal: Principal, headers: HeaderMap, Params(asked): Params<After>) -> Answer<Events> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let last = last.filter(|text| !text.is_empty()).or(asked.after);
    let (head, oldest) = telling::head(&api).await?;
    let begins_at = match last.as_deref() {
        None => Some(head),
        Some(text) => Place::read(text).filter(|place| place.generation == head.generation && (oldest..=head.n).contains(&place.n)),
    };
    let (first, place) = match begins_at {
        // An id without data: the reader can come back to here, and nothing is shown.
        Some(place) => (Event::default().id(place.id()).comment("here"), place),
        None => (reset(head), head),
    };
    let moved = api.telling.follow();
    let figures = api.figures.follow();
    let reader = Reader { api, principal, place, waiting: VecDeque::new(), moved, figures, checked: Instant::now() };
    Ok(Events::new(stream::once(std::future::ready(first)).chain(stream::unfold(reader, Reader::next))))
}

/// What the reader has may be old: he loads again, and goes on from here.
fn reset(place: Place) -> Event {
    Event::default().event("reset").id(place.id()).data("{}")
}

/// One who listens. He holds a place and little else: an event is made for him when his connection takes it.
struct Reader {
    api: Api,
    principal: Principal,
    /// Everything up to here was told, or waits.
    place: Place,
    waiting: VecDeque<Arc<Told>>,
    moved: watch::Receiver<()>,
    figures: watch::Receiver<()>,
    checked: Instant,
}

impl Reader {
    /// The next event; none when the stream ends: with the session, with the service, with the database.
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            if self.checked.elapsed() >= KEEP_ALIVE {
                self.checked = Instant::now();
                if !self.principal.is_still_good(&self.api).await.unwrap_or(false) {
                    return None;
                }
            }
            if let Some(told) = self.waiting.pop_front() {
                return Some((told.event(self.place.generation), self));
            }
            self.moved.borrow_and_update();
            match self.api.telling.behind(self.place, self.principal.sees_only()) {
                Behind::Told(told) => {
                    self.place.n = told.n();
                    self.waiting.push_back(told);
                }
                Behind::Nothing(place) => {
                    self.place = place;
                    tokio::select! {
                        () = self.api.ending.cancelled() => return None,
                        Ok(()) = self.figures.changed() => return Some((Event::default().event("figures").data("{}"), self)),
                        _ = tokio::time::timeout(KEEP_ALIVE, self.moved.changed()) => {}
                    }
                }
                Behind::Anew(place) => return Some(self.again_from(place)),
                Behind::Older => match telling::older(&self.api, self.place, self.principal.sees_only()).await {
                    Ok(Older::Told(told, place)) => {
                        self.waiting.extend(told.into_iter().map(Arc::new));
                        self.place = place;
                    }
                    Ok(Older::Anew(place)) => return Some(self.again_from(place)),
                    // The database is away: the connection ends, and the reader comes back with his last id.
                    Err(refusal) => {
                        tracing::debug!("an event stream ends: {}", refusal.problem().detail);
                        return None;
                    }
                },
            }
        }
    }

    fn again_from(mut self, place: Place) -> (Event, Self) {
        self.place = place;
        (reset(place), self)
    }
}
