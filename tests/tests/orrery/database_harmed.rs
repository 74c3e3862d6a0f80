//! What befalls the database alone: a full disk, and a copy of yesterday put back. It is a reader of the streams: commands go on
//! meanwhile, and afterwards it has everything.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use orrery_contracts::{StackStatus, Status};
use orrery_tests::history::{History, Watch};
use orrery_tests::installation::Form;
use orrery_tests::live::Live;
use orrery_tests::publisher::Publisher;
use orrery_tests::wait::until_equal;
use orrery_tests::{Installation, Service};
use serde_json::json;

use crate::database_away::{a_rebuild_changes_nothing, the_database_has_every_message};
use crate::small_stacks::{WELL, free_port, page_says, web};

const SOON: Duration = Duration::from_secs(60);

/// Publishes a stack and its apply past the api, and waits until its page answers.
async fn made_by_publisher(ci: &Publisher, name: &str, port: u16, word: &str) -> anyhow::Result<()> {
    ci.publish(&json!({"type": "stack.create", "target": name, "payload": {"bundle": web(port, word, WELL)}})).await?;
    ci.publish(&json!({"type": "stack.apply", "target": name, "payload": {"version": 1}})).await?;
    page_says(port, word).await
}

async fn runs(orrery: &Installation, name: &str) -> anyhow::Result<()> {
    until_equal("the read model to catch up", SOON, &(Some(1), StackStatus::Running), || async {
        let stack = orrery.api.stack(name).await?;
        Ok((stack.current_version, stack.status))
    })
    .await
}

#[tokio::test]
async fn a_full_disk_of_the_database_stops_no_command_and_free_again_it_has_everything() -> anyhow::Result<()> {
    let mut orrery = Installation::start_as(Form { database_disk: Some(256), ..Form::default() }).await?;
    let (watch, ci) = (Watch::begin(&orrery.engine, &orrery.reading().await?).await?, orrery.ci().await?);
    let (before, during) = (orrery.name("before"), orrery.name("during"));
    made_by_publisher(&ci, &before, free_port(), "before").await?;
    runs(&orrery, &before).await?;

    orrery.postgres.disk().context("there is no small disk")?.fill();
    // More than the room that is left in the tables' own pages.
    for n in 0..20 {
        ci.publish(&json!({"type": "stack.start", "target": format!("nobody-{n}"), "payload": {"comment": "x".repeat(100_000)}})).await?;
    }
    made_by_publisher(&ci, &during, free_port(), "during").await?;
    let deadline = Instant::now() + SOON;
    while !orrery.waits_of(Service::Projector).await?.is_some_and(|waits| waits.contains("database")) {
        ensure!(Instant::now() < deadline, "the projector does not say that it cannot write");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    orrery.postgres.disk().context("there is no small disk")?.free()?;
    // A server that had no room for its own journal has ended.
    if orrery.postgres.has_ended() {
        orrery.postgres.start_again()?;
    }
    runs(&orrery, &during).await?;
    the_database_has_every_message(&orrery).await?;
    a_rebuild_changes_nothing(&mut orrery).await?;
    History::of(&orrery, &watch).await?.audited("database-harmed")?;
    orrery.end().await
}

#[tokio::test]
async fn an_older_copy_of_the_database_catches_up() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let (watch, ci) = (Watch::begin(&orrery.engine, &orrery.reading().await?).await?, orrery.ci().await?);
    let (before, after) = (orrery.name("before"), orrery.name("after"));
    made_by_publisher(&ci, &before, free_port(), "before").await?;
    runs(&orrery, &before).await?;
    orrery.postgres.kill()?;
    orrery.postgres.keep_copy()?;
    orrery.postgres.start_again()?;
    made_by_publisher(&ci, &after, free_port(), "after").await?;
    runs(&orrery, &after).await?;
    let mut open_page = Live::open(&orrery.api, "/events", None).await?;
    orrery.api.done(&format!("/stacks/{before}/stop"), json!({})).await?;
    let seen = open_page.until(SOON, |event| event.kind == "command" && event.data["status"] == "DONE").await?;
    let place = seen.last().context("an event")?.id.clone();

    orrery.postgres.kill()?;
    orrery.postgres.restore_copy()?;
    orrery.postgres.start_again()?;
    runs(&orrery, &after).await?;
    the_database_has_every_message(&orrery).await?;
    // Its numbers went back with it, and have been given out again meanwhile: whoever has one loads again.
    open_page.until(SOON, |event| event.kind == "reset").await?;
    let mut opened_again = Live::open(&orrery.api, "/events", Some(&place)).await?;
    let told = opened_again.until(SOON, |event| event.kind == "reset").await?;
    ensure!(told.len() == 1, "before it was told to load again it was told {told:#?}");
    let stopped = orrery.api.done(&format!("/stacks/{after}/stop"), json!({})).await?;
    ensure!(stopped.status == Status::Done);
    a_rebuild_changes_nothing(&mut orrery).await?;
    History::of(&orrery, &watch).await?.audited("database-harmed")?;
    orrery.end().await
}
