//! A message of COMMANDS: the command waits from now on, readable or not; what is wrong with it is its owner's to say.

use orrery_contracts::command::{Glance, Target, Versioning};
use orrery_contracts::subjects::{API_PUBLISHER, parse_command};
use orrery_contracts::{Action, CommandMessage, Digest, MachineId, OnFailure, StackId};

use super::{Projection, Verdict};
use crate::errors::ProjectError;
use crate::message::Message;
use crate::queries::commands::{self, Arrival};
use crate::queries::stacks::{self, Kind, NewStack};

/// The host that new stacks live on until the event of their creation says it.
const DEFAULT_HOST: &str = "local";

/// What is kept of an id that is none: an index does not take texts of any length.
const LONGEST_ID: usize = 200;

pub(super) async fn apply(to: &mut Projection<'_>, message: &Message) -> Result<Verdict, ProjectError> {
    let (publisher, id) = parse_command(&message.subject).unwrap_or(("", &message.subject));
    let read = CommandMessage::read(&message.body).and_then(|command| Ok((command.actor_for(publisher)?, command)));
    let arrival = arrival(to, message, publisher, id, read.as_ref().ok().map(|(_, command)| command));
    let stack = commands::insert(to.db, &arrival).await?;
    if let Ok((actor, command)) = &read
        && let Some(new) = creates(command, to, message.seq)
    {
        announce(to, message, publisher, actor.as_str(), &command.target, new).await?;
    }
    to.changes.command(message.seq, stack);
    Ok(read.err().map_or(Verdict::Taken, |rejection| Verdict::Passed(rejection.to_string())))
}

fn arrival(to: &Projection<'_>, message: &Message, publisher: &str, id: &str, read: Option<&CommandMessage>) -> Arrival {
    let glance = Glance::at(&message.body);
    // Only the api speaks for others: nobody else's word decides who gets to see a command.
    let actor = if publisher == API_PUBLISHER { glance.actor } else { Some(publisher.to_owned()) };
    let creates = read.and_then(|command| creates(command, to, message.seq));
    let target = glance.target.as_deref().and_then(|target| Target::parse(target).ok());
    let (stack_id, target_name) = match target {
        _ if creates.is_some() => (creates.map(|(_, id)| id), None),
        Some(Target::Id(id)) => (Some(StackId::new(id)), None),
        Some(Target::Own(name)) => (None, actor.clone().map(|owner| (owner, name.into()))),
        Some(Target::Of(owner, name)) => (None, Some((owner.into(), name.into()))),
        None => (None, None),
    };
    let releases = glance.on_failure.as_deref() == Some("release") || read.is_some_and(|read| read.on_failure == OnFailure::Release);
    Arrival {
        seq: message.seq,
        id: id.chars().take(LONGEST_ID).collect(),
        publisher: publisher.to_owned(),
        kind: glance.r#type,
        target: glance.target,
        target_name,
        actor,
        stack_id,
        version: read.and_then(|command| command.action.versioning()?.version()),
        on_failure: if releases { "release" } else { "hold" },
        sha256: Digest::of(&message.body).as_str().to_owned(),
        bytes: message.body.len() as u64,
        readable: read.is_some(),
        at: message.at(),
    }
}

/// A command without a word of its own.
pub(super) async fn bare(to: &mut Projection<'_>, message: &Message) -> Result<(), ProjectError> {
    let arrival = Arrival {
        seq: message.seq,
        id: String::new(),
        publisher: String::new(),
        kind: None,
        target: None,
        target_name: None,
        actor: None,
        stack_id: None,
        version: None,
        on_failure: "hold",
        sha256: Digest::of(&message.body).as_str().to_owned(),
        bytes: message.body.len() as u64,
        readable: false,
        at: message.at(),
    };
    commands::insert(to.db, &arrival).await?;
    to.changes.command(message.seq, None);
    Ok(())
}

/// What a command makes, and under which id; none when it makes nothing that is versioned.
fn creates(command: &CommandMessage, to: &Projection<'_>, seq: u64) -> Option<(Kind, StackId)> {
    let Versioning::Create { .. } = command.action.versioning()? else { return None };
    match command.action {
        Action::Stack(_) => Some((Kind::Stack, StackId::derive(to.installation, seq))),
        Action::Machine(_) => Some((Kind::Machine, StackId::new(MachineId::derive(to.installation, seq).uuid()))),
        Action::Box(_) => None,
    }
}

/// Makes the stack or machine addressable at once. For somebody else only on the word of the api, which has checked that he may: a
/// publisher's wish does not show among another's stacks.
async fn announce(
    to: &mut Projection<'_>,
    message: &Message,
    publisher: &str,
    actor: &str,
    target: &Target,
    (kind, id): (Kind, StackId),
) -> Result<(), ProjectError> {
    let (owner, name) = match target {
        Target::Own(name) => (actor, name.as_str()),
        Target::Of(owner, name) if owner.as_str() == actor || publisher == API_PUBLISHER => (owner.as_str(), name.as_str()),
        Target::Of(..) | Target::Id(_) => return Ok(()),
    };
    let new = NewStack { kind, id, name, owner, project: name, host: DEFAULT_HOST, command: message.seq, at: message.at() };
    stacks::announced(to.db, new).await?;
    for command in commands::resolve_waiting(to.db, owner, name).await? {
        to.changes.command(command, Some(id));
    }
    Ok(())
}
