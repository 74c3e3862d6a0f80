//! The JSON Schema of every message, and the AsyncAPI document that ties them to their subjects, generated from the
//! very types. The files under `docs/schemas/` and `docs/asyncapi.json` are this module's output; a test fails when
//! they are stale.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::command::{COMMAND_SCHEMA, CommandType, NoFields, StackApply, StackCreate, StackDelete, StackRollback, StackVersionCreate};
use crate::event::{CancelRequest, ProgressMessage, StackEvent, StepMessage, TransitionMessage};
use crate::heads::{Installation, QueueMark, StackHead, VersionRecord};
use crate::observed::{ContainerObservation, EngineMarker};
use crate::policy::PolicyEntry;
use crate::problem::Code;
use crate::rpc::{StatusAnswer, StatusQuestion};

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
        ("progress", schema_of::<ProgressMessage>()),
        ("version.stack", schema_of::<VersionRecord>()),
        ("observed.container", schema_of::<ContainerObservation>()),
        ("observed.marker", schema_of::<EngineMarker>()),
        ("heads.installation", schema_of::<Installation>()),
        ("heads.stack", schema_of::<StackHead>()),
        ("heads.queue", schema_of::<QueueMark>()),
        ("policy.entry", schema_of::<PolicyEntry>()),
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
        CommandType::StackCreate => generator.subschema_for::<StackCreate>(),
        CommandType::StackVersionCreate => generator.subschema_for::<StackVersionCreate>(),
        CommandType::StackApply => generator.subschema_for::<StackApply>(),
        CommandType::StackRollback => generator.subschema_for::<StackRollback>(),
        CommandType::StackStart | CommandType::StackStop | CommandType::StackRestart => generator.subschema_for::<NoFields>(),
        CommandType::StackDelete => generator.subschema_for::<StackDelete>(),
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
        CommandType::StackCreate | CommandType::StackVersionCreate | CommandType::StackApply | CommandType::StackRollback => true,
        CommandType::StackStart | CommandType::StackStop | CommandType::StackRestart | CommandType::StackDelete => false,
    }
}

/// Subjects, who publishes on them, and which message they carry.
fn asyncapi() -> Value {
    let command_names: Vec<String> = CommandType::ALL.iter().map(|kind| format!("command.{}", kind.as_str())).collect();
    let reference = |name: &str| json!({ "$ref": format!("#/components/messages/{name}") });
    let channel = |address: &str, about: &str, names: &[&str]| {
        let messages: serde_json::Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), reference(name))).collect();
        json!({ "address": address, "description": about, "messages": messages })
    };
    let command_refs: Vec<&str> = command_names.iter().map(String::as_str).collect();
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
        "channels": {
            "publish": channel("orrery.commands.{id}", "A publisher's own account: one command. The id is a UUID in canonical lower-case form; a second message with the same id is refused by the broker.", &command_refs),
            "status": channel("orrery.status", "A publisher's own account: a question about one of his commands; the answer comes on the reply subject.", &["status.question", "status.answer"]),
            "commands": channel("orrery.commands.{publisher}.{id}", "Stream COMMANDS, inside: every command in the one order.", &command_refs),
            "transitions": channel("orrery.events.command.{seq}", "Stream EVENTS: the transitions of a command, by compare-and-set.", &["event.transition"]),
            "steps": channel("orrery.events.command.{seq}.step", "Stream EVENTS: the write-ahead steps of a command.", &["event.step"]),
            "cancels": channel("orrery.events.command.{seq}.cancel", "Stream EVENTS: requests to stop a running command.", &["event.cancel"]),
            "stacks": channel("orrery.events.stack.{id}", "Stream EVENTS: what became of a stack.", &["event.stack"]),
            "versions": channel("orrery.versions.stack.{id}.{number}", "Stream VERSIONS: one immutable version.", &["version.stack"]),
            "containers": channel("orrery.observed.{host}.container.{id}", "Stream OBSERVED: the last look at a container; an empty body with the header Orrery-Tombstone when it is gone.", &["observed.container"]),
            "markers": channel("orrery.observed.{host}.marker.{engine}", "Stream OBSERVED: the end of a listing.", &["observed.marker"]),
        },
        "operations": {
            "publishCommand": { "action": "send", "channel": { "$ref": "#/channels/publish" }, "summary": "Ask for a change" },
            "askStatus": {
                "action": "send",
                "channel": { "$ref": "#/channels/status" },
                "summary": "Ask what became of it",
                "messages": [{ "$ref": "#/channels/status/messages/status.question" }],
                "reply": { "address": { "location": "$message.header#/reply" }, "messages": [{ "$ref": "#/channels/status/messages/status.answer" }] },
            },
        },
        "components": { "messages": messages },
    })
}
