//! The JSON Schema of every message, and the AsyncAPI document that ties them to their subjects, generated from the
//! very types. The files under `docs/schemas/` and `docs/asyncapi.json` are this module's output; a test fails when
//! they are stale.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::command::{
    Apply, BoxImport, COMMAND_SCHEMA, CommandType, Create, MachineDelete, MachineShutdown, NoFields, Rollback, SecretPut, SecretRemove,
    SnapshotCreate, SnapshotName, StackDelete, VersionCreate,
};
use crate::event::{CancelRequest, ProgressMessage, StackEvent, StepMessage, TransitionMessage};
use crate::figures::MachineSamples;
use crate::heads::{BoxHead, Installation, MachineHead, QueueMark, StackHead, VersionRecord};
use crate::machine::{BoxObservation, MachineEvent, MachineObservation};
use crate::observed::{ContainerObservation, EngineMarker};
use crate::policy::PolicyEntry;
use crate::problem::Code;
use crate::rpc::{
    Heartbeat, LogsQuestion, MachinePlanQuestion, MachineQuestion, PlanAnswer, PlanQuestion, StatusAnswer, StatusQuestion, StreamControl,
    StreamFrame, UploadAnswer, UploadPiece, UploadsQuestion,
};
use crate::upload::UploadOf;

/// Every generated document by its path under `docs/`.
#[must_use]
pub fn documents() -> BTreeMap<String, Value> {
    let schemas = message_schemas();
    let mut documents: BTreeMap<String, Value> =
        schemas.iter().map(|(name, schema)| (format!("schemas/{name}.json"), schema.clone())).collect();
    documents.insert("asyncapi.json".to_owned(), asyncapi());
    documents
}

/// `docs/problems.md`: every code of the API with its status, meaning and cure.
#[must_use]
pub fn problems_page() -> String {
    let head = "# Problems\n\nEvery error answer of the API is `application/problem+json` with one of these codes. Its `type` is `/problems/<code>`.\n";
    let entry = |code: &Code| format!("\n## {}\n\n**{}** · HTTP {}\n\n{}\n", code.as_str(), code.title(), code.status(), code.advice());
    std::iter::once(head.to_owned()).chain(Code::ALL.iter().map(entry)).collect()
}

fn message_schemas() -> BTreeMap<String, Value> {
    let commands = CommandType::ALL.into_iter().map(|kind| (format!("command.{}", kind.as_str()), command_schema(kind)));
    let events = [
        ("event.transition", schema_of::<TransitionMessage>()),
        ("event.step", schema_of::<StepMessage>()),
        ("event.cancel", schema_of::<CancelRequest>()),
        ("event.stack", schema_of::<StackEvent>()),
        ("event.machine", schema_of::<MachineEvent>()),
        ("progress", schema_of::<ProgressMessage>()),
        ("version", schema_of::<VersionRecord>()),
        ("observed.container", schema_of::<ContainerObservation>()),
        ("observed.machine", schema_of::<MachineObservation>()),
        ("observed.box", schema_of::<BoxObservation>()),
        ("observed.marker", schema_of::<EngineMarker>()),
        ("heads.installation", schema_of::<Installation>()),
        ("heads.stack", schema_of::<StackHead>()),
        ("heads.machine", schema_of::<MachineHead>()),
        ("heads.box", schema_of::<BoxHead>()),
        ("heads.queue", schema_of::<QueueMark>()),
        ("policy.entry", schema_of::<PolicyEntry>()),
        ("plan.question", schema_of::<PlanQuestion>()),
        ("machine.plan.question", schema_of::<MachinePlanQuestion>()),
        ("plan.answer", schema_of::<PlanAnswer>()),
        ("logs.question", schema_of::<LogsQuestion>()),
        ("machine.question", schema_of::<MachineQuestion>()),
        ("uploads.question", schema_of::<UploadsQuestion>()),
        ("upload.begin.question", schema_of::<UploadOf>()),
        ("upload.put.question", schema_of::<UploadPiece>()),
        ("upload.answer", schema_of::<UploadAnswer>()),
        ("stream.frame", schema_of::<StreamFrame>()),
        ("stream.control", schema_of::<StreamControl>()),
        ("heartbeat", schema_of::<Heartbeat>()),
        ("machine.samples", schema_of::<MachineSamples>()),
        ("status.question", schema_of::<StatusQuestion>()),
        ("status.answer", schema_of::<StatusAnswer>()),
    ];
    commands.chain(events.map(|(name, schema)| (name.to_owned(), schema))).collect()
}

fn schema_of<T: JsonSchema>() -> Value {
    SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

/// The schema of one type of command: the envelope around its payload.
fn command_schema(kind: CommandType) -> Value {
    let mut generator = SchemaGenerator::default();
    let payload = match kind {
        CommandType::StackCreate | CommandType::MachineCreate => generator.subschema_for::<Create>(),
        CommandType::StackVersionCreate | CommandType::StackDeploy | CommandType::MachineVersionCreate | CommandType::MachineDeploy => {
            generator.subschema_for::<VersionCreate>()
        }
        CommandType::StackApply | CommandType::MachineApply => generator.subschema_for::<Apply>(),
        CommandType::StackRollback | CommandType::MachineRollback => generator.subschema_for::<Rollback>(),
        CommandType::StackStart
        | CommandType::StackStop
        | CommandType::StackRestart
        | CommandType::MachineStart
        | CommandType::MachineStop
        | CommandType::MachineReboot
        | CommandType::MachineSuspend
        | CommandType::MachineResume
        | CommandType::BoxRemove => generator.subschema_for::<NoFields>(),
        CommandType::StackDelete => generator.subschema_for::<StackDelete>(),
        CommandType::StackSecretPut => generator.subschema_for::<SecretPut>(),
        CommandType::StackSecretRemove => generator.subschema_for::<SecretRemove>(),
        CommandType::MachineDelete => generator.subschema_for::<MachineDelete>(),
        CommandType::MachineShutdown => generator.subschema_for::<MachineShutdown>(),
        CommandType::MachineSnapshotCreate => generator.subschema_for::<SnapshotCreate>(),
        CommandType::MachineSnapshotRevert | CommandType::MachineSnapshotDelete => generator.subschema_for::<SnapshotName>(),
        CommandType::BoxImport => generator.subschema_for::<BoxImport>(),
    };
    let required: &[&str] = if payload_required(kind) { &["type", "target", "payload"] } else { &["type", "target"] };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.as_str(),
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": {
            "type": { "const": kind.as_str() },
            "schema": { "const": COMMAND_SCHEMA, "description": "The schema of the command; 1 when absent" },
            "target": { "type": "string", "description": "A name of the actor's own, `owner/name` for an administrator, or an id" },
            "payload": payload,
            "on_failure": { "enum": ["hold", "release"], "default": "hold" },
            "actor": { "type": "string", "description": "The user on whose behalf; the publisher `api` must name one, any other may name himself alone" },
            "deadline_seconds": { "type": "integer", "minimum": 1, "description": "How long one run may take" },
        },
        "$defs": generator.take_definitions(true),
    })
}

const fn payload_required(kind: CommandType) -> bool {
    match kind {
        CommandType::StackCreate
        | CommandType::StackVersionCreate
        | CommandType::StackApply
        | CommandType::StackRollback
        | CommandType::StackDeploy
        | CommandType::MachineCreate
        | CommandType::MachineVersionCreate
        | CommandType::MachineApply
        | CommandType::MachineRollback
        | CommandType::MachineDeploy
        | CommandType::MachineSnapshotCreate
        | CommandType::MachineSnapshotRevert
        | CommandType::MachineSnapshotDelete
        | CommandType::StackSecretPut
        | CommandType::StackSecretRemove
        | CommandType::BoxImport => true,
        CommandType::StackStart
        | CommandType::StackStop
        | CommandType::StackRestart
        | CommandType::StackDelete
        | CommandType::MachineStart
        | CommandType::MachineShutdown
        | CommandType::MachineStop
        | CommandType::MachineReboot
        | CommandType::MachineSuspend
        | CommandType::MachineResume
        | CommandType::MachineDelete
        | CommandType::BoxRemove => false,
    }
}

/// Where messages travel: key, address, what it is for, and which messages it carries.
type Channel = (&'static str, &'static str, &'static str, &'static [&'static str]);

const CHANNELS: [Channel; 26] = [
    (
        "publish",
        "orrery.commands.{id}",
        "A publisher's own account: one command. A second message with the same id is refused by the broker.",
        &[],
    ),
    (
        "status",
        "orrery.status",
        "A publisher's own account: a question about one of his commands; the answer comes on the reply subject.",
        &["status.question"],
    ),
    ("commands", "orrery.commands.{publisher}.{id}", "Stream COMMANDS, inside: every command in the one order.", &[]),
    (
        "transitions",
        "orrery.events.command.{seq}",
        "Stream EVENTS: the transitions of a command, by compare-and-set.",
        &["event.transition"],
    ),
    ("steps", "orrery.events.command.{seq}.step", "Stream EVENTS: the write-ahead steps of a command.", &["event.step"]),
    ("cancels", "orrery.events.command.{seq}.cancel", "Stream EVENTS: requests to stop a running command.", &["event.cancel"]),
    ("stacks", "orrery.events.stack.{id}", "Stream EVENTS: what became of a stack.", &["event.stack"]),
    ("machines", "orrery.events.machine.{id}", "Stream EVENTS: what became of a machine.", &["event.machine"]),
    ("versions", "orrery.versions.{kind}.{id}.{number}", "Stream VERSIONS: one immutable version of a stack or machine.", &["version"]),
    ("progress", "orrery.progress.{seq}", "Stream PROGRESS: what a running step says of itself.", &["progress"]),
    (
        "containers",
        "orrery.observed.{host}.container.{id}",
        "Stream OBSERVED: the last look at a container; an empty body with the header Orrery-Tombstone when it is gone.",
        &["observed.container"],
    ),
    (
        "domains",
        "orrery.observed.{host}.machine.{id}",
        "Stream OBSERVED: the last look at a domain; an empty body with the header Orrery-Tombstone when it is gone.",
        &["observed.machine"],
    ),
    (
        "boxes",
        "orrery.observed.{host}.box.{name}",
        "Stream OBSERVED: a box of the pool; an empty body with the header Orrery-Tombstone when it is gone.",
        &["observed.box"],
    ),
    ("markers", "orrery.observed.{host}.marker.{engine}", "Stream OBSERVED: the end of a listing.", &["observed.marker"]),
    (
        "heads",
        "$KV.HEADS.{key}",
        "Bucket HEADS: the installation, each stack, machine and box, and how far each executor has come.",
        &["heads.installation", "heads.stack", "heads.machine", "heads.box", "heads.queue"],
    ),
    ("policy", "$KV.POLICY.{key}", "Bucket POLICY: rights and quotas of users and publishers.", &["policy.entry"]),
    (
        "plans",
        "orrery.rpc.{engine}.{host}.plan",
        "What an apply would do; the answer comes on the reply subject.",
        &["plan.question", "machine.plan.question"],
    ),
    ("logs", "orrery.rpc.{engine}.{host}.logs", "Lines of containers; frames come on the reply subject.", &["logs.question"]),
    (
        "views",
        "orrery.rpc.{engine}.{host}.{view}",
        "A machine's console or screen, both ways, or a picture of it; frames come on the reply subject.",
        &["machine.question"],
    ),
    ("sealing", "orrery.rpc.{engine}.{host}.sealing", "To what the values of secrets are sealed; asked with `{}`.", &[]),
    ("uploads", "orrery.rpc.{engine}.{host}.uploads", "The uploads of boxes that lie on a host, or one of them.", &["uploads.question"]),
    (
        "upload",
        "orrery.rpc.{engine}.{host}.upload.{verb}",
        "The beginning of an upload, its bytes piece by piece, and its removal.",
        &["upload.begin.question", "upload.put.question", "uploads.question"],
    ),
    (
        "control",
        "orrery.rpc.{engine}.{host}.control.{stream}",
        "Credit for a streaming answer, what is said to it, and its end.",
        &["stream.control"],
    ),
    ("heartbeats", "orrery.metrics.heartbeat.{engine}.{host}", "An executor lives, and what it works on.", &["heartbeat"]),
    ("samples", "orrery.metrics.machine.{host}", "What the machines of a host use; not kept.", &["machine.samples"]),
    (
        "answers",
        "{inbox}",
        "The reply subject of a question: an inbox of its asker.",
        &["status.answer", "plan.answer", "upload.answer", "stream.frame"],
    ),
];

/// What each variable part of an address means.
const PARAMETERS: [(&str, &str); 13] = [
    ("verb", "`begin`, `put` or `remove`"),
    ("view", "`console`, `screen` or `screenshot`"),
    ("id", "A UUID in its canonical lower-case form; of a container the engine's id"),
    ("publisher", "The publisher's name, put in by the broker; `api` for the REST API"),
    ("seq", "The command's sequence in COMMANDS"),
    ("number", "The version's number, from 1"),
    ("host", "The host's name; `local` unless configured"),
    ("engine", "`docker` or `libvirt`"),
    ("kind", "`stack` or `machine`"),
    ("name", "The box's name"),
    ("key", "The entry's key"),
    ("stream", "The stream's own token, from its first frame"),
    ("inbox", "Below `_INBOX.<user>`"),
];

/// Subjects, who publishes on them, and which message they carry.
fn asyncapi() -> Value {
    let channels: serde_json::Map<String, Value> = CHANNELS.iter().map(|channel| (channel.0.to_owned(), described(channel))).collect();
    let messages: serde_json::Map<String, Value> = message_schemas()
        .into_keys()
        .map(|name| {
            let message = json!({ "name": name, "contentType": "application/json", "payload": { "$ref": format!("schemas/{name}.json") } });
            (name, message)
        })
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Orrery on NATS",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Write requests go onto one subject space and are executed in one order; what became of them is published as events. A publisher's account sees `orrery.commands.<id>` and `orrery.status` alone.",
        },
        "channels": channels,
        "operations": {
            "publishCommand": operation("send", "publish", "A publisher asks for a change"),
            "askStatus": question("status", "status.question", "status.answer", "A publisher asks what became of it"),
            "executeCommands": operation("receive", "commands", "Both executors read every command, in order"),
            "decide": operation("send", "transitions", "The owner of a command, and the api for cancel and retry, move it on"),
            "writeAhead": operation("send", "steps", "The owner writes down each step before it makes its effect"),
            "requestCancel": operation("send", "cancels", "The api asks a running command to stop"),
            "tellStack": operation("send", "stacks", "The owner tells what became of a stack, before the command's end"),
            "tellMachine": operation("send", "machines", "The owner tells what became of a machine, before the command's end"),
            "tellProgress": operation("send", "progress", "The owner tells what a step is doing"),
            "observe": operation("send", "containers", "The executor tells what it sees on its engine"),
            "observeMachines": operation("send", "domains", "The executor tells what it sees of its domains"),
            "observeBoxes": operation("send", "boxes", "The executor tells which boxes its pool has"),
            "askPlan": question("plans", "plan.question", "plan.answer", "The api asks what an apply would do"),
            "askMachinePlan": question("plans", "machine.plan.question", "plan.answer", "The api asks what an apply would do to a machine"),
            "askLogs": question("logs", "logs.question", "stream.frame", "The api asks for lines of containers"),
            "giveCredit": operation("send", "control", "The api lets a stream go on, or ends it"),
            "beat": operation("send", "heartbeats", "An executor gives a sign of life every 3 s"),
            "tellFigures": operation("send", "samples", "The executor tells every 5 s what its machines use, while any of them runs"),
        },
        "components": { "messages": messages },
    })
}

fn described((_, address, about, names): &Channel) -> Value {
    let commands: Vec<String> = CommandType::ALL.iter().map(|kind| format!("command.{}", kind.as_str())).collect();
    // A channel without messages of its own is one of commands.
    let names: Vec<&str> = if names.is_empty() { commands.iter().map(String::as_str).collect() } else { names.to_vec() };
    let messages: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!({ "$ref": format!("#/components/messages/{name}") }))).collect();
    let parameters: serde_json::Map<String, Value> = PARAMETERS
        .iter()
        .filter(|(name, _)| address.contains(&format!("{{{name}}}")))
        .map(|(name, about)| ((*name).to_owned(), json!({ "description": about })))
        .collect();
    json!({ "address": address, "description": about, "parameters": parameters, "messages": messages })
}

fn operation(action: &str, channel: &str, summary: &str) -> Value {
    json!({ "action": action, "channel": { "$ref": format!("#/channels/{channel}") }, "summary": summary })
}

fn question(channel: &str, asked: &str, answered: &str, summary: &str) -> Value {
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{channel}") },
        "summary": summary,
        "messages": [{ "$ref": format!("#/channels/{channel}/messages/{asked}") }],
        "reply": {
            "address": { "location": "$message.header#/reply" },
            "channel": { "$ref": "#/channels/answers" },
            "messages": [{ "$ref": format!("#/channels/answers/messages/{answered}") }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{CHANNELS, PARAMETERS, message_schemas};

    #[test]
    fn every_variable_part_of_an_address_is_explained_and_every_message_travels_somewhere() {
        for (_, address, _, _) in CHANNELS {
            for part in address.split(['{', '}']).skip(1).step_by(2) {
                assert!(PARAMETERS.iter().any(|(name, _)| *name == part), "{address}: {part}");
            }
        }
        let travels = |name: &str| name.starts_with("command.") || CHANNELS.iter().any(|(_, _, _, names)| names.contains(&name));
        for name in message_schemas().keys() {
            assert!(travels(name), "{name} is in no channel");
        }
        for (_, _, _, names) in CHANNELS {
            for name in names {
                assert!(message_schemas().contains_key(*name), "{name} has no schema");
            }
        }
    }
}
