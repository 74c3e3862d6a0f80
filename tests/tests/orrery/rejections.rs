//! Whatever is published that cannot be a command ends as a rejection that says why, and holds up nobody.

use std::time::Duration;

use anyhow::ensure;
use orrery_contracts::rest::Command;
use orrery_contracts::{CommandType, Status};
use orrery_tests::{Installation, eventually};
use serde_json::json;

use crate::small_stacks::sleepers;

/// What is published, and a word that its reason must contain.
fn bad_messages(stack: &str) -> Vec<(Vec<u8>, &'static str)> {
    let text = |value: serde_json::Value| value.to_string().into_bytes();
    let bundle = sleepers(&["a"]);
    let outside = json!({"files": {"compose.yaml": "services: {}", "../outside": "x"}});
    vec![
        (Vec::new(), "not a command"),
        (b"hello".to_vec(), "not a command"),
        (b"\xff\xfe\x00".to_vec(), "not a command"),
        (b"{\"stream\":\"COMMANDS\",\"seq\":7}".to_vec(), "not a command"),
        (b"{\"type\":\"stack.stop\",\"type\":\"stack.stop\",\"target\":\"a\"}".to_vec(), "not a command"),
        (text(json!({"type": "stack.dance", "target": stack})), "stack.dance"),
        (text(json!({"type": "stack.stop", "target": stack, "schema": 99})), "99"),
        (text(json!({"type": "stack.stop", "target": stack, "colour": "red"})), "colour"),
        (text(json!({"type": "stack.stop", "target": stack, "payload": {"now": true}})), "now"),
        (text(json!({"type": "stack.stop", "target": "Not A Name"})), "target"),
        (text(json!({"type": "stack.apply", "target": stack, "payload": {"version": 77}})), "77"),
        (text(json!({"type": "stack.apply", "target": "nobody-made-this", "payload": {"version": 1}})), "nobody-made-this"),
        (text(json!({"type": "stack.create", "target": stack, "payload": {"bundle": bundle}})), "already"),
        (text(json!({"type": "stack.create", "target": "leaves-the-bundle", "payload": {"bundle": outside}})), "outside"),
        (text(json!({"type": "stack.version.create", "target": stack, "payload": {"bundle": bundle, "expected_version": 9}})), "9"),
        (text(json!({"type": "stack.stop", "target": stack, "actor": "admin"})), "admin"),
        (text(json!({"type": "stack.stop", "target": stack, "deadline_seconds": 0})), "deadline"),
        (text(json!({"type": "machine.start", "target": "vm"})), "machine"),
        (text(json!({"type": "box.import", "target": "vm"})), "url"),
    ]
}

#[tokio::test]
async fn bad_messages_end_as_rejections_that_say_why_and_hold_nobody() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let name = orrery.name("bad");
    ci.done(&json!({"type": "stack.create", "target": name, "payload": {"bundle": sleepers(&["a"])}})).await?;

    let messages = bad_messages(&name);
    let mut published = Vec::new();
    for (body, word) in &messages {
        published.push((ci.publish_bytes(body.clone()).await?, body, *word));
    }
    // Ids that are no canonical UUIDs: the broker takes what fits its subject, the owner does not.
    for id in ["not-a-uuid", "01997F2E-6F0A-7C3E-9A51-3F0B8A4A2C11", "01997f2e6f0a7c3e9a513f0b8a4a2c11"] {
        let body = json!({"type": "stack.stop", "target": name}).to_string().into_bytes();
        let answer = ci.publish_under(id, body).await?;
        let command = rejected(&orrery, answer.seq).await?;
        ensure!(command.reason.as_deref().is_some_and(|reason| reason.contains("UUID")), "{id}: {command:#?}");
    }
    for (answer, body, word) in published {
        let command = rejected(&orrery, answer.seq).await?;
        let (reason, body) = (command.reason.unwrap_or_default(), String::from_utf8_lossy(body));
        ensure!(reason.to_lowercase().contains(&word.to_lowercase()), "{body}: the reason does not say {word:?}: {reason}");
        ensure!(command.steps.is_empty(), "{body}: a rejection has had an effect: {:?}", command.steps);
    }

    // The queue goes on as if nothing had been.
    ci.done(&json!({"type": "stack.apply", "target": name, "payload": {"version": 1}})).await?;
    let all: Vec<Command> = orrery.api.list("/commands?limit=500").await?;
    let kept = all.iter().filter(|command| command.status == Status::Cancelled).count();
    ensure!(kept == messages.len() + 3, "the audit has {kept} of {} rejections", messages.len() + 3);
    orrery.end().await
}

#[tokio::test]
async fn every_type_of_command_is_rejected_where_its_stack_does_not_exist() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let of_stacks = CommandType::ALL.into_iter().filter(|kind| kind.as_str().starts_with("stack.") && !kind.creates());
    for kind in of_stacks {
        let payload = match kind.as_str() {
            "stack.apply" | "stack.rollback" => json!({"version": 1}),
            "stack.version.create" | "stack.deploy" => json!({"bundle": sleepers(&["a"])}),
            "stack.secret.put" => json!({"name": "a", "sealed": "AAAA"}),
            "stack.secret.remove" => json!({"name": "a"}),
            _ => json!({}),
        };
        let reason = ci.rejected(json!({"type": kind.as_str(), "target": "nowhere", "payload": payload}).to_string().as_bytes()).await?;
        ensure!(reason.contains("nowhere"), "{}: {reason}", kind.as_str());
    }
    orrery.end().await
}

#[tokio::test]
async fn what_is_over_the_quota_ends_at_once_although_the_queue_is_held() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let name = orrery.name("quota");
    let held = crate::held_queue::hold(&orrery, &name).await?;
    let waiting = json!({"type": "stack.stop", "target": name}).to_string().into_bytes();
    for _ in 0..1000 {
        ci.publish_bytes(waiting.clone()).await?;
    }
    let over = ci.publish_bytes(waiting).await?;
    let command = rejected(&orrery, over.seq).await?;
    ensure!(command.reason.as_deref().is_some_and(|reason| reason.starts_with("rejected: quota")), "{command:#?}");
    let head: Command = orrery.api.read(&format!("/commands/{}", held.seq)).await?;
    ensure!(head.status == Status::Failed, "{head:#?}");
    orrery.end().await
}

async fn rejected(orrery: &Installation, seq: u64) -> anyhow::Result<Command> {
    // Behind a thousand others it takes the read model a while to come to this one.
    let command = eventually("the command to be seen at its end", Duration::from_secs(60), || async {
        let command: Command = orrery.api.read(&format!("/commands/{seq}?wait=5s")).await?;
        Ok(command.status.has_ended().then_some(command))
    })
    .await?;
    let reason = command.reason.as_deref().unwrap_or_default();
    ensure!(command.status == Status::Cancelled && reason.starts_with("rejected:"), "{seq} ended {:?}: {reason:?}", command.status);
    Ok(command)
}
