//! What a message of COMMANDS says of itself: on arrival, for the gate, and again when its turn has come, with the
//! rights that its publisher then has.

use bytes::Bytes;
use orrery_contracts::{
    CommandId, CommandMessage, Digest, Engine, Installation, Name, OnFailure, PolicyEntry, Quota, Rejection, Role, engine, subjects,
};

use crate::definitions::{DefinitionError, Definitions};
use crate::executor::{Accepted, Executor};
use crate::gate::{Facts, Waiting};
use crate::streams::Item;

/// A command, read by its owner.
struct Read<'a> {
    publisher: &'a str,
    id: CommandId,
    message: CommandMessage,
    actor: Name,
}

/// What the gate needs to know of a message.
pub(super) fn facts<E: Executor>(executor: &E, engine: Engine, installation: &Installation, item: &Item) -> Facts {
    let named = engine::owner(&item.body);
    let missing = !installation.engines.contains(&named);
    // Commands for an engine that the installation has not are the Docker executor's to reject.
    let owner = if missing { Engine::Docker } else { named };
    let mut facts = Facts {
        owner,
        sha256: Digest::of(&item.body),
        bytes: u64::try_from(item.body.len()).unwrap_or(u64::MAX),
        principal: principal(&item.subject, &item.body),
        fault: None,
        on_failure: OnFailure::Hold,
    };
    if missing && named != engine {
        facts.fault = Some(Rejection(format!("this installation has no {named} engine")));
    } else if owner == engine {
        match read(executor, &item.subject, &item.body) {
            Ok(read) => facts.on_failure = read.message.on_failure,
            Err(rejection) => facts.fault = Some(rejection),
        }
    }
    facts
}

/// Whose quota a message counts against: a publisher's, or, where the api publishes, its user's.
fn principal(subject: &str, body: &[u8]) -> String {
    let publisher = subjects::parse_command(subject).map_or("", |(publisher, _)| publisher);
    if publisher != subjects::API_PUBLISHER {
        return subjects::publisher_key(publisher);
    }
    let actor = orrery_contracts::command::Glance::at(body).actor;
    actor.map_or_else(|| subjects::publisher_key(publisher), |actor| subjects::user_key(&actor))
}

fn read<'a, E: Executor>(executor: &E, subject: &'a str, body: &[u8]) -> Result<Read<'a>, Rejection> {
    let (publisher, id) = subjects::parse_command(subject).ok_or_else(|| Rejection(format!("{subject} is no subject of a command")))?;
    let id: CommandId = id.parse().map_err(|error: orrery_contracts::InvalidName| Rejection(format!("id: {error}")))?;
    let message = executor.read(body)?;
    let actor = message.actor_for(publisher)?;
    Ok(Read { publisher, id, message, actor })
}

/// Reads a command whose turn has come, with the rights that POLICY gives now.
///
/// # Errors
/// The outer one when POLICY cannot be read; the inner one when the command is not one, or not allowed.
pub(super) async fn accept<E: Executor>(
    executor: &E,
    definitions: &Definitions,
    item: Item,
    resumed: bool,
) -> Result<Result<Accepted, Rejection>, DefinitionError> {
    let Read { publisher, id, message, actor } = match read(executor, &item.subject, &item.body) {
        Ok(read) => read,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let (whose, policy) = if publisher == subjects::API_PUBLISHER {
        (format!("user {actor}"), definitions.user_policy(actor.as_str()).await?)
    } else {
        (format!("publisher {publisher}"), definitions.publisher_policy(publisher).await?)
    };
    let role = match policy.map(|policy| policy.role) {
        Some(role @ (Role::Admin | Role::User)) => role,
        Some(Role::Viewer) => return Ok(Err(Rejection(format!("{whose} may look, and change nothing")))),
        None => return Ok(Err(Rejection(format!("{whose} has no entry in POLICY, and so no rights")))),
    };
    let (publisher, sha256) = (publisher.to_owned(), Digest::of(&item.body));
    let body: Bytes = item.body;
    Ok(Ok(Accepted { seq: item.seq, publisher, id, sha256, message, actor, role, accepted_at: item.at, body, resumed }))
}

/// Why a command is over its quota, when it is. `waiting` counts it in.
pub(super) fn over_quota(principal: &str, waiting: Waiting, policy: Option<PolicyEntry>) -> Option<Rejection> {
    let Quota { waiting_commands, waiting_bytes } = policy.map(|policy| policy.quota).unwrap_or_default();
    if waiting.commands > waiting_commands {
        return Some(Rejection(format!("quota: {principal} may have {waiting_commands} commands waiting")));
    }
    (waiting.bytes > waiting_bytes).then(|| Rejection(format!("quota: {principal} may have {waiting_bytes} bytes of commands waiting")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_passed_by_the_command_after_the_last_allowed() {
        let exactly = Waiting { commands: 1000, bytes: 64 * 1024 * 1024 };
        assert_eq!(over_quota("publisher.ci", exactly, None), None);
        let one_more = Waiting { commands: 1001, bytes: 10 };
        assert_eq!(over_quota("publisher.ci", one_more, None).unwrap().0, "quota: publisher.ci may have 1000 commands waiting");
        let one_byte_more = Waiting { commands: 2, bytes: 64 * 1024 * 1024 + 1 };
        assert!(over_quota("publisher.ci", one_byte_more, None).unwrap().0.contains("bytes"));
    }

    #[test]
    fn what_the_api_publishes_counts_against_its_user() {
        assert_eq!(principal("orrery.commands.api.x", br#"{"actor":"anna"}"#), "user.anna");
        assert_eq!(principal("orrery.commands.api.x", b"junk"), "publisher.api");
        assert_eq!(principal("orrery.commands.ci.x", br#"{"actor":"anna"}"#), "publisher.ci");
    }
}
