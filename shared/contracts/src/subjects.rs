//! How subjects, streams and keys are spelled, once. Nobody else puts a subject together.

use crate::engine::Engine;
use crate::heads::Versioned;
use crate::ids::{CommandId, Digest, MachineId, StackId};

/// The stream of all write requests.
pub const COMMANDS: &str = "COMMANDS";
/// The stream of transitions, steps and what became of stacks.
pub const EVENTS: &str = "EVENTS";
/// The stream of immutable versions.
pub const VERSIONS: &str = "VERSIONS";
/// The stream of bundles and kept logs, by digest, in chunks.
pub const BUNDLES: &str = "BUNDLES";
/// The stream of observations, the last of each.
pub const OBSERVED: &str = "OBSERVED";
/// The stream of progress, which ages.
pub const PROGRESS: &str = "PROGRESS";
/// The bucket of heads.
pub const HEADS: &str = "HEADS";
/// The bucket of rights and quotas.
pub const POLICY: &str = "POLICY";
/// The object store of uploads.
pub const UPLOADS: &str = "UPLOADS";

/// The publisher name of the api: the only one that may name an actor.
pub const API_PUBLISHER: &str = "api";
/// The publisher name of the project's own tools.
pub const OPS_PUBLISHER: &str = "ops";

/// What COMMANDS captures.
pub const ALL_COMMANDS: &str = "orrery.commands.*.*";
/// What EVENTS captures.
pub const ALL_EVENTS: &str = "orrery.events.>";
/// The transitions of all commands.
pub const ALL_TRANSITIONS: &str = "orrery.events.command.*";
/// The steps of all commands.
pub const ALL_STEPS: &str = "orrery.events.command.*.step";
/// The cancel requests of all commands.
pub const ALL_CANCELS: &str = "orrery.events.command.*.cancel";
/// What VERSIONS captures.
pub const ALL_VERSIONS: &str = "orrery.versions.*.*.*";
/// What BUNDLES captures.
pub const ALL_BUNDLES: &str = "orrery.bundles.*.*";
/// What OBSERVED captures.
pub const ALL_OBSERVED: &str = "orrery.observed.>";
/// What PROGRESS captures.
pub const ALL_PROGRESS: &str = "orrery.progress.*";
/// Heartbeats of all executors.
pub const ALL_HEARTBEATS: &str = "orrery.metrics.heartbeat.*.*";
/// What the machines of all hosts use.
pub const ALL_MACHINE_SAMPLES: &str = "orrery.metrics.machine.*";
/// Questions of all publishers about their commands.
pub const ALL_STATUS_QUESTIONS: &str = "orrery.rpc.api.status.*";

/// The key of the installation in HEADS.
pub const INSTALLATION_KEY: &str = "installation";

/// Marks an observation of something that is gone; its body is empty.
pub const TOMBSTONE_HEADER: &str = "Orrery-Tombstone";
/// How many chunks a bundle has.
pub const CHUNKS_HEADER: &str = "Orrery-Chunks";
/// The size of a bundle's chunk in bytes.
pub const CHUNK_BYTES: usize = 512 * 1024;

/// Where a publisher puts a command.
#[must_use]
pub fn command(publisher: &str, id: CommandId) -> String {
    format!("orrery.commands.{publisher}.{id}")
}

/// The publisher and the id token of a command's subject. The id is not checked: that is the owner's to reject.
#[must_use]
pub fn parse_command(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix("orrery.commands.")?.split_once('.')
}

/// The transitions of one command.
#[must_use]
pub fn transition(seq: u64) -> String {
    format!("orrery.events.command.{seq}")
}

/// The steps of one command.
#[must_use]
pub fn step(seq: u64) -> String {
    format!("orrery.events.command.{seq}.step")
}

/// The cancel requests of one command.
#[must_use]
pub fn cancel(seq: u64) -> String {
    format!("orrery.events.command.{seq}.cancel")
}

/// What a subject of EVENTS is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSubject {
    /// A transition of the command at this sequence.
    Transition(u64),
    /// A step of the command at this sequence.
    Step(u64),
    /// A cancel request for the command at this sequence.
    Cancel(u64),
    /// What became of this stack.
    Stack(StackId),
    /// What became of this machine.
    Machine(MachineId),
}

/// Reads a subject of EVENTS; none when no release wrote such a subject.
#[must_use]
pub fn parse_event(subject: &str) -> Option<EventSubject> {
    let mut tokens = subject.strip_prefix("orrery.events.")?.split('.');
    let parsed = match (tokens.next()?, tokens.next()?, tokens.next()) {
        ("command", seq, None) => EventSubject::Transition(seq.parse().ok()?),
        ("command", seq, Some("step")) => EventSubject::Step(seq.parse().ok()?),
        ("command", seq, Some("cancel")) => EventSubject::Cancel(seq.parse().ok()?),
        ("stack", id, None) => EventSubject::Stack(id.parse().ok()?),
        ("machine", id, None) => EventSubject::Machine(id.parse().ok()?),
        (_, _, _) => return None,
    };
    tokens.next().is_none().then_some(parsed)
}

/// What became of a stack.
#[must_use]
pub fn stack_event(id: StackId) -> String {
    format!("orrery.events.stack.{id}")
}

/// What became of a machine.
#[must_use]
pub fn machine_event(id: MachineId) -> String {
    format!("orrery.events.machine.{id}")
}

/// One version of a stack or machine.
#[must_use]
pub fn version(of: Versioned, version: u32) -> String {
    match of {
        Versioned::Stack(id) => format!("orrery.versions.stack.{id}.{version}"),
        Versioned::Machine(id) => format!("orrery.versions.machine.{id}.{version}"),
    }
}

/// One chunk of a bundle, counted from 0.
#[must_use]
pub fn bundle_chunk(digest: &Digest, chunk: usize) -> String {
    format!("orrery.bundles.{digest}.{chunk}")
}

/// An observation; `kind` is `container`, `machine`, `box` or `marker`.
#[must_use]
pub fn observed(host: &str, kind: &str, id: &str) -> String {
    format!("orrery.observed.{host}.{kind}.{id}")
}

/// Progress of the command at this sequence.
#[must_use]
pub fn progress(seq: u64) -> String {
    format!("orrery.progress.{seq}")
}

/// A sign of life of an executor.
#[must_use]
pub fn heartbeat(engine: Engine, host: &str) -> String {
    format!("orrery.metrics.heartbeat.{engine}.{host}")
}

/// What the machines of a host use.
#[must_use]
pub fn machine_samples(host: &str) -> String {
    format!("orrery.metrics.machine.{host}")
}

/// A question to an executor; `verb` is `plan`, `logs`, …
#[must_use]
pub fn rpc(engine: Engine, host: &str, verb: &str) -> String {
    format!("orrery.rpc.{engine}.{host}.{verb}")
}

/// A publisher's question about his own commands, as the api receives it.
#[must_use]
pub fn status_question(publisher: &str) -> String {
    format!("orrery.rpc.api.status.{publisher}")
}

/// The key of a stack in HEADS.
#[must_use]
pub fn stack_key(id: StackId) -> String {
    format!("stack.{id}")
}

/// The key of a machine in HEADS.
#[must_use]
pub fn machine_key(id: MachineId) -> String {
    format!("machine.{id}")
}

/// The key of a box in HEADS.
#[must_use]
pub fn box_key(name: &str) -> String {
    format!("box.{name}")
}

/// The key of an engine's queue mark in HEADS.
#[must_use]
pub fn queue_key(engine: Engine) -> String {
    format!("queue.{engine}")
}

/// The key in HEADS that says which command schemas an executor reads.
#[must_use]
pub fn schemas_key(engine: Engine) -> String {
    format!("schemas.{engine}")
}

/// The key of a user in POLICY.
#[must_use]
pub fn user_key(name: &str) -> String {
    format!("user.{name}")
}

/// The key of a publisher in POLICY.
#[must_use]
pub fn publisher_key(name: &str) -> String {
    format!("publisher.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_of_events_are_read_back() {
        let (id, machine) = (StackId::new(uuid::Uuid::nil()), MachineId::new(uuid::Uuid::nil()));
        assert_eq!(parse_event(&transition(7)), Some(EventSubject::Transition(7)));
        assert_eq!(parse_event(&step(7)), Some(EventSubject::Step(7)));
        assert_eq!(parse_event(&cancel(7)), Some(EventSubject::Cancel(7)));
        assert_eq!(parse_event(&stack_event(id)), Some(EventSubject::Stack(id)));
        assert_eq!(parse_event(&machine_event(machine)), Some(EventSubject::Machine(machine)));
        for strange in ["orrery.events.command.x", "orrery.events.command.7.step.more", "orrery.events.future.7", "other"] {
            assert_eq!(parse_event(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_commands_subject_gives_publisher_and_id() {
        assert_eq!(parse_command("orrery.commands.ci.some-id"), Some(("ci", "some-id")));
        assert_eq!(parse_command("orrery.events.command.1"), None);
    }
}
