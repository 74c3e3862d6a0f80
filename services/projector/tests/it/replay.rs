//! However the streams are caught up, the rows are the same.

use anyhow::Result;
use orrery_contracts::{Change, StackChange, StepOutcome};
use orrery_projector::database::{self, Place};
use orrery_projector::ingest::{self, Position};
use orrery_projector::message::{Message, Stream};
use orrery_projector::project::needs_command;
use orrery_projector::verify::{Broken, verify};
use serde_json::json;

use crate::support::database::INSTALLATION;
use crate::support::{Database, Story};

/// A story in which names change their meaning, commands fail, are retried, cancelled, rejected, and nonsense is said.
pub fn long_story(mut story: Story) -> Story {
    for round in 0..4 {
        let shop = story.made("shop");
        let waiting = story.ann("stack.apply", "shop", json!({"version": 1}));
        story.applied(shop, 1, &[("web", 1, false), ("job", 1, true)]);
        let blog = story.create("blog");
        let nonsense = story.command("ci", &json!({"type": "stack.nonsense", "target": "shop"}));
        story.cancelled(nonsense, 1, 0, "rejected: type is unknown");
        story.running(waiting, 1, 1);
        story.started(waiting, 1, 1, "image.pull");
        story.failed(waiting, 1, 1);
        story.transition(waiting, 2, 0, Change::Pending {});
        story.running(waiting, 2, 1);
        story.planned(waiting, 2);
        story.started(waiting, 2, 1, "image.pull");
        story.ended(waiting, 2, 1, StepOutcome::FoundDone);
        story.cancel_request(waiting, 2);
        story.cancelled(waiting, 2, 1, "by ann");
        if round % 2 == 0 {
            story.cancelled(blog, 1, 0, "by ann");
        }
        let delete = story.ann("stack.delete", "shop", json!({"volumes": true}));
        let late = story.ann("stack.start", "shop", json!({}));
        story.running(delete, 1, 1);
        story.became(shop, delete, StackChange::Deleted { volumes: true });
        story.done(delete, 1, 1, "gone");
        story.cancelled(late, 1, 0, "rejected: there is no stack shop");
        story.done(late, 1, 1, "illegal");
    }
    story
}

/// The kept streams in another order: everything of COMMANDS first, or each event as early as its command allows.
fn commands_first(story: &Story) -> Vec<Message> {
    let mut messages = story.said.clone();
    messages.sort_by_key(|message| message.stream);
    messages
}

fn events_early(story: &Story) -> Vec<Message> {
    let mut events: std::collections::VecDeque<_> = story.said.iter().filter(|it| it.stream != Stream::Commands).cloned().collect();
    let mut order = Vec::new();
    for command in story.said.iter().filter(|it| it.stream == Stream::Commands) {
        order.push(command.clone());
        while events.front().is_some_and(|event| needs_command(event).unwrap_or_default() <= command.seq) {
            order.extend(events.pop_front());
        }
    }
    order.extend(events);
    order
}

#[tokio::test]
async fn any_order_and_any_batches_end_with_the_same_rows() -> Result<()> {
    let story = long_story(Story::new());
    let mut dumps = Vec::new();
    for (order, size) in [(story.said.clone(), 1), (story.said.clone(), 1000), (commands_first(&story), 7), (events_early(&story), 1)] {
        let db = Database::new().await?;
        db.take(&order, size).await?;
        dumps.push(db.dump().await?);
    }
    insta::assert_snapshot!("rows_of_the_long_story", dumps[0]);
    for dump in &dumps[1..] {
        assert_eq!(dump, &dumps[0]);
    }
    Ok(())
}

#[tokio::test]
async fn a_read_model_that_was_dropped_comes_back_from_the_raw_copies() -> Result<()> {
    let db = Database::new().await?;
    db.take(&long_story(Story::new()).said, 50).await?;
    let before = db.dump().await?;
    let mut connection = db.projector().await?;
    for table in ["offsets", "commands", "steps", "stacks", "versions"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut connection).await?;
    }
    let mut at = Position::read(&mut connection, INSTALLATION).await?;
    let taken = ingest::catch_up(&mut connection, &mut at).await?;
    assert_eq!(db.dump().await?, before);
    assert_eq!(db.rows("SELECT count(*) AS n FROM raw.messages").await?, [json!({"n": taken})]);
    Ok(())
}

#[tokio::test]
async fn the_raw_copies_are_one_chain_and_whoever_changes_or_takes_one_breaks_it() -> Result<()> {
    let db = Database::new().await?;
    db.take(&long_story(Story::new()).said, 50).await?;
    let mut projector = db.projector().await?;
    let copies = db.rows("SELECT 1 FROM raw.messages").await?.len() as u64;
    assert_eq!(verify(&mut projector).await?, Ok(copies));
    let mut owner = db.as_role("orrery_owner").await?;
    sqlx::raw_sql("UPDATE raw.messages SET body = body || ' ' WHERE stream = 'COMMANDS' AND seq = 5").execute(&mut owner).await?;
    assert_eq!(verify(&mut projector).await?, Err(Broken { stream: Stream::Commands, seq: 5 }));
    sqlx::raw_sql("DELETE FROM raw.messages WHERE stream = 'COMMANDS' AND seq = 4").execute(&mut owner).await?;
    assert_eq!(verify(&mut projector).await?, Err(Broken { stream: Stream::Commands, seq: 5 }));
    Ok(())
}

#[tokio::test]
async fn two_projectors_never_write_the_same_message_twice() -> Result<()> {
    let db = Database::new().await?;
    let story = long_story(Story::new());
    db.take(&story.said, 100).await?;
    let mut connection = database::connect(&db.url(), Place::Live).await?;
    let mut stale = Position::read(&mut connection, INSTALLATION).await?;
    let mut more = story.clone();
    more.create("one-more");
    let batch = |messages: &[Message]| ingest::Batch { origin: ingest::Origin::Broker, messages: messages.to_vec(), observed: None };
    let new = batch(&more.said[story.said.len()..]);
    let mut at = stale.clone();
    ingest::take(&mut connection, &mut at, &new).await?;
    let second = ingest::take(&mut connection, &mut stale, &new).await;
    assert!(matches!(second, Err(orrery_projector::errors::ProjectError::Overtaken)), "{second:?}");
    Ok(())
}
