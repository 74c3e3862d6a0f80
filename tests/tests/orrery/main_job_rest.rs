//! Orrery's main job by REST, on each of the examples: create, plan, apply, open the port, change, compare, apply, roll
//! back, stop, start, delete.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use orrery_contracts::rest::{Stack, VersionDiff};
use orrery_contracts::{Bundle, Plan, StackStatus};
use orrery_tests::bundles::{example, replacing, with};
use orrery_tests::wait::until_equal;
use orrery_tests::{Installation, images};
use serde_json::json;

use crate::small_stacks::{free_port, page_says};

const SOON: Duration = Duration::from_secs(15);

/// One example, and a change of it.
struct Story {
    word: &'static str,
    port: u16,
    first: Bundle,
    second: Bundle,
    /// The file that the change is in.
    file: &'static str,
    /// The services that the change replaces; every other one stays.
    replaced: &'static [&'static str],
    /// What the page says in version 1, and in version 2.
    says: [&'static str; 2],
    containers: usize,
}

#[tokio::test]
async fn a_static_site_goes_through_its_whole_life_by_rest() -> anyhow::Result<()> {
    let port = free_port();
    let first = with(example("static-site")?, ".env", format!("PORT={port}\n"));
    let second = replacing(first.clone(), "site/index.html", "A constellation of two", "Two, in their second version")?;
    let says = ["A constellation of two", "Two, in their second version"];
    live(Story { word: "site", port, first, second, file: "site/index.html", replaced: &["site"], says, containers: 2 }).await
}

#[tokio::test]
async fn a_web_application_with_its_database_goes_through_its_whole_life_by_rest() -> anyhow::Result<()> {
    let port = free_port();
    let first = with(example("web-app")?, ".env", format!("PORT={port}\nGREETING=Hello, first\n"));
    let second = with(first.clone(), ".env", format!("PORT={port}\nGREETING=Hello, second\n"));
    let says = ["Hello, first", "Hello, second"];
    live(Story { word: "app", port, first, second, file: ".env", replaced: &["app"], says, containers: 3 }).await
}

#[tokio::test]
async fn a_message_pipeline_goes_through_its_whole_life_by_rest() -> anyhow::Result<()> {
    let port = free_port();
    let first = with(example("pipeline")?, ".env", format!("PORT={port}\nJOBS_PER_SECOND=5\n"));
    let second = with(first.clone(), ".env", format!("PORT={port}\nJOBS_PER_SECOND=9\n"));
    let says = ["Pipeline", "Pipeline"];
    live(Story { word: "pipe", port, first, second, file: ".env", replaced: &["producer"], says, containers: 6 }).await
}

async fn live(story: Story) -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    images::base(&orrery.engine).await?;
    let name = &orrery.name(story.word);
    create_and_apply(&orrery, name, &story).await.context("version 1")?;
    change_and_apply(&orrery, name, &story).await.context("version 2")?;
    roll_back(&orrery, name, &story).await.context("back to version 1")?;
    stop_and_start(&orrery, name, &story).await.context("stop and start")?;
    delete(&orrery, name).await.context("delete")?;
    orrery.end().await
}

async fn create_and_apply(orrery: &Installation, name: &str, story: &Story) -> anyhow::Result<()> {
    let api = &orrery.api;
    let stack = api.create(name, &story.first).await?;
    ensure!((stack.status, stack.latest_version, stack.current_version) == (StackStatus::Created, 1, None), "{stack:?}");
    let plan = api.plan(name, 1).await?;
    ensure!(!plan.empty && actions(&plan, "container.create") == story.containers, "{plan:#?}");
    ensure!(plan.actions.iter().any(|action| action.action == "image.build"), "nothing is built: {plan:#?}");

    let command = api.apply(name, 1).await?;
    ensure!(!command.steps.is_empty() && command.steps.iter().all(|step| step.ended_at.is_some()), "{:#?}", command.steps);
    page_says(story.port, story.says[0]).await?;
    status_becomes(orrery, name, StackStatus::Running).await?;
    ensure!(api.stack(name).await?.current_version == Some(1));
    let containers = api.containers(name).await?;
    ensure!(containers.len() == story.containers, "{containers:#?}");
    let again = api.plan(name, 1).await?;
    ensure!(again.empty, "what was applied is planned again: {again:#?}");
    let nothing = api.apply(name, 1).await?;
    ensure!(nothing.reason.is_some(), "an apply that does nothing says so: {nothing:#?}");
    Ok(())
}

async fn change_and_apply(orrery: &Installation, name: &str, story: &Story) -> anyhow::Result<()> {
    let api = &orrery.api;
    let before = containers(orrery, name).await?;
    ensure!(api.save(name, &story.second).await? == 2);
    let diff: VersionDiff = api.read(&format!("/stacks/{name}/diff/1/2")).await?;
    let changed: Vec<&str> = diff.files.iter().map(|file| file.path.as_str()).collect();
    ensure!(changed == [story.file], "{diff:#?}");
    ensure!(diff.files.iter().all(|file| file.diff.as_ref().is_some_and(|text| text.contains("\n-") && text.contains("\n+"))), "{diff:#?}");
    let plan = api.plan(name, 2).await?;
    ensure!(replaced(&plan) == story.replaced, "{plan:#?}");
    api.apply(name, 2).await?;
    page_says(story.port, story.says[1]).await?;
    let after = containers(orrery, name).await?;
    only_these_are_new(&before, &after, story.replaced)?;
    ensure!(api.plan(name, 2).await?.empty);
    status_becomes(orrery, name, StackStatus::Running).await
}

async fn roll_back(orrery: &Installation, name: &str, story: &Story) -> anyhow::Result<()> {
    let api = &orrery.api;
    let before = containers(orrery, name).await?;
    api.done(&format!("/stacks/{name}/rollback/1"), json!({})).await?;
    let stack = api.stack(name).await?;
    ensure!((stack.current_version, stack.latest_version) == (Some(1), 2), "{stack:?}");
    page_says(story.port, story.says[0]).await?;
    only_these_are_new(&before, &containers(orrery, name).await?, story.replaced)
}

async fn stop_and_start(orrery: &Installation, name: &str, story: &Story) -> anyhow::Result<()> {
    let api = &orrery.api;
    let before = containers(orrery, name).await?;
    api.done(&format!("/stacks/{name}/stop"), json!({})).await?;
    let running = orrery.engine.of_project(name).await?.into_iter().filter(|seen| seen.state == "running").count();
    ensure!(running == 0, "{running} containers run after the stop");
    status_becomes(orrery, name, StackStatus::Stopped).await?;
    api.done(&format!("/stacks/{name}/start"), json!({})).await?;
    page_says(story.port, story.says[0]).await?;
    status_becomes(orrery, name, StackStatus::Running).await?;
    ensure!(before == containers(orrery, name).await?, "a start makes nothing new");
    Ok(())
}

async fn delete(orrery: &Installation, name: &str) -> anyhow::Result<()> {
    orrery.api.done(&format!("/stacks/{name}/delete"), json!({"volumes": true})).await?;
    ensure!(orrery.engine.of_project(name).await?.is_empty(), "containers stay");
    ensure!(orrery.engine.networks_of(name).await?.is_empty(), "networks stay");
    ensure!(orrery.engine.volumes_of(name).await?.is_empty(), "volumes stay");
    orrery.api.get(&format!("/stacks/{name}")).await?.problem(404, "not_found")?;
    let stacks: Vec<Stack> = orrery.api.list("/stacks").await?;
    ensure!(stacks.iter().all(|stack| stack.name != name), "{stacks:?}");
    Ok(())
}

async fn status_becomes(orrery: &Installation, name: &str, wanted: StackStatus) -> anyhow::Result<()> {
    until_equal("the status of the stack", SOON, &wanted, || async { Ok(orrery.api.stack(name).await?.status) }).await
}

/// The engine's container ids by name.
async fn containers(orrery: &Installation, name: &str) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let seen = orrery.engine.of_project(name).await?;
    Ok(seen.into_iter().map(|seen| (seen.name, (seen.service, seen.id))).collect())
}

fn only_these_are_new(
    before: &BTreeMap<String, (String, String)>,
    after: &BTreeMap<String, (String, String)>,
    services: &[&str],
) -> anyhow::Result<()> {
    ensure!(before.keys().eq(after.keys()), "other names: {before:#?} {after:#?}");
    for (name, (service, id)) in after {
        let same = before.get(name).is_some_and(|(_, old)| old == id);
        ensure!(
            same != services.contains(&service.as_str()),
            "{name}: the container is {}",
            if same { "the old one" } else { "a new one" }
        );
    }
    Ok(())
}

fn actions(plan: &Plan, action: &str) -> usize {
    plan.actions.iter().filter(|planned| planned.action == action).count()
}

fn replaced(plan: &Plan) -> Vec<&str> {
    let replacing = plan.actions.iter().filter(|planned| planned.action == "container.replace");
    replacing.filter_map(|planned| planned.service.as_deref()).collect()
}
