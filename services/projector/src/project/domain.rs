//! An observation of a domain or of a box, or that it is gone. Nothing is told when only the listing is a newer one.

use orrery_contracts::{BoxObservation, MachineObservation, StackId};
use uuid::Uuid;

use super::{Projection, Verdict};
use crate::errors::ProjectError;
use crate::message::Message;
use crate::queries::domains;

pub(super) async fn machine(to: &mut Projection<'_>, message: &Message, host: &str, id: &str) -> Result<Verdict, ProjectError> {
    let Ok(uuid) = id.parse::<Uuid>() else { return Ok(Verdict::Passed(format!("{id} is no UUID"))) };
    if message.is_tombstone() {
        if let Some(machine) = domains::gone(to.db, host, uuid).await? {
            to.changes.stack(machine);
        }
        return Ok(Verdict::Taken);
    }
    let now: MachineObservation = match serde_json::from_slice(&message.body) {
        Ok(now) => now,
        Err(error) => return Ok(Verdict::unreadable(&error)),
    };
    if now.host != host || now.uuid != uuid {
        return Ok(Verdict::Passed(format!("it is about {} on {} and lies under {}", now.uuid, now.host, message.subject)));
    }
    let changed = domains::seen(to.db, &now).await?;
    if let Some(machine) = now.machine_id.filter(|_| changed && now.installation == Some(to.installation)) {
        to.changes.stack(StackId::new(machine.uuid()));
    }
    Ok(Verdict::Taken)
}

pub(super) async fn boxed(to: &mut Projection<'_>, message: &Message, host: &str, name: &str) -> Result<Verdict, ProjectError> {
    if message.is_tombstone() {
        domains::box_gone(to.db, host, name).await?;
        return Ok(Verdict::Taken);
    }
    let now: BoxObservation = match serde_json::from_slice(&message.body) {
        Ok(now) => now,
        Err(error) => return Ok(Verdict::unreadable(&error)),
    };
    if now.host != host || now.name != name {
        return Ok(Verdict::Passed(format!("it is about {} on {} and lies under {}", now.name, now.host, message.subject)));
    }
    domains::box_seen(to.db, &now).await?;
    Ok(Verdict::Taken)
}
