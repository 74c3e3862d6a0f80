//! Transitions and steps, and what happens to those that cannot be.

use anyhow::Result;
use orrery_contracts::{Change, StepOutcome};
use orrery_projector::errors::{ProjectError, Regression};
use orrery_projector::message::Stream;
use serde_json::json;

use crate::support::{Database, Story};

const STANDING: &str = "SELECT seq, status, attempt, run, reason, error, cancel_requested, plan, started_at, ended_at FROM read.commands";
const STEPS: &str = "SELECT attempt, n, run, action, status, detail, started_at, ended_at FROM read.steps ORDER BY command, attempt, n";

#[tokio::test]
async fn a_command_that_fails_and_is_retried_keeps_its_steps_and_loses_its_error() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    let seq = story.create("shop");
    story.running(seq, 1, 1);
    story.planned(seq, 1);
    story.started(seq, 1, 1, "image.pull");
    story.ended(seq, 1, 1, StepOutcome::Done);
    story.started(seq, 1, 2, "container.create");
    story.failed(seq, 1, 1);
    db.take(&story.said, 100).await?;
    let failed = (db.rows(STANDING).await?, db.rows(STEPS).await?);
    let told = story.said.len();
    story.transition(seq, 2, 0, Change::Pending {});
    db.take(&story.said[told..], 100).await?;
    let retried = db.rows(STANDING).await?;
    let told = story.said.len();
    story.running(seq, 2, 1);
    story.running(seq, 2, 2);
    story.cancel_request(seq, 2);
    story.started(seq, 2, 1, "image.pull");
    story.ended(seq, 2, 1, StepOutcome::FoundDone);
    story.done(seq, 2, 2, "version 1");
    db.take(&story.said[told..], 100).await?;
    let done = (db.rows(STANDING).await?, db.rows(STEPS).await?);
    insta::assert_yaml_snapshot!(json!({"failed": failed, "retried": retried, "done": done}));
    assert_eq!(db.verdicts(Stream::Events).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_illegal_transition_and_whatever_cannot_be_read_are_kept_marked_and_passed() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    let seq = story.create("shop");
    story.done(seq, 1, 1, "before it ran");
    story.running(seq, 1, 1);
    story.running(seq, 1, 1);
    story.done(seq, 2, 1, "another attempt");
    story.cancel_request(seq, 7);
    story.ended(seq, 1, 4, StepOutcome::Done);
    story.say(Stream::Events, format!("orrery.events.command.{seq}"), "{}");
    story.say(Stream::Events, "orrery.events.command.99.step".into(), "\"\\u0000\"");
    story.say(Stream::Events, "orrery.events.tomorrow".into(), "{\"a\": 1}");
    story.say(Stream::Events, format!("orrery.events.stack.{}", story.stack(seq)), "{\"seq\": 1}");
    story.say(Stream::Versions, "orrery.versions.stack.x.y".into(), "anything");
    story.done(seq, 1, 1, "after all");
    story.running(seq, 1, 2);
    db.take(&story.said, 100).await?;
    insta::assert_yaml_snapshot!(db.verdicts(Stream::Events).await?);
    assert_eq!(db.rows("SELECT status, reason FROM read.commands").await?, [json!({"status": "DONE", "reason": "after all"})]);
    assert_eq!(db.rows("SELECT count(*) AS n FROM raw.messages").await?, [json!({"n": story.said.len()})]);
    Ok(())
}

#[tokio::test]
async fn a_transition_of_another_message_than_the_one_at_its_number_stops_everything() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    let seq = story.create("shop");
    story.running(seq, 1, 1);
    let mut other = story.clone();
    other.said[0].body = "{\"another\": \"message\"}".into();
    let refused = db.take(&other.said, 100).await;
    assert!(matches!(refused, Err(ProjectError::Regressed(Regression::AnotherCommand { event: 1, command: 1 }))), "{refused:?}");
    assert_eq!(db.rows("SELECT * FROM raw.messages").await?.len(), 0, "nothing of the batch was committed");
    let beyond = db.take(&story.said[1..], 100).await;
    assert!(matches!(beyond, Err(ProjectError::Regressed(Regression::UnknownCommand { event: 1, command: 1 }))), "{beyond:?}");
    Ok(())
}

#[tokio::test]
async fn a_missing_number_stops_everything() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    story.create("a");
    story.create("b");
    story.create("c");
    story.said.remove(1);
    let refused = db.take(&story.said, 100).await;
    assert!(matches!(refused, Err(ProjectError::Regressed(Regression::Gap { missing: 2, .. }))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn what_the_database_refuses_is_passed_and_the_rest_is_taken() -> Result<()> {
    let db = Database::new().await?;
    let mut owner = db.as_role("orrery_owner").await?;
    sqlx::raw_sql("ALTER TABLE read.commands ADD CHECK (target <> 'poison')").execute(&mut owner).await?;
    let mut story = Story::new();
    story.create("good");
    story.create("poison");
    story.create("better");
    story.cancelled(2, 1, 0, "rejected: poison");
    db.take(&story.said, 100).await?;
    assert_eq!(db.rows("SELECT name FROM read.stacks ORDER BY created_by").await?, [json!({"name": "good"}), json!({"name": "better"})]);
    let verdicts = db.verdicts(Stream::Commands).await?;
    assert!(verdicts.len() == 1 && verdicts[0].starts_with("2: the database refuses it"), "{verdicts:?}");
    let standing = db.rows("SELECT status, target FROM read.commands WHERE seq = 2").await?;
    assert_eq!(standing, [json!({"status": "CANCELLED", "target": null})], "what is said of it later finds it");
    Ok(())
}
