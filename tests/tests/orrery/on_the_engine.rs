//! What an apply leaves on the engine, what it never touches there, and how it sees what others did.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions, StopContainerOptions};
use orrery_contracts::StackStatus;
use orrery_tests::bundles::{compose, replacing};
use orrery_tests::engine::PROJECT;
use orrery_tests::wait::until_equal;
use orrery_tests::{Installation, images};
use serde_json::json;

use crate::small_stacks::sleepers;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_container_carries_the_labels_that_other_tools_know_and_ours() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("labels");
    let stack = orrery.api.create(&name, &replacing(sleepers(&["a"]), "compose.yaml", "marker: \"1\"", "marker: mine")?).await?;
    orrery.api.apply(&name, 1).await?;
    let seen = orrery.engine.of_project(&name).await?;
    let labels = &seen.first().context("no container")?.labels;
    let wanted = [
        (PROJECT, name.as_str()),
        ("com.docker.compose.service", "a"),
        ("com.docker.compose.container-number", "1"),
        ("com.docker.compose.oneoff", "False"),
        ("marker", "mine"),
    ];
    for (label, value) in wanted {
        ensure!(labels.get(label).map(String::as_str) == Some(value), "{label} is {:?}: {labels:#?}", labels.get(label));
    }
    let ours: Vec<&String> = labels.iter().filter(|(label, _)| label.starts_with("io.orrery.")).map(|(_, value)| value).collect();
    let traces = |value: &str| ours.iter().any(|label| label.as_str() == value);
    ensure!(traces(&stack.id.to_string()) && traces("1") && traces("admin"), "not traceable to stack, version and owner: {labels:#?}");
    orrery.end().await
}

#[tokio::test]
async fn what_somebody_else_made_is_never_touched() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("foreign");
    // The worst case: somebody's container with the project's own label and the very name that an apply would use.
    let foreign = format!("{name}-a-1");
    let body = ContainerCreateBody {
        image: Some(images::BUSYBOX.into()),
        cmd: Some(vec!["sleep".into(), "100000".into()]),
        labels: Some([(PROJECT.to_owned(), name.clone()), ("com.docker.compose.service".to_owned(), "a".to_owned())].into()),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptions { name: Some(foreign.clone()), ..CreateContainerOptions::default() };
    let made = orrery.engine.docker().create_container(Some(options), body).await?;
    orrery.engine.docker().start_container(&foreign, None).await?;

    let stack = orrery.api.create(&name, &sleepers(&["a"])).await?;
    let applied = orrery.api.write(&format!("/stacks/{name}/apply/1"), json!({})).await?;
    orrery.api.settled(&applied.id).await?;
    let still = orrery.engine.inspect(&foreign).await?.context("the foreign container is gone")?;
    ensure!(still.id == made.id && still.state == "running", "{still:?}");

    orrery.api.post(&format!("/commands/{}/cancel", applied.id), json!({})).await?;
    let delete = orrery.api.write(&format!("/stacks/{name}/delete"), json!({"volumes": true})).await?;
    orrery.api.settled(&delete.id).await?;
    let still = orrery.engine.inspect(&foreign).await?.context("the delete took the foreign container with it")?;
    ensure!(still.id == made.id && still.state == "running", "{still:?}");
    orrery.engine.sweep(&stack.project).await;
    orrery.end().await
}

#[tokio::test]
async fn what_was_changed_by_hand_is_seen_and_one_apply_puts_it_right() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("drift");
    orrery.api.create(&name, &sleepers(&["a", "b"])).await?;
    orrery.api.apply(&name, 1).await?;
    status_becomes(&orrery, &name, StackStatus::Running).await?;

    let docker = orrery.engine.docker();
    docker.remove_container(&format!("{name}-a-1"), Some(RemoveContainerOptions { force: true, ..Default::default() })).await?;
    docker.stop_container(&format!("{name}-b-1"), None::<StopContainerOptions>).await?;
    status_becomes(&orrery, &name, StackStatus::Degraded).await?;
    until_equal("the removed container to be gone from the list", SOON, &1, || async { Ok(orrery.api.containers(&name).await?.len()) })
        .await?;
    let plan = orrery.api.plan(&name, 1).await?;
    ensure!(!plan.empty, "the plan does not see it");
    orrery.api.apply(&name, 1).await?;
    status_becomes(&orrery, &name, StackStatus::Running).await?;
    ensure!(orrery.engine.of_project(&name).await?.iter().all(|seen| seen.state == "running"));
    orrery.end().await
}

#[tokio::test]
async fn what_an_apply_changes_in_place_is_no_drift() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("resized");
    let limited = |memory: &str| replacing(sleepers(&["a"]), "compose.yaml", "labels:", &format!("mem_limit: {memory}\n    labels:"));
    orrery.api.create(&name, &limited("64m")?).await?;
    orrery.api.apply(&name, 1).await?;
    let before = orrery.engine.of_project(&name).await?;
    let version = orrery.api.save(&name, &limited("96m")?).await?;
    orrery.api.apply(&name, version).await?;
    let ids = |seen: &[orrery_tests::engine::Seen]| seen.iter().map(|seen| seen.id.clone()).collect::<Vec<_>>();
    ensure!(ids(&orrery.engine.of_project(&name).await?) == ids(&before), "the container was replaced");
    status_becomes(&orrery, &name, StackStatus::Running).await?;
    orrery.end().await
}

#[tokio::test]
async fn a_named_volume_outlives_the_stack_unless_it_is_asked_for() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("data");
    let writer = compose(
        "services:\n  a:\n    image: orrery/busybox:test\n    stop_signal: SIGKILL\n    volumes: [\"data:/data\"]\n    command: [\"sh\", \"-c\", \
         \"echo again >> /data/log; cat /data/log; exec sleep 100000\"]\nvolumes:\n  data: {}\n",
    );
    for times in 1..=2 {
        orrery.api.create(&name, &writer).await?;
        orrery.api.apply(&name, 1).await?;
        until_equal("what the volume holds", SOON, &times, || async {
            Ok(orrery.engine.logs(&format!("{name}-a-1")).await?.matches("again").count())
        })
        .await?;
        orrery.api.done(&format!("/stacks/{name}/delete"), json!({})).await?;
        ensure!(orrery.engine.volumes_of(&name).await?.len() == 1, "the volume went with the stack");
    }
    orrery.api.create(&name, &writer).await?;
    orrery.api.apply(&name, 1).await?;
    orrery.api.done(&format!("/stacks/{name}/delete"), json!({"volumes": true})).await?;
    ensure!(orrery.engine.volumes_of(&name).await?.is_empty(), "the volume stays although it was asked for");
    orrery.end().await
}

#[tokio::test]
async fn two_installations_on_one_engine_leave_each_other_alone() -> anyhow::Result<()> {
    let (one, other) = tokio::try_join!(Installation::start(), Installation::start())?;
    let name = one.name("twice");
    one.api.create(&name, &sleepers(&["a"])).await?;
    one.api.apply(&name, 1).await?;
    let first = one.engine.of_project(&name).await?;

    // The same name in another installation: it gets a project of its own, and knows nothing of the first.
    let theirs = other.api.create(&name, &sleepers(&["a"])).await?;
    other.api.apply(&name, 1).await?;
    ensure!(other.api.containers(&name).await?.len() == 1);
    let project = other.api.stack(&name).await?.project;
    ensure!(project != name, "two stacks share the project {project}");
    other.api.done(&format!("/stacks/{}/delete", theirs.id), json!({"volumes": true})).await?;
    ensure!(one.engine.of_project(&name).await? == first, "one installation has changed what the other runs");
    ensure!(one.api.plan(&name, 1).await?.empty);
    other.engine.sweep(&project).await;
    other.end().await?;
    one.end().await
}

async fn status_becomes(orrery: &Installation, name: &str, wanted: StackStatus) -> anyhow::Result<()> {
    until_equal("the status of the stack", SOON, &wanted, || async { Ok(orrery.api.stack(name).await?.status) }).await
}
