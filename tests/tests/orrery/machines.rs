//! Machines by REST, as far as a host without libvirt goes: defined, versioned, compared, found by name, beside a stack of one name.

use anyhow::ensure;
use orrery_contracts::rest::{Command, Machine, Version, VersionDiff};
use orrery_contracts::{MachineStatus, Versioned};
use orrery_tests::{Answer, Installation};
use serde_json::json;

use crate::small_stacks::sleepers;

fn definition(memory: &str) -> serde_json::Value {
    json!({"files": {"machine.yaml": format!("kind: vm\nsource: {{box: debian-12}}\nmemory: {memory}\n")}})
}

#[tokio::test]
async fn a_machine_is_versioned_as_a_stack_is_and_both_may_have_one_name() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("twin");
    orrery.api.create(&name, &sleepers(&["a"])).await?;
    let made = orrery.api.write("/machines", json!({"name": name, "bundle": definition("1GiB"), "comment": "first"})).await?;
    ensure!(made.stack_id.is_none() && made.machine_name.as_deref() == Some(name.as_str()), "{made:#?}");
    let made = orrery.api.must_be_done(&made.id).await?;
    let machine: Machine = orrery.api.read(&format!("/machines/{name}")).await?;
    ensure!(made.machine_id == Some(machine.id) && made.stack_id.is_none(), "{made:#?}");
    ensure!((machine.latest_version, machine.current_version, machine.status) == (1, None, MachineStatus::Created), "{machine:#?}");
    ensure!(machine.comment == "first" && machine.state.is_none());

    let saved = save(&orrery, &name, "\"1\"", "2GiB").await?.read::<Command>(202)?;
    orrery.api.must_be_done(&saved.id).await?;
    let problem = save(&orrery, &name, "\"1\"", "3GiB").await?.problem(412, "edit_conflict")?;
    ensure!(problem.to_string().contains("2GiB"), "the answer does not show what was saved meanwhile: {problem}");
    let versions: Vec<Version> = orrery.api.list(&format!("/machines/{name}/versions")).await?;
    ensure!(versions.len() == 2 && versions.iter().all(|version| version.of == Versioned::Machine(machine.id)), "{versions:#?}");
    let diff: VersionDiff = orrery.api.read(&format!("/machines/{name}/diff/1/2")).await?;
    ensure!(diff.files.len() == 1 && diff.files.iter().all(|file| file.path == "machine.yaml"), "{diff:#?}");

    let machines: Vec<Machine> = orrery.api.list("/machines").await?;
    ensure!(machines.iter().map(|machine| machine.name.as_str()).eq([name.as_str()]), "{machines:#?}");
    let commands: Vec<Command> = orrery.api.list(&format!("/commands?machine_id={name}")).await?;
    ensure!(commands.len() == 2, "{commands:#?}");
    ensure!(orrery.api.stack(&name).await?.latest_version == 1, "the stack of this name is another thing");
    orrery.end().await
}

#[tokio::test]
async fn a_definition_that_is_wrong_is_told_at_its_place_and_makes_nothing() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let wrong = json!({"files": {"machine.yaml": "kind: vm\nsource: {box: debian-12}\nmemroy: 1GiB\n"}});
    let problem = orrery.api.post("/machines", json!({"name": "wrong", "bundle": wrong})).await?.problem(422, "invalid_definition")?;
    let error = problem.pointer("/errors/0").cloned().unwrap_or_default();
    ensure!(error["file"] == "machine.yaml" && error["line"] == 3 && error["path"] == "memroy", "{problem:#}");
    ensure!(error["hint"].as_str().is_some_and(|hint| hint.contains("memory")), "{problem:#}");
    ensure!(orrery.api.list::<Machine>("/machines").await?.is_empty());
    orrery.api.get("/machines/wrong").await?.problem(404, "not_found")?;
    orrery.api.post("/machines/wrong/start", json!({})).await?.problem(404, "not_found")?;
    orrery.end().await
}

async fn save(orrery: &Installation, name: &str, etag: &str, memory: &str) -> anyhow::Result<Answer> {
    let request = orrery.api.request(reqwest::Method::POST, &format!("/machines/{name}/versions"));
    orrery.api.send(request.header("If-Match", etag).json(&json!({"bundle": definition(memory)}))).await
}
