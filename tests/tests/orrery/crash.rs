//! SIGKILL in the middle of an apply: nothing is lost, nothing is done twice, and the command ends DONE.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use orrery_contracts::rest::Command;
use orrery_contracts::{Bundle, Status};
use orrery_tests::bundles::compose;
use orrery_tests::history::{History, Watch};
use orrery_tests::wait::until_equal;
use orrery_tests::{Installation, Service};
use serde_json::json;

use crate::database_away::the_database_has_every_message;

/// Ten services in five layers; each layer waits until the one before is healthy, so that the apply takes its time.
fn ten_services() -> Bundle {
    let mut text = String::from("services:\n");
    for layer in 0..5 {
        for side in ["left", "right"] {
            text.push_str(&format!(
                "  {side}{layer}:\n    image: orrery/busybox:test\n    command: [\"sleep\", \"100000\"]\n    stop_signal: SIGKILL\n    \
                 healthcheck: {{test: [\"CMD\", \"true\"], interval: 400ms, timeout: 5s, retries: 20}}\n"
            ));
            if layer > 0 {
                text.push_str(&format!("    depends_on: {{{side}{}: {{condition: service_healthy}}}}\n", layer - 1));
            }
        }
    }
    compose(text)
}

async fn until_so_many_run(orrery: &Installation, name: &str, wanted: usize) -> anyhow::Result<()> {
    until_equal(&format!("{wanted} containers to run"), Duration::from_secs(60), &true, || async {
        let running = orrery.engine.of_project(name).await?.into_iter().filter(|seen| seen.state == "running").count();
        Ok(running >= wanted)
    })
    .await
}

/// What must be true afterwards, whoever was killed.
async fn all_is_well(orrery: &Installation, name: &str, apply: &Command) -> anyhow::Result<()> {
    let command = orrery.api.settled(&apply.id).await?;
    ensure!(command.status == Status::Done, "ended {:?}: {:?} {:?}\n{:#?}", command.status, command.reason, command.error, command.steps);
    let seen = orrery.engine.of_project(name).await?;
    let services: BTreeSet<&str> = seen.iter().map(|seen| seen.service.as_str()).collect();
    ensure!(seen.len() == 10 && services.len() == 10, "not ten containers of ten services: {seen:#?}");
    ensure!(seen.iter().all(|seen| seen.state == "running" && seen.health == "healthy"), "{seen:#?}");
    let named = seen.iter().all(|seen| seen.name == format!("{name}-{}-1", seen.service));
    ensure!(named, "a container has kept a temporary name: {seen:#?}");
    let plan = orrery.api.plan(name, 1).await?;
    ensure!(plan.empty, "{plan:#?}");
    ensure!(orrery.api.stack(name).await?.current_version == Some(1));
    the_database_has_every_message(orrery).await
}

#[tokio::test]
async fn an_apply_survives_the_end_of_the_executor_the_broker_and_the_projector_together() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let name = orrery.name("crash");
    orrery.api.create(&name, &ten_services()).await?;
    let apply = orrery.api.write(&format!("/stacks/{name}/apply/1"), json!({})).await?;
    until_so_many_run(&orrery, &name, 3).await?;

    orrery.process(Service::DockerExecutor).kill();
    orrery.broker.kill();
    orrery.process(Service::Projector).kill();
    let left = orrery.engine.of_project(&name).await?.into_iter().filter(|seen| seen.state == "running").count();
    ensure!(left < 10, "the apply was over before anybody was killed");

    orrery.broker.start().await?;
    orrery.process(Service::DockerExecutor).start()?;
    orrery.process(Service::Projector).start()?;
    all_is_well(&orrery, &name, &apply).await?;
    let command = orrery.api.settled(&apply.id).await?;
    ensure!(command.run >= 2, "the second run is not on record: {}", command.run);
    History::of(&orrery, &watch).await?.audited("crash")?;
    orrery.end().await
}

#[tokio::test]
async fn an_apply_survives_each_of_them_one_after_the_other() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let name = orrery.name("crash");
    orrery.api.create(&name, &ten_services()).await?;
    let apply = orrery.api.write(&format!("/stacks/{name}/apply/1"), json!({})).await?;
    until_so_many_run(&orrery, &name, 1).await?;
    orrery.crash(Service::Projector)?;
    until_so_many_run(&orrery, &name, 3).await?;
    orrery.crash(Service::DockerExecutor)?;
    until_so_many_run(&orrery, &name, 5).await?;
    orrery.broker.kill();
    orrery.broker.start().await?;
    until_so_many_run(&orrery, &name, 7).await?;
    orrery.crash(Service::Api)?;
    orrery.ready(Service::Api).await?;
    all_is_well(&orrery, &name, &apply).await?;
    History::of(&orrery, &watch).await?.audited("crash")?;
    orrery.end().await
}

#[tokio::test]
async fn a_replacement_that_is_killed_in_the_middle_leaves_no_temporary_container() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let name = orrery.name("crash");
    orrery.api.create(&name, &ten_services()).await?;
    orrery.api.apply(&name, 1).await?;
    let changed = orrery_tests::bundles::replacing(ten_services(), "compose.yaml", "\"100000\"", "\"200000\"")?;
    orrery.api.save(&name, &changed).await?;
    let before: BTreeSet<String> = orrery.engine.of_project(&name).await?.into_iter().map(|seen| seen.id).collect();
    let apply = orrery.api.write(&format!("/stacks/{name}/apply/2"), json!({})).await?;
    for new in [1, 4, 7] {
        until_equal(&format!("{new} new containers"), Duration::from_secs(60), &true, || async {
            let seen = orrery.engine.of_project(&name).await?;
            Ok(seen.iter().filter(|seen| !before.contains(&seen.id) && seen.state == "running").count() >= new)
        })
        .await?;
        orrery.crash(Service::DockerExecutor)?;
    }
    let command = orrery.api.settled(&apply.id).await?;
    ensure!(command.status == Status::Done, "ended {:?}: {:?} {:?}", command.status, command.reason, command.error);
    let seen = orrery.engine.of_project(&name).await?;
    ensure!(seen.len() == 10, "{seen:#?}");
    ensure!(seen.iter().all(|seen| !before.contains(&seen.id) && seen.name == format!("{name}-{}-1", seen.service)), "{seen:#?}");
    ensure!(orrery.api.plan(&name, 2).await?.empty);
    History::of(&orrery, &watch).await?.audited("crash")?;
    orrery.end().await
}
