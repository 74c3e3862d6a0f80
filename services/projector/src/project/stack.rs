//! What became of a stack, by the word of its executor. A repeat changes nothing.

use orrery_contracts::{Secret, StackChange, StackEvent, StackId};

use super::{Projection, Verdict};
use crate::errors::ProjectError;
use crate::message::Message;
use crate::queries::commands;
use crate::queries::stacks::{self, Kind, NewStack, NewVersion};

pub(super) async fn apply(to: &mut Projection<'_>, message: &Message, id: StackId) -> Result<Verdict, ProjectError> {
    let event: StackEvent = match serde_json::from_slice(&message.body) {
        Ok(event) => event,
        Err(error) => return Ok(Verdict::unreadable(&error)),
    };
    if event.stack_id != id {
        return Ok(Verdict::Passed(format!("it is about stack {} and lies under {id}", event.stack_id)));
    }
    to.changes.stack(id);
    changed(to, &event).await?;
    Ok(Verdict::Taken)
}

async fn changed(to: &mut Projection<'_>, event: &StackEvent) -> Result<(), ProjectError> {
    let StackEvent { stack_id: id, seq, at, ref change, .. } = *event;
    match change {
        StackChange::Created { name, owner, project, host } => {
            let new = NewStack { kind: Kind::Stack, id, name: name.as_str(), owner: owner.as_str(), project, host, command: seq, at };
            stacks::created(to.db, new).await?;
            waiting_for(to, id).await?;
        }
        StackChange::VersionCreated { version, parent, author, comment, digest, files } => {
            let (author, digest) = (author.as_str(), digest.as_str());
            let (version, parent) = (*version, *parent);
            let new = NewVersion { stack: id, version, parent, author, comment, digest, files, command: seq, at };
            stacks::version_created(to.db, new).await?;
            commands::made_version(to.db, seq, version).await?;
            to.changes.version(id, version);
        }
        StackChange::HeadMoved { current, services, .. } => stacks::head_moved(to.db, id, *current, services, seq).await?,
        StackChange::DesiredChanged { desired } => stacks::desired_changed(to.db, id, *desired, seq).await?,
        StackChange::SecretsChanged { secrets } => stacks::secrets_changed(to.db, id, &Secret::all(secrets), seq).await?,
        StackChange::Deleted { volumes: _ } => {
            stacks::deleted(to.db, id, seq, at).await?;
            waiting_for(to, id).await?;
            if let Some(gone) = stacks::named(to.db, id).await? {
                to.changes.stack_gone(&gone);
            }
        }
    }
    Ok(())
}

/// What waits with this stack's name means another stack now.
pub(super) async fn waiting_for(to: &mut Projection<'_>, id: StackId) -> Result<(), ProjectError> {
    let Some(it) = stacks::named(to.db, id).await? else { return Ok(()) };
    for command in commands::resolve_waiting(to.db, &it.owner, &it.name).await? {
        let stack = commands::stack_of(to.db, command).await?;
        to.changes.command(command, stack.map(StackId::new));
    }
    Ok(())
}
