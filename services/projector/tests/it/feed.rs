//! The feed: numbered without gaps, told to who may see it, pruned, and woken up for.

use anyhow::Result;
use orrery_contracts::StackChange;
use orrery_projector::queries::feed;
use serde_json::json;
use sqlx::postgres::PgListener;

use crate::support::{Database, Story};

#[tokio::test]
async fn what_changed_is_told_in_order_once_a_batch_with_whose_it_is() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    let id = story.made("shop");
    story.applied(id, 1, &[("web", 1, false)]);
    story.observed(&story.container("w1", Some(id), "web", "running", 1));
    story.observed(&story.container("foreign", None, "x", "running", 1));
    let delete = story.ann("stack.delete", "shop", json!({}));
    db.take(&story.said, 100).await?;
    let told = story.said.len();
    story.running(delete, 1, 1);
    story.became(id, delete, StackChange::Deleted { volumes: false });
    story.gone("w1");
    story.done(delete, 1, 1, "gone");
    db.take(&story.said[told..], 100).await?;
    let feed = db.rows("SELECT n, kind, command, attempt, step, stack_id IS NOT NULL AS of_a_stack, version, container, owner, actor, gone FROM read.feed ORDER BY n");
    insta::assert_yaml_snapshot!(feed.await?);
    Ok(())
}

#[tokio::test]
async fn listeners_wake_up_with_the_last_number() -> Result<()> {
    let db = Database::new().await?;
    let mut listener = PgListener::connect(&db.cluster.url("orrery_api")).await?;
    listener.listen("orrery_feed").await?;
    let mut story = Story::new();
    story.create("shop");
    db.take(&story.said, 100).await?;
    let woken = tokio::time::timeout(std::time::Duration::from_secs(10), listener.recv()).await??;
    let head = feed::head(&mut db.projector().await?).await?;
    assert_eq!(woken.payload(), head.n.to_string());
    assert_eq!(db.rows("SELECT max(n) AS n FROM read.feed").await?, [json!({"n": head.n})]);
    Ok(())
}

#[tokio::test]
async fn old_entries_go_by_age_and_by_number() -> Result<()> {
    let db = Database::new().await?;
    let mut connection = db.projector().await?;
    let fill = "INSERT INTO read.feed (n, kind, at) SELECT i, 'engine', clock_timestamp() - (i = 5000) :: int * interval '2 days'
                FROM generate_series(1, 25000) i";
    sqlx::raw_sql(fill).execute(&mut connection).await?;
    let head = feed::Head { n: 25_000, ..feed::head(&mut connection).await? };
    feed::prune(&mut connection, head).await?;
    let left = db.rows("SELECT min(n) AS first, max(n) AS last, count(*) AS n FROM read.feed").await?;
    assert_eq!(left, [json!({"first": 5001, "last": 25000, "n": 20000})]);
    Ok(())
}
