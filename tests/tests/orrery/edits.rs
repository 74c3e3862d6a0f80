//! Two people edit one stack: the second is told, before anything happens, and again when his command's turn comes.

use anyhow::ensure;
use orrery_contracts::Status;
use orrery_contracts::rest::Command;
use orrery_tests::{Answer, Installation};
use serde_json::json;

use crate::held_queue::hold;
use crate::small_stacks::sleepers;

#[tokio::test]
async fn a_save_over_somebody_elses_save_is_refused_with_what_differs() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("edit");
    orrery.api.create(&name, &sleepers(&["a"])).await?;
    let seen = orrery.api.get(&format!("/stacks/{name}")).await?;
    let etag = seen.header("etag").unwrap_or_default().to_owned();
    ensure!(etag == "\"1\"", "the ETag of a stack is its latest version: {etag}");

    let mine = save(&orrery, &name, &etag, &["a", "mine"]).await?.read::<Command>(202)?;
    orrery.api.must_be_done(&mine.id).await?;
    let problem = save(&orrery, &name, &etag, &["a", "theirs"]).await?.problem(412, "edit_conflict")?;
    ensure!(problem.to_string().contains("mine"), "the answer does not show what was saved meanwhile: {problem}");
    ensure!(orrery.api.versions(&name).await?.len() == 2);
    let current = save(&orrery, &name, "\"2\"", &["a", "mine", "theirs"]).await?.read::<Command>(202)?;
    orrery.api.must_be_done(&current.id).await?;
    orrery.end().await
}

#[tokio::test]
async fn a_save_that_waits_counts_for_the_next_one() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (name, bad) = (orrery.name("edit"), orrery.name("bad"));
    orrery.api.create(&name, &sleepers(&["a"])).await?;
    let failed = hold(&orrery, &bad).await?;
    let first = save(&orrery, &name, "\"1\"", &["a", "b"]).await?.read::<Command>(202)?;
    save(&orrery, &name, "\"1\"", &["a", "c"]).await?.problem(412, "edit_conflict")?;
    orrery.api.cancel(&failed.id).await?;
    orrery.api.must_be_done(&first.id).await?;
    orrery.end().await
}

#[tokio::test]
async fn a_lost_race_in_the_queue_is_a_rejection_and_not_a_failure() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let name = orrery.name("race");
    ci.done(&json!({"type": "stack.create", "target": name, "payload": {"bundle": sleepers(&["a"])}})).await?;
    let save = |service: &str| json!({"type": "stack.version.create", "target": name, "payload": {"bundle": sleepers(&["a", service]), "expected_version": 1}});
    let (first, second) = (ci.publish(&save("b")).await?, ci.publish(&save("c")).await?);
    ensure!(ci.settled(&first.id).await?.status == Status::Done);
    let lost = ci.settled(&second.id).await?;
    ensure!(lost.status == Status::Cancelled && lost.reason.as_deref().is_some_and(|reason| reason.starts_with("rejected:")), "{lost:#?}");
    ensure!(orrery.api.versions(&name).await?.len() == 2);
    orrery.end().await
}

async fn save(orrery: &Installation, name: &str, etag: &str, services: &[&str]) -> anyhow::Result<Answer> {
    let request = orrery.api.request(reqwest::Method::POST, &format!("/stacks/{name}/versions"));
    orrery.api.send(request.header("If-Match", etag).json(&json!({"bundle": sleepers(services)}))).await
}
