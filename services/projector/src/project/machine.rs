//! What became of a machine, by the word of its executor. A repeat changes nothing.

use orrery_contracts::{MachineChange, MachineEvent, MachineId, StackId};

use super::stack::waiting_for;
use super::{Projection, Verdict};
use crate::errors::ProjectError;
use crate::message::Message;
use crate::queries::commands;
use crate::queries::stacks::{self, Kind, NewStack, NewVersion};

pub(super) async fn apply(to: &mut Projection<'_>, message: &Message, id: MachineId) -> Result<Verdict, ProjectError> {
    let event: MachineEvent = match serde_json::from_slice(&message.body) {
        Ok(event) => event,
        Err(error) => return Ok(Verdict::unreadable(&error)),
    };
    if event.machine_id != id {
        return Ok(Verdict::Passed(format!("it is about machine {} and lies under {id}", event.machine_id)));
    }
    let row = StackId::new(id.uuid());
    to.changes.stack(row);
    changed(to, row, &event).await?;
    Ok(Verdict::Taken)
}

async fn changed(to: &mut Projection<'_>, id: StackId, event: &MachineEvent) -> Result<(), ProjectError> {
    let MachineEvent { seq, at, ref change, .. } = *event;
    match change {
        MachineChange::Created { name, owner, domain, host } => {
            let (name, owner) = (name.as_str(), owner.as_str());
            stacks::created(to.db, NewStack { kind: Kind::Machine, id, name, owner, project: domain, host, command: seq, at }).await?;
            waiting_for(to, id).await?;
        }
        MachineChange::VersionCreated { version, parent, author, comment, digest, files } => {
            let (author, digest) = (author.as_str(), digest.as_str());
            let (version, parent) = (*version, *parent);
            let new = NewVersion { stack: id, version, parent, author, comment, digest, files, command: seq, at };
            stacks::version_created(to.db, new).await?;
            commands::made_version(to.db, seq, version).await?;
            to.changes.version(id, version);
        }
        MachineChange::HeadMoved { current, machine } => {
            stacks::head_moved(to.db, id, *current, &[], seq).await?;
            stacks::summarised(to.db, id, machine.as_ref(), seq).await?;
        }
        MachineChange::DesiredChanged { desired } => stacks::desired_changed(to.db, id, *desired, seq).await?,
        MachineChange::Deleted { disks: _ } => {
            stacks::deleted(to.db, id, seq, at).await?;
            waiting_for(to, id).await?;
            if let Some(gone) = stacks::named(to.db, id).await? {
                to.changes.stack_gone(&gone);
            }
        }
    }
    Ok(())
}
