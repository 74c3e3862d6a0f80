//! A failed apply never takes down what ran: the old containers run on, or come back, and the failed one's words stay.

use anyhow::{Context as _, ensure};
use orrery_contracts::rest::Command;
use orrery_contracts::{Bundle, Status};
use orrery_tests::bundles::replacing;
use orrery_tests::{Installation, Seen};
use serde_json::json;

use crate::small_stacks::{WELL, free_port, page_says, web};

/// Applies a good version and then a bad one, and looks at what is left: exactly what ran before.
async fn survives(orrery: &Installation, name: &str, port: u16, bad: &Bundle) -> anyhow::Result<Command> {
    orrery.api.create(name, &web(port, "old", WELL)).await?;
    orrery.api.apply(name, 1).await?;
    page_says(port, "old").await?;
    let before = orrery.engine.of_project(name).await?;

    orrery.api.save(name, bad).await?;
    let failed = orrery.api.fails(&format!("/stacks/{name}/apply/2"), json!({})).await?;
    page_says(port, "old").await.context("what ran before does not answer any more")?;
    let after = orrery.engine.of_project(name).await?;
    let (ids_before, ids_after) = (ids(&before), ids(&after));
    ensure!(ids_before == ids_after, "not exactly the containers that ran before: {after:#?}");
    ensure!(after.iter().all(|seen| seen.state == "running"), "{after:#?}");
    let stack = orrery.api.stack(name).await?;
    ensure!(stack.current_version == Some(1), "current has moved: {stack:?}");
    Ok(failed)
}

fn ids(seen: &[Seen]) -> Vec<(&str, &str)> {
    seen.iter().map(|seen| (seen.name.as_str(), seen.id.as_str())).collect()
}

#[tokio::test]
async fn a_wrong_image_leaves_the_old_containers_running() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (name, port) = (orrery.name("image"), free_port());
    let bad = replacing(
        web(port, "new", WELL),
        "compose.yaml",
        "orrery/busybox:test\n    command: [\"sh\"",
        "localhost:1/no-such-image:1\n    command: [\"sh\"",
    )?;
    let failed = survives(&orrery, &name, port, &bad).await?;
    let error = failed.error.context("a failed command without an error")?;
    ensure!(error.message.contains("no-such-image"), "{error:?}");
    orrery.end().await
}

#[tokio::test]
async fn an_unhealthy_new_version_gives_way_to_the_old_and_its_log_stays_readable() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (name, port) = (orrery.name("ill"), free_port());
    let failed = survives(&orrery, &name, port, &web(port, "new", "echo i am ill; exit 1")).await?;
    let error = failed.error.clone().context("a failed command without an error")?;
    ensure!(error.code == "unhealthy" && error.message.contains("\"i am ill\""), "the error does not say why: {error:?}");

    let logs: Vec<_> = failed.steps.iter().filter_map(|step| step.log.clone()).collect();
    let mut kept = String::new();
    for digest in &logs {
        let answer = orrery.api.get(&format!("/bundles/{digest}")).await?;
        kept.push_str(&answer.expect(200)?.to_string());
    }
    ensure!(kept.contains("starting new"), "the failed container's words are gone ({} logs): {kept}", logs.len());

    // The old one goes on after the failure was dealt with, and a good version can follow.
    orrery.api.cancel(&failed.id).await?;
    ensure!(orrery.api.settled(&failed.id).await?.status == Status::Cancelled);
    orrery.api.save(&name, &web(port, "good", WELL)).await?;
    orrery.api.apply(&name, 3).await?;
    page_says(port, "good").await?;
    ensure!(orrery.engine.of_project(&name).await?.len() == 2, "something of the failed version is left");
    orrery.end().await
}

#[tokio::test]
async fn a_new_version_that_does_not_start_gives_way_to_the_old() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (name, port) = (orrery.name("start"), free_port());
    let bad = replacing(web(port, "new", WELL), "compose.yaml", "[\"sh\", \"-c\",", "[\"/no/such/program\",")?;
    let failed = survives(&orrery, &name, port, &bad).await?;
    let error = failed.error.context("a failed command without an error")?;
    ensure!(error.message.contains("/no/such/program"), "{error:?}");
    ensure!(orrery.api.plan(&name, 1).await?.empty, "version 1 does not run as it did");
    orrery.end().await
}
