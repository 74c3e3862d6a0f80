//! `GET /containers/{id}/logs` and `GET /stacks/{id}/logs`: lines as the executor reads them from the engine. Nothing is
//! kept here.
//!
//! An event's id is its line's time, so that a reader who comes back is not told the same again.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use orrery_contracts::rest::Stack;
use orrery_contracts::rpc::{LogLine, LogsQuestion, StreamFrame};
use orrery_contracts::{Engine, Time};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::KEEP_ALIVE;
use super::pipe::{Events, Inlet, pipe};
use crate::auth::Principal;
use crate::broker::Frames;
use crate::extract::{At, Params};
use crate::problems::{Answer, Refusal};
use crate::queries::containers;
use crate::queries::named::{self, NamedPath};
use crate::state::Api;

/// The variable of `/containers/{id}/logs`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ContainerPath {
    /// The engine's id, or twelve characters of its beginning.
    pub id: String,
}

/// Which lines are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// Go on with what comes: `true`, `1`, or nothing behind the name.
    pub follow: Option<String>,
    /// So many of the last lines: 200 when following, all otherwise; `all`.
    pub tail: Option<String>,
    /// Only lines from this time on (RFC 3339).
    pub since: Option<String>,
}

/// Lines of a container.
pub async fn of_container(
    State(api): State<Api>,
    principal: Principal,
    headers: HeaderMap,
    At(path): At<ContainerPath>,
    Params(lines): Params<Lines>,
) -> Answer<Events> {
    let container = containers::locate(&api, &principal, &path.id).await?;
    let question = LogsQuestion { containers: vec![container.id], stack_id: None, ..lines.question(&headers)? };
    stream(api, principal, &container.host, &question).await
}

/// Lines of all containers of a stack.
pub async fn of_stack(
    State(api): State<Api>,
    principal: Principal,
    headers: HeaderMap,
    At(path): At<NamedPath>,
    Params(lines): Params<Lines>,
) -> Answer<Events> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    let question = LogsQuestion { containers: Vec::new(), stack_id: Some(stack.id), ..lines.question(&headers)? };
    stream(api, principal, &stack.host, &question).await
}

impl Lines {
    /// The question to the executor; who comes back says in `Last-Event-ID` what he has seen.
    ///
    /// # Errors
    /// 422 when something of it cannot be read.
    pub fn question(&self, headers: &HeaderMap) -> Answer<LogsQuestion> {
        let follow = match self.follow.as_deref() {
            None | Some("false" | "0") => false,
            Some("" | "true" | "1") => true,
            Some(other) => return Err(Refusal::invalid(format!("follow={other}: use true or false"))),
        };
        let seen = headers.get("last-event-id").and_then(|value| Time::parse(value.to_str().ok()?).ok());
        let since = match self.since.as_deref() {
            Some(text) => Some(Time::parse(text).map_err(|_| Refusal::invalid(format!("since={text}: write it as 2026-01-31T12:00:00Z")))?),
            None => None,
        };
        // Who comes back wants what he missed, however much that was.
        let tail = match self.tail.as_deref() {
            _ if seen.is_some() => None,
            None if follow && since.is_none() => Some(200),
            None | Some("all") => None,
            Some(text) => Some(text.parse().map_err(|_| Refusal::invalid(format!("tail={text}: use a number or all")))?),
        };
        let after = seen.map(|seen| Time::new(seen.inner() + std::time::Duration::from_micros(1)));
        Ok(LogsQuestion { containers: Vec::new(), stack_id: None, follow, tail, since: after.or(since) })
    }
}

async fn stream(api: Api, principal: Principal, host: &str, question: &LogsQuestion) -> Answer<Events> {
    let frames = api.broker.ask_for_frames(&api.executors, (Engine::Docker, host), "logs", question).await?;
    let (inlet, events) = pipe();
    tokio::spawn(tell(api, principal, frames, inlet));
    Ok(events)
}

async fn tell(api: Api, principal: Principal, mut frames: Frames, inlet: Inlet) {
    let mut checked = Instant::now();
    loop {
        let frame = tokio::select! {
            () = api.ending.cancelled() => return,
            () = inlet.closed() => return,
            () = tokio::time::sleep_until(checked + KEEP_ALIVE) => {
                checked = Instant::now();
                if principal.is_still_good(&api).await.unwrap_or(false) {
                    continue;
                }
                return;
            }
            frame = frames.next() => frame,
        };
        let open = match frame {
            Some(StreamFrame::Lines(lines)) => put(&inlet, &lines).await,
            Some(StreamFrame::End { problem: Some(problem) }) => {
                let data = serde_json::to_string(&problem).unwrap_or_default();
                inlet.put(Event::default().event("problem").data(data)).await;
                false
            }
            Some(StreamFrame::End { problem: None }) => {
                inlet.put(Event::default().event("end").data("{}")).await;
                false
            }
            Some(StreamFrame::Open { .. } | StreamFrame::Bytes(_)) => true,
            None => false,
        };
        if !open {
            return;
        }
    }
}

async fn put(inlet: &Inlet, lines: &[LogLine]) -> bool {
    for line in lines {
        let Ok(data) = serde_json::to_string(line) else { continue };
        if !inlet.put(Event::default().id(line.time.to_string()).data(data)).await {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use axum::http::HeaderMap;

    #[test]
    fn who_comes_back_is_told_what_he_missed_and_nothing_twice() {
        let lines = Lines { follow: Some("true".into()), tail: Some("200".into()), since: None };
        let first = lines.question(&HeaderMap::new()).unwrap();
        assert_eq!((first.tail, first.since, first.follow), (Some(200), None, true));
        let headers = [("last-event-id".parse().unwrap(), "2026-01-02T03:04:05.000001Z".parse().unwrap())].into_iter().collect();
        let again = lines.question(&headers).unwrap();
        assert_eq!(again.tail, None);
        assert_eq!(again.since.unwrap().to_string(), "2026-01-02T03:04:05.000002Z");
    }

    #[test]
    fn a_strange_parameter_is_told() {
        let strange = |lines: Lines| lines.question(&HeaderMap::new()).is_err();
        assert!(strange(Lines { follow: Some("yes please".into()), ..Lines::default() }));
        assert!(strange(Lines { tail: Some("-1".into()), ..Lines::default() }));
        assert!(strange(Lines { since: Some("yesterday".into()), ..Lines::default() }));
    }
}
