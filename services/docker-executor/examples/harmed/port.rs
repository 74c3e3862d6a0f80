//! The way to the broker: a point before and after each message that is stored, and the two controls.

use std::sync::Arc;

use anyhow::bail;
use async_nats::HeaderMap;
use bytes::Bytes;
use futures::stream::BoxStream;
use orrery_contracts::subjects::EventSubject;
use orrery_contracts::{Status, StepEntry, StepMessage, TransitionMessage, subjects};
use orrery_queue::Link;
use orrery_queue::streams::{Asked, Bounds, Item, Port};
use tokio::sync::watch;

use crate::points::Points;

/// A promise that is taken away, so that a campaign has to find it missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// None.
    Nothing,
    /// Transitions and steps are stored without their compare-and-set.
    Unchecked,
    /// What an earlier run has begun is not known to the next one.
    Blind,
}

impl Control {
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        match std::env::var("ORRERY_CONTROL").unwrap_or_default().as_str() {
            "" => Ok(Self::Nothing),
            "unchecked" => Ok(Self::Unchecked),
            "blind" => Ok(Self::Blind),
            other => bail!("ORRERY_CONTROL is unchecked, blind, or nothing, and not {other:?}"),
        }
    }
}

/// A port with points.
pub(crate) struct Harmed {
    pub(crate) port: Arc<dyn Port>,
    pub(crate) points: Arc<Points>,
    pub(crate) control: Control,
}

impl Harmed {
    async fn store(&self, subject: &str, mut headers: HeaderMap, body: Bytes) -> Result<u64, String> {
        let about = subjects::parse_event(subject);
        if self.control == Control::Unchecked && matches!(about, Some(EventSubject::Transition(_) | EventSubject::Step(_))) {
            headers = HeaderMap::new();
        }
        let status = match about {
            Some(EventSubject::Transition(_)) => status(&body),
            Some(EventSubject::Step(_) | EventSubject::Cancel(_) | EventSubject::Stack(_) | EventSubject::Machine(_)) | None => None,
        };
        if status == Some(Status::Running) {
            self.points.begin();
        }
        let what = what(subject, about, &body);
        if let Some(what) = &what {
            self.points.pass(&format!("before {what}"));
        }
        let answer = self.port.store(subject, headers, body).await;
        if let Some(what) = &what {
            self.points.pass(&format!("after {what}"));
        }
        if let (Some(EventSubject::Transition(seq)), Some(Status::Done | Status::Failed | Status::Cancelled), true) =
            (about, status, answer.is_ok())
        {
            self.points.end(seq);
        }
        answer
    }

    /// An entry of the step log as a blind executor sees it: something was begun, and nobody knows what.
    fn seen(&self, item: Item) -> Item {
        if self.control != Control::Blind || !matches!(subjects::parse_event(&item.subject), Some(EventSubject::Step(_))) {
            return item;
        }
        let Ok(message) = serde_json::from_slice::<StepMessage>(&item.body) else { return item };
        let StepEntry::Started { subject, plan, .. } = message.entry else { return item };
        let entry = StepEntry::Started { action: "hidden".to_owned(), subject, plan };
        let body = serde_json::to_vec(&StepMessage { entry, ..message }).map(Bytes::from);
        Item { body: body.unwrap_or_else(|_| item.body.clone()), ..item }
    }
}

fn status(body: &[u8]) -> Option<Status> {
    serde_json::from_slice::<TransitionMessage>(body).ok().map(|message| message.change.status())
}

/// What a message is, in words; none where it belongs to no command: marks and schemas move by themselves.
fn what(subject: &str, about: Option<EventSubject>, body: &[u8]) -> Option<String> {
    match about {
        Some(EventSubject::Transition(_)) => Some(status(body).map_or("a transition", Status::as_str).to_owned()),
        Some(EventSubject::Step(_)) => Some(serde_json::from_slice(body).map_or_else(|_| "a step".to_owned(), |step| entry(&step))),
        Some(EventSubject::Cancel(_) | EventSubject::Machine(_)) => None,
        Some(EventSubject::Stack(_)) => Some("what became of the stack".to_owned()),
        None if subject.contains(".queue.") || subject.contains(".schemas.") => None,
        None => Some(subject.split('.').nth(1).unwrap_or(subject).to_owned()),
    }
}

fn entry(step: &StepMessage) -> String {
    match &step.entry {
        StepEntry::Opened { .. } => "opened".to_owned(),
        StepEntry::Planned { .. } => "planned".to_owned(),
        StepEntry::Started { action, .. } => format!("started {action}"),
        StepEntry::Ended { .. } => "ended".to_owned(),
        StepEntry::Closed { .. } => "closed".to_owned(),
    }
}

impl Port for Harmed {
    fn link(&self) -> watch::Receiver<Link> {
        self.port.link()
    }

    fn bounds<'a>(&'a self, stream: &'a str) -> Asked<'a, Bounds> {
        self.port.bounds(stream)
    }

    fn message<'a>(&'a self, stream: &'a str, seq: u64) -> Asked<'a, Option<Item>> {
        self.port.message(stream, seq)
    }

    fn last<'a>(&'a self, stream: &'a str, subject: &'a str) -> Asked<'a, Option<Item>> {
        self.port.last(stream, subject)
    }

    fn next<'a>(&'a self, stream: &'a str, subject: &'a str, from: u64) -> Asked<'a, Option<Item>> {
        Box::pin(async move { Ok(self.port.next(stream, subject, from).await?.map(|item| self.seen(item))) })
    }

    fn store<'a>(&'a self, subject: &'a str, headers: HeaderMap, body: Bytes) -> Asked<'a, u64> {
        Box::pin(Self::store(self, subject, headers, body))
    }

    fn follow<'a>(&'a self, stream: &'a str, from: u64) -> Asked<'a, BoxStream<'static, Result<Item, String>>> {
        self.port.follow(stream, from)
    }

    fn upload<'a>(&'a self, name: &'a str, most: u64) -> Asked<'a, Option<Vec<u8>>> {
        self.port.upload(name, most)
    }

    fn provisioned<'a>(&'a self, streams: &'a [&'a str]) -> Asked<'a, ()> {
        self.port.provisioned(streams)
    }

    fn tell(&self, subject: String, body: Bytes) -> Asked<'_, ()> {
        self.port.tell(subject, body)
    }
}
