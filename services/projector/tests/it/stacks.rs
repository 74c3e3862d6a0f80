//! What became of stacks, and what their status follows from.

use anyhow::Result;
use orrery_contracts::{Desired, Drift, Health, StackChange, StackFacts, StackStatus};
use orrery_projector::message::Stream;
use serde_json::{Value, json};

use crate::support::{Database, Story};

/// The status of the only stack, by the way of the api.
async fn status(db: &Database) -> Result<(StackStatus, Value)> {
    let rows = db.rows("SELECT * FROM read.stack_overview").await?;
    let row = &rows[0];
    let number = |key: &str| u32::try_from(row[key].as_u64().unwrap()).unwrap();
    let facts = StackFacts {
        desired: serde_json::from_value::<Desired>(row["desired"].clone())?,
        deleting: row["deleting"] == true,
        changing: row["changing"] == true,
        failed: row["failed"] == true,
        services_total: number("services_total"),
        services_running: number("services_running"),
        unhealthy: row["unhealthy"] == true,
        drifted: number("drifted") > 0,
    };
    Ok((StackStatus::derive(&facts), json!([row["services_total"], row["services_running"], row["services_healthy"], row["command"]])))
}

#[tokio::test]
async fn a_stack_goes_through_its_life_and_its_status_follows() -> Result<()> {
    let db = Database::new().await?;
    let (mut story, mut told, mut life) = (Story::new(), 0, Vec::new());
    let mut tell = async |story: &Story, what: &str| -> Result<()> {
        db.take(&story.said[told..], 100).await?;
        told = story.said.len();
        let (status, counts) = status(&db).await?;
        life.push(format!("{what}: {} {counts}", json!(status).as_str().unwrap_or_default()));
        Ok(())
    };
    story.create("shop");
    let id = story.stack(1);
    tell(&story, "its create waits").await?;
    story.running(1, 1, 1);
    let (project, host) = ("shop".to_owned(), "local".to_owned());
    story.became(id, 1, StackChange::Created { name: "shop".parse()?, owner: "ann".parse()?, project, host });
    story.version(id, 1, 1);
    story.done(1, 1, 1, "version 1");
    tell(&story, "made").await?;
    let apply = story.ann("stack.apply", "shop", json!({"version": 1}));
    tell(&story, "an apply waits").await?;
    story.running(apply, 1, 1);
    story.failed(apply, 1, 1);
    tell(&story, "it failed").await?;
    story.cancelled(apply, 1, 1, "by ann");
    tell(&story, "and was cancelled").await?;
    story.applied(id, 1, &[("web", 2, false), ("job", 1, true)]);
    tell(&story, "applied, nothing seen yet").await?;
    story.observed(&story.container("w1", Some(id), "web", "running", 1));
    let mut w2 = story.container("w2", Some(id), "web", "running", 1);
    w2.health = Health::Starting;
    story.observed(&w2);
    let mut job = story.container("j1", Some(id), "job", "exited", 1);
    job.exit_code = Some(0);
    story.observed(&job);
    tell(&story, "all run, the job has finished").await?;
    w2.health = Health::Unhealthy;
    story.observed(&w2);
    tell(&story, "one is unhealthy").await?;
    w2.health = Health::Healthy;
    w2.drift = vec![Drift { path: "cpus".into(), expected: Some(json!(1)), actual: Some(json!(2)) }];
    story.observed(&w2);
    tell(&story, "healthy, and drifted").await?;
    job.exit_code = Some(1);
    story.observed(&job);
    tell(&story, "the job failed").await?;
    job.exit_code = Some(0);
    story.observed(&job);
    w2.transient = true;
    story.observed(&w2);
    tell(&story, "one is being swapped").await?;
    story.gone("w2");
    story.became(id, 3, StackChange::DesiredChanged { desired: Desired::Stopped });
    tell(&story, "stopped").await?;
    let delete = story.ann("stack.delete", &id.to_string(), json!({}));
    tell(&story, "its delete waits").await?;
    story.running(delete, 1, 1);
    story.became(id, delete, StackChange::Deleted { volumes: true });
    story.done(delete, 1, 1, "gone");
    db.take(&story.said[told..], 100).await?;
    assert_eq!(db.rows("SELECT id FROM read.stack_overview").await?.len(), 0);
    assert_eq!(db.rows("SELECT version FROM read.versions").await?.len(), 1, "history stays");
    insta::assert_yaml_snapshot!(life);
    Ok(())
}

#[tokio::test]
async fn an_event_that_is_repeated_changes_nothing() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    let id = story.made("shop");
    story.applied(id, 1, &[("web", 1, false)]);
    db.take(&story.said, 100).await?;
    let before = rows(&db).await?;
    let told = story.said.len();
    for message in story.said.clone() {
        if message.stream == Stream::Events && message.subject.contains(".stack.") {
            story.say(Stream::Events, message.subject, message.body);
        }
    }
    db.take(&story.said[told..], 100).await?;
    assert_eq!(rows(&db).await?, before);
    Ok(())
}

async fn rows(db: &Database) -> Result<(Vec<Value>, Vec<Value>)> {
    Ok((db.rows("SELECT * FROM read.stacks").await?, db.rows("SELECT * FROM read.versions").await?))
}
