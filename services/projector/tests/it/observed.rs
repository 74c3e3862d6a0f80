//! Observations come and go; a newer listing that says the same is told to nobody.

use anyhow::Result;
use serde_json::{Value, json};

use crate::support::{Database, Story};

async fn there(db: &Database) -> Result<Vec<Value>> {
    db.rows("SELECT id, state, epoch FROM read.containers ORDER BY id").await
}

async fn told(db: &Database) -> Result<Vec<Value>> {
    db.rows("SELECT kind, container, gone FROM read.feed ORDER BY n").await
}

#[tokio::test]
async fn a_container_goes_with_its_tombstone_or_with_a_listing_that_does_not_have_it() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    story.observed(&story.container("a", None, "web", "running", 1));
    story.observed(&story.container("b", None, "web", "running", 1));
    story.observed(&story.container("c", None, "web", "running", 1));
    story.listed(1);
    story.gone("a");
    story.observed(&story.container("b", None, "web", "exited", 2));
    story.listed(2);
    db.take(&story.said, 1).await?;
    assert_eq!(there(&db).await?, [json!({"id": "b", "state": "exited", "epoch": 2})]);
    let engines = db.rows("SELECT host, engine, engine_version, epoch FROM read.engines").await?;
    assert_eq!(engines, [json!({"host": "local", "engine": "docker", "engine_version": "28.5.2", "epoch": 2})]);
    let gone: Vec<_> = told(&db).await?.into_iter().filter(|entry| entry["gone"] == true).map(|entry| entry["container"].clone()).collect();
    assert_eq!(gone, ["a", "c"]);
    Ok(())
}

#[tokio::test]
async fn a_listing_that_says_the_same_is_told_to_nobody() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    story.observed(&story.container("a", None, "web", "running", 1));
    story.observed(&story.container("a", None, "web", "running", 2));
    db.take(&story.said, 1).await?;
    assert_eq!(told(&db).await?, [json!({"kind": "container", "container": "a", "gone": false})]);
    assert_eq!(there(&db).await?, [json!({"id": "a", "state": "running", "epoch": 2})]);
    Ok(())
}

#[tokio::test]
async fn an_observation_under_another_name_than_its_own_is_not_taken() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    let body = serde_json::to_vec(&story.container("a", None, "web", "running", 1))?;
    story.say(orrery_projector::message::Stream::Observed, "orrery.observed.local.container.b".into(), body.clone());
    story.say(orrery_projector::message::Stream::Observed, "orrery.observed.elsewhere.container.a".into(), body);
    db.take(&story.said, 1).await?;
    assert_eq!(there(&db).await?, Vec::<Value>::new());
    Ok(())
}
