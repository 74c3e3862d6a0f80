//! One id, one effect, however often and however late it is published.

use anyhow::ensure;
use futures::future::join_all;
use orrery_contracts::rest::Command;
use orrery_tests::{Installation, Service};
use serde_json::json;
use uuid::Uuid;

use crate::small_stacks::sleepers;

#[tokio::test]
async fn an_id_has_one_effect_however_often_it_is_published() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let name = orrery.name("once");
    ci.done(&json!({"type": "stack.create", "target": name, "payload": {"bundle": sleepers(&["a"])}})).await?;

    let id = Uuid::now_v7().to_string();
    let body = json!({"type": "stack.version.create", "target": name, "payload": {"bundle": sleepers(&["a", "b"])}}).to_string();
    let answers = join_all((0..20).map(|_| ci.publish_raw(&id, body.clone().into_bytes()))).await;
    let mut taken = Vec::new();
    for answer in answers {
        let answer = answer?;
        if answer.get("error").is_none() {
            taken.push(answer);
        }
    }
    ensure!(taken.len() == 1, "the broker took it {} times: {taken:?}", taken.len());
    ci.settled(&id).await?;

    // Late: after it was done, after the executor was new, after the broker was new.
    ensure!(ci.publish_raw(&id, body.clone().into_bytes()).await?.get("error").is_some(), "taken again after its end");
    orrery.crash(Service::DockerExecutor)?;
    orrery.broker.kill();
    orrery.broker.start().await?;
    let ci = orrery.ci().await?;
    ensure!(ci.publish_raw(&id, body.into_bytes()).await?.get("error").is_some(), "taken again by the broker's next process");
    orrery.ready(Service::DockerExecutor).await?;

    ci.done(&json!({"type": "stack.version.create", "target": name, "payload": {"bundle": sleepers(&["a", "b", "c"])}})).await?;
    let versions = orrery.api.versions(&name).await?;
    ensure!(versions.len() == 3, "{versions:#?}");
    let commands: Vec<Command> = orrery.api.list("/commands?limit=500").await?;
    ensure!(commands.iter().filter(|command| command.id == id).count() == 1);
    orrery.end().await
}

#[tokio::test]
async fn an_idempotency_key_makes_one_command_and_refuses_another_body() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("key");
    let body = json!({"name": name, "bundle": sleepers(&["a"])});
    let send = |body: &serde_json::Value| {
        let request = orrery.api.request(reqwest::Method::POST, "/stacks").header("Idempotency-Key", "deploy-42").json(body);
        orrery.api.send(request)
    };
    let first: Command = send(&body).await?.read(202)?;
    let again: Command = send(&body).await?.read(202)?;
    ensure!((first.seq, &first.id) == (again.seq, &again.id), "{first:?} {again:?}");
    orrery.api.must_be_done(&first.id).await?;
    let late: Command = send(&body).await?.read(202)?;
    ensure!(late.seq == first.seq);
    let other = json!({"name": name, "bundle": sleepers(&["b"])});
    send(&other).await?.problem(422, "idempotency_key_reused")?;
    ensure!(orrery.api.versions(&name).await?.len() == 1);
    orrery.end().await
}
