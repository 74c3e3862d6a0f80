//! A FAILED command holds the queue, until somebody retries or cancels it; with `release` it does not.

use std::time::Duration;

use anyhow::ensure;
use bollard::query_parameters::{RemoveImageOptions, TagImageOptions};
use orrery_contracts::rest::{Command, QueueState};
use orrery_contracts::{StackStatus, Status};
use orrery_tests::Installation;
use orrery_tests::bundles::replacing;
use orrery_tests::images::BUSYBOX;
use orrery_tests::wait::until_equal;
use serde_json::json;

use crate::small_stacks::{does_not_start, free_port, page_says, sleepers};

const SOON: Duration = Duration::from_secs(15);

/// Holds the queue: a stack of this name whose apply has failed. Answers the command that failed.
pub(crate) async fn hold(orrery: &Installation, name: &str) -> anyhow::Result<Command> {
    orrery.api.create(name, &does_not_start()).await?;
    orrery.api.fails(&format!("/stacks/{name}/apply/1"), json!({})).await
}

#[tokio::test]
async fn a_failed_command_holds_the_queue_until_it_is_cancelled() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (bad, good) = (orrery.name("bad"), orrery.name("good"));
    let failed = hold(&orrery, &bad).await?;
    let error = failed.error.clone().unwrap_or_else(|| unreachable_error(&failed));
    ensure!(error.message.contains("/no/such/program"), "the error does not say what the engine said: {error:?}");
    ensure!(orrery.api.stack(&bad).await?.status == StackStatus::Failed);

    let waits = orrery.api.write("/stacks", json!({"name": good, "bundle": sleepers(&["a"])})).await?;
    let queue: QueueState = orrery.api.read("/queue").await?;
    ensure!(queue.held && queue.head.as_ref().is_some_and(|head| head.seq == failed.seq), "{queue:#?}");
    ensure!(queue.waiting == 1, "{queue:#?}");
    let still: Command = orrery.api.read(&format!("/commands/{}?wait=1s", waits.id)).await?;
    ensure!(still.status == Status::Pending, "{still:#?}");
    // A stack whose create still waits is addressable.
    ensure!(orrery.api.stack(&good).await?.latest_version == 0);

    orrery.api.cancel(&failed.id).await?;
    orrery.api.must_be_done(&waits.id).await?;
    let ended = orrery.api.settled(&failed.id).await?;
    ensure!(ended.status == Status::Cancelled && ended.error == failed.error, "the error is lost: {ended:#?}");
    let queue: QueueState = orrery.api.read("/queue").await?;
    ensure!(!queue.held && queue.head.is_none(), "{queue:#?}");
    orrery.end().await
}

fn unreachable_error(command: &Command) -> orrery_contracts::rest::CommandError {
    orrery_contracts::rest::CommandError { code: "none".into(), message: format!("no error: {command:?}"), step: None }
}

#[tokio::test]
async fn a_retry_goes_on_when_the_reason_of_the_failure_is_gone() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (name, port) = (orrery.name("retry"), free_port());
    let (image, tag) = ("orrery/retry", name.as_str());
    let web = crate::small_stacks::web(port, "here", crate::small_stacks::WELL);
    let web = replacing(web, "compose.yaml", BUSYBOX, &format!("{image}:{tag}"))?;
    orrery.api.create(&name, &web).await?;
    let failed = orrery.api.fails(&format!("/stacks/{name}/apply/1"), json!({})).await?;
    ensure!(failed.attempt == 1 && failed.error.as_ref().is_some_and(|error| error.message.contains(image)), "{failed:#?}");

    // Somebody makes the image that could not be pulled.
    let names = TagImageOptions { repo: Some(image.to_owned()), tag: Some(tag.to_owned()) };
    orrery.engine.docker().tag_image(BUSYBOX, Some(names)).await?;
    orrery.api.retry(&failed.id).await?;
    let command = orrery.api.must_be_done(&failed.id).await?;
    ensure!(command.attempt == 2 && command.error.is_none(), "{command:#?}");
    page_says(port, "here").await?;
    ensure!(orrery.engine.of_project(&name).await?.len() == 2, "the failed attempt has left something");
    ensure!(orrery.api.plan(&name, 1).await?.empty);
    orrery.api.done(&format!("/stacks/{name}/delete"), json!({})).await?;
    let gone = RemoveImageOptions { force: true, ..RemoveImageOptions::default() };
    orrery.engine.docker().remove_image(&format!("{image}:{tag}"), Some(gone), None).await?;
    orrery.end().await
}

#[tokio::test]
async fn with_release_a_failed_command_is_cancelled_at_once_and_keeps_its_error() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let name = orrery.name("release");
    ci.done(&json!({"type": "stack.create", "target": name, "payload": {"bundle": does_not_start()}})).await?;
    let apply = ci.publish(&json!({"type": "stack.apply", "target": name, "payload": {"version": 1}, "on_failure": "release"})).await?;
    let next = ci.publish(&json!({"type": "stack.stop", "target": name})).await?;
    until_equal("the released command to be cancelled", SOON, &Status::Cancelled, || async {
        Ok(orrery.api.read::<Command>(&format!("/commands/{}", apply.seq)).await?.status)
    })
    .await?;
    let ended: Command = orrery.api.read(&format!("/commands/{}", apply.seq)).await?;
    ensure!(ended.error.is_some() && ended.on_failure == "release", "{ended:#?}");
    let behind = ci.settled(&next.id).await?;
    ensure!(behind.status.has_ended(), "{behind:#?}");
    orrery.end().await
}

#[tokio::test]
async fn a_command_that_waits_can_be_cancelled_and_never_starts() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("held");
    let failed = hold(&orrery, &name).await?;
    let waits = orrery.api.write("/stacks", json!({"name": orrery.name("never"), "bundle": sleepers(&["a"])})).await?;
    orrery.api.cancel(&waits.id).await?;
    let ended = orrery.api.settled(&waits.id).await?;
    ensure!(ended.status == Status::Cancelled && ended.started_at.is_none() && ended.ended_at.is_some(), "{ended:#?}");
    let again = orrery.api.post(&format!("/commands/{}/cancel", waits.id), json!({})).await?;
    ensure!(again.status == 409, "a second cancel answered {}: {}", again.status, again.body);
    ensure!(orrery.api.settled(&failed.id).await?.status == Status::Failed);
    orrery.end().await
}

#[tokio::test]
async fn a_running_command_stops_between_two_steps_when_it_is_cancelled() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("cancel");
    // Never healthy, and it takes minutes to say so: plenty of time to be cancelled.
    let slow = orrery_tests::bundles::compose(
        "services:\n  a:\n    image: orrery/busybox:test\n    command: [\"sleep\", \"100000\"]\n    stop_signal: SIGKILL\n    \
         healthcheck: {test: [\"CMD\", \"false\"], interval: 500ms, retries: 1000}\n  b:\n    image: orrery/busybox:test\n    \
         command: [\"sleep\", \"100000\"]\n    stop_signal: SIGKILL\n    depends_on: {a: {condition: service_healthy}}\n",
    );
    orrery.api.create(&name, &slow).await?;
    let apply = orrery.api.write(&format!("/stacks/{name}/apply/1"), json!({})).await?;
    until_equal("the apply to wait for health", SOON, &true, || async {
        let seen = orrery.engine.of_project(&name).await?;
        Ok(seen.iter().any(|seen| seen.service == "a" && seen.state == "running"))
    })
    .await?;
    orrery.api.cancel(&apply.id).await?;
    let ended = orrery.api.settled(&apply.id).await?;
    ensure!(ended.status == Status::Cancelled, "{ended:#?}");
    let running = orrery.engine.of_project(&name).await?.into_iter().filter(|seen| seen.state == "running").count();
    ensure!(running == 0, "a cancelled first apply leaves {running} containers running");
    orrery.end().await
}
