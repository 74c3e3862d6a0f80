//! An observation of a container, or that it is gone. Nothing is told when only the listing is a newer one.

use orrery_contracts::ContainerObservation;

use super::{Projection, Verdict};
use crate::errors::ProjectError;
use crate::message::Message;
use crate::queries::containers::{self, ContainerKey};

pub(super) async fn apply(to: &mut Projection<'_>, message: &Message, host: &str, id: &str) -> Result<Verdict, ProjectError> {
    let key = ContainerKey { host: host.to_owned(), id: id.to_owned() };
    if message.is_tombstone() {
        if let Some(gone) = containers::gone(to.db, &key).await? {
            to.changes.container_gone(&gone);
        }
        return Ok(Verdict::Taken);
    }
    let now: ContainerObservation = match serde_json::from_slice(&message.body) {
        Ok(now) => now,
        Err(error) => return Ok(Verdict::unreadable(&error)),
    };
    if now.host != host || now.id != id {
        return Ok(Verdict::Passed(format!("it is about {} on {} and lies under {}", now.id, now.host, message.subject)));
    }
    let before = containers::find(to.db, &key).await?;
    containers::seen(to.db, &now).await?;
    tell(to, before, &now);
    Ok(Verdict::Taken)
}

fn tell(to: &mut Projection<'_>, before: Option<ContainerObservation>, now: &ContainerObservation) {
    let moved_from = before.as_ref().and_then(|before| before.stack_id).filter(|stack| Some(*stack) != now.stack_id);
    let same = before.is_some_and(|before| ContainerObservation { epoch: now.epoch, ..before } == *now);
    if !same {
        let ours = now.stack_id.filter(|_| now.installation == Some(to.installation));
        to.changes.container(&now.host, &now.id, ours);
        if let Some(stack) = moved_from {
            to.changes.stack(stack);
        }
    }
}
