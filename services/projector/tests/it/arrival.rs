//! What a message of COMMANDS becomes, readable or not.

use anyhow::Result;
use orrery_projector::message::Stream;
use serde_json::json;

use crate::support::{Database, Story};

const COMMANDS: &str =
    "SELECT seq, publisher, type, target, actor, stack_id, version, on_failure, readable, status FROM read.commands ORDER BY seq";

#[tokio::test]
async fn whatever_lies_in_commands_is_a_row_and_what_cannot_be_read_says_why() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    story.command("ci", &json!({"type": "stack.create", "target": "shop", "payload": {"bundle": {"files": {}}}}));
    story.command("ci", &json!({"type": "stack.apply", "target": "shop", "payload": {"version": 1}, "on_failure": "release"}));
    story.command("ci", &json!({"type": "stack.apply", "target": "shop", "actor": "bob", "payload": {"version": 1}}));
    story.command("api", &json!({"type": "stack.apply", "target": "bob/shop", "actor": "root", "payload": {"version": 1}}));
    story.command("ci", &json!({"type": "machine.create", "target": "m"}));
    story.command("ci", &json!(["not", "a", "command"]));
    story.say(Stream::Commands, "orrery.commands.ci.not-a-uuid".into(), "{\"type\": \"stack.\\u0000\", \"target\": \"a\\u0000b\"}");
    story.say(Stream::Commands, "orrery.commands.ci.x".into(), vec![0xff, 0xfe, 0]);
    story.say(Stream::Commands, format!("orrery.commands.ci.{}", "x".repeat(4000)), "{}");
    db.take(&story.said, 100).await?;
    insta::assert_yaml_snapshot!((db.rows(COMMANDS).await?, db.verdicts(Stream::Commands).await?));
    Ok(())
}

#[tokio::test]
async fn a_stack_whose_create_waits_is_addressable_and_goes_when_the_create_is_rejected() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    let create = story.create("shop");
    let waiting = story.ann("stack.apply", "shop", json!({"version": 1}));
    db.take(&story.said, 100).await?;
    let id = story.stack(create).to_string();
    let stacks = db.rows("SELECT id, name, owner, pending, latest, command, failed FROM read.stack_overview").await?;
    assert_eq!(
        stacks,
        [json!({"id": id, "name": "shop", "owner": "ann", "pending": true, "latest": 0, "command": create, "failed": false})]
    );
    assert_eq!(stack_of(&db, waiting).await?, json!(id));

    let mut end = story.clone();
    end.cancelled(create, 1, 0, "rejected: not like this");
    db.take(&end.said[2..], 100).await?;
    assert_eq!(db.rows("SELECT id FROM read.stacks").await?, Vec::<serde_json::Value>::new());
    assert_eq!(stack_of(&db, waiting).await?, json!(null));
    Ok(())
}

#[tokio::test]
async fn a_publishers_wish_does_not_show_among_anothers_stacks() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    let payload = json!({"bundle": {"files": {}}});
    story.command("ci", &json!({"type": "stack.create", "target": "bob/shop", "payload": payload}));
    story.command("api", &json!({"type": "stack.create", "target": "bob/blog", "payload": payload, "actor": "root"}));
    story.command("ci", &json!({"type": "stack.create", "target": "own", "payload": payload}));
    db.take(&story.said, 100).await?;
    let stacks = db.rows("SELECT owner, name FROM read.stacks ORDER BY created_by").await?;
    assert_eq!(stacks, [json!({"owner": "bob", "name": "blog"}), json!({"owner": "ci", "name": "own"})]);
    Ok(())
}

#[tokio::test]
async fn a_name_means_the_stack_that_has_it_when_the_command_starts() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    let first = story.made("shop");
    let delete = story.ann("stack.delete", "shop", json!({}));
    let again = story.create("shop");
    let apply = story.ann("stack.apply", "shop", json!({"version": 1}));
    db.take(&story.said, 100).await?;
    assert_eq!(stack_of(&db, apply).await?, json!(first.to_string()), "the one that exists");

    let told = story.said.len();
    story.running(delete, 1, 1);
    story.became(first, delete, orrery_contracts::StackChange::Deleted { volumes: false });
    story.done(delete, 1, 1, "gone");
    db.take(&story.said[told..], 100).await?;
    assert_eq!(stack_of(&db, apply).await?, json!(story.stack(again).to_string()), "the one that waits to be made");
    assert_eq!(stack_of(&db, delete).await?, json!(first.to_string()), "what it meant when it started");
    Ok(())
}

async fn stack_of(db: &Database, command: u64) -> Result<serde_json::Value> {
    let rows = db.rows(&format!("SELECT stack_id FROM read.commands WHERE seq = {command}")).await?;
    Ok(rows[0]["stack_id"].clone())
}
