//! What an apply would do, told before anybody asks for it.

use anyhow::ensure;
use orrery_contracts::{PlanNote, Severity, Status};
use orrery_tests::Installation;
use serde_json::json;

use crate::held_queue::hold;
use crate::small_stacks::{WELL, free_port, sleepers, web};

#[tokio::test]
async fn a_stack_whose_create_still_waits_has_a_plan() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (bad, good) = (orrery.name("bad"), orrery.name("good"));
    hold(&orrery, &bad).await?;
    orrery.api.write("/stacks", json!({"name": good, "bundle": sleepers(&["a"])})).await?;
    let plan = orrery.api.plan(&good, 1).await?;
    ensure!(plan.actions.iter().any(|action| action.action == "container.create"), "{plan:#?}");
    let draft = orrery.api.post(&format!("/stacks/{good}/plan"), json!({"bundle": sleepers(&["a", "b"])})).await?;
    ensure!(draft.status == 200, "{draft:?}");
    orrery.api.get(&format!("/stacks/{good}/plan/2")).await?.problem(405, "method_not_allowed")?;
    orrery.api.post(&format!("/stacks/{good}/plan/2"), json!({})).await?.problem(404, "not_found")?;
    orrery.end().await
}

#[tokio::test]
async fn a_port_that_a_program_of_the_host_holds_is_named_before_the_apply() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (name, port) = (orrery.name("taken"), free_port());
    let held = std::net::TcpListener::bind(("127.0.0.1", port))?;
    orrery.api.create(&name, &web(port, "here", WELL)).await?;
    let holder = format!("(process {})", std::process::id());
    let plan = orrery.api.plan(&name, 1).await?;
    let told =
        |note: &PlanNote| note.severity == Severity::Error && note.message.contains(&port.to_string()) && note.message.contains(&holder);
    ensure!(plan.notes.iter().any(told), "{:#?}", plan.notes);
    let refused = orrery.api.write(&format!("/stacks/{name}/apply/1"), json!({})).await?;
    let refused = orrery.api.settled(&refused.id).await?;
    ensure!(refused.status == Status::Cancelled, "{refused:#?}");
    ensure!(refused.reason.as_deref().is_some_and(|reason| reason.contains(&holder)), "{refused:#?}");

    drop(held);
    ensure!(orrery.api.plan(&name, 1).await?.notes.is_empty());
    orrery.api.apply(&name, 1).await?;
    // The engine's own forwarder holds the port now, which is nobody else.
    let plan = orrery.api.plan(&name, 1).await?;
    ensure!(plan.empty && plan.actions.is_empty() && plan.kept.len() == 2, "{plan:#?}");
    orrery.end().await
}
