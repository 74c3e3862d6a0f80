//! Orrery's main job by publishing on the broker, with the credentials of a publisher and nothing else.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use orrery_contracts::rest::Stack;
use orrery_contracts::{Code, Status};
use orrery_tests::publisher::Publisher;
use orrery_tests::{Installation, bundles};
use serde_json::json;

use crate::small_stacks::{WELL, free_port, page, page_says, sleepers, web};

#[tokio::test]
async fn a_publisher_does_the_main_job_with_his_own_credentials() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let (name, port) = (orrery.name("nats"), free_port());

    ci.done(&json!({"type": "stack.create", "target": name, "payload": {"bundle": web(port, "first", WELL), "comment": "by a script"}}))
        .await?;
    let applied =
        ci.done(&json!({"type": "stack.apply", "schema": 1, "target": name, "payload": {"version": 1}, "on_failure": "hold"})).await?;
    ensure!(applied.publisher == "ci" && applied.actor.as_deref() == Some("ci"), "{applied:#?}");
    ensure!(!applied.steps.is_empty(), "the answer has no steps");
    page_says(port, "first").await?;

    ci.done(
        &json!({"type": "stack.version.create", "target": name, "payload": {"bundle": web(port, "second", WELL), "expected_version": 1}}),
    )
    .await?;
    ci.done(&json!({"type": "stack.apply", "target": name, "payload": {"version": 2}})).await?;
    page_says(port, "second").await?;
    ci.done(&json!({"type": "stack.rollback", "target": name, "payload": {"version": 1}})).await?;
    page_says(port, "first").await?;

    // A bundle and its apply in one command: what a build pipeline wants.
    ci.done(&json!({"type": "stack.apply", "target": name, "payload": {"bundle": web(port, "third", WELL), "comment": "a build"}})).await?;
    page_says(port, "third").await?;
    let stack: Stack = orrery.api.stack(&name).await?;
    ensure!((stack.owner.as_str(), stack.latest_version, stack.current_version) == ("ci", 3, Some(3)), "{stack:?}");

    ci.done(&json!({"type": "stack.stop", "target": name})).await?;
    ensure!(page(port).await.is_err(), "the page answers after the stop");
    ci.done(&json!({"type": "stack.start", "target": name})).await?;
    page_says(port, "third").await?;
    ci.done(&json!({"type": "stack.restart", "target": name, "payload": {}})).await?;
    page_says(port, "third").await?;
    ci.done(&json!({"type": "stack.delete", "target": name, "payload": {"volumes": true}})).await?;
    ensure!(orrery.engine.of_project(&name).await?.is_empty());
    orrery.end().await
}

#[tokio::test]
async fn a_publisher_sees_his_own_commands_and_nobody_elses() -> anyhow::Result<()> {
    let orrery = Installation::start_with(&[("ORRERY_PUBLISHERS", "ci,other")]).await?;
    orrery.broker.publisher("other").await?;
    let credentials = std::fs::read_to_string(orrery.data().join("publishers/other.env"))?;
    let (ci, other) = (orrery.ci().await?, Publisher::sign_in(&credentials).await?);
    let name = orrery.name("mine");

    let made = ci.done(&json!({"type": "stack.create", "target": name, "payload": {"bundle": sleepers(&["a"])}})).await?;
    for question in [json!({"id": made.id}), json!({"seq": made.seq}), json!({"id": made.id, "wait": "1s"})] {
        let mine = ci.ask(&question).await?.map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
        ensure!(mine.status == Status::Done && mine.seq == made.seq, "{mine:#?}");
        let theirs = other.ask(&question).await?;
        ensure!(theirs.as_ref().is_err_and(|problem| problem.code == Code::NotFound), "{question}: {theirs:?}");
    }
    // His names are his own: the same word means another stack for somebody else, or none.
    let reason = other.rejected(json!({"type": "stack.apply", "target": name, "payload": {"version": 1}}).to_string().as_bytes()).await?;
    ensure!(!reason.contains("ci"), "the rejection tells whose it is: {reason}");
    let target = format!("ci/{name}");
    other.rejected(json!({"type": "stack.delete", "target": target}).to_string().as_bytes()).await?;
    let seen: Stack = orrery.api.stack(&name).await?;
    other.rejected(json!({"type": "stack.delete", "target": seen.id}).to_string().as_bytes()).await?;
    orrery.api.stack(&name).await.context("the stack is still there")?;
    orrery.end().await
}

#[tokio::test]
async fn a_publisher_cannot_read_or_change_a_stream() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    // Where nobody answers, the client would wait for a minute: a moment is enough.
    let moment = Duration::from_secs(2);
    let stream = tokio::time::timeout(moment, ci.jetstream().get_stream("COMMANDS")).await;
    ensure!(!matches!(stream, Ok(Ok(_))), "he can look at the stream of everybody's commands");
    let bucket = tokio::time::timeout(moment, ci.jetstream().get_key_value("POLICY")).await;
    ensure!(!matches!(bucket, Ok(Ok(_))), "he can look at the rights of others");
    let mut heard = ci.client().subscribe("orrery.>").await?;
    let other = orrery.api.create(&orrery.name("quiet"), &bundles::compose("services:\n  a:\n    image: orrery/busybox:test\n")).await?;
    ensure!(other.latest_version == 1);
    ci.client().flush().await?;
    let first = tokio::time::timeout(Duration::from_millis(300), futures::StreamExt::next(&mut heard)).await;
    ensure!(!matches!(first, Ok(Some(_))), "he hears what others do: {first:?}");
    orrery.end().await
}
