//! The one book of a host's ports: what a stack holds no machine is given, and the other way round, through both executors.

use anyhow::ensure;
use orrery_contracts::Bundle;
use orrery_tests::machines::{import, with_libvirt};
use orrery_tests::publisher::Publisher;
use serde_json::{Value, json};

use crate::small_stacks::{WELL, free_port, page, web};

/// Makes a stack or a machine of these files.
async fn made(ci: &Publisher, kind: &str, name: &str, bundle: Value) -> anyhow::Result<()> {
    ci.done(&json!({"type": format!("{kind}.create"), "target": name, "payload": {"bundle": bundle}})).await.map(drop)
}

fn order(kind: &str, name: &str) -> Value {
    let payload = if kind.ends_with(".apply") { json!({"version": 1}) } else { json!({}) };
    json!({"type": kind, "target": name, "payload": payload})
}

fn stack(port: u16) -> anyhow::Result<Value> {
    let bundle: Bundle = web(port, "here", WELL);
    Ok(serde_json::to_value(bundle)?)
}

/// A guest of one sector. Nobody in it answers: its port is held all the same.
fn machine(port: u16) -> Value {
    let text = format!(
        "kind: vm\nsource: {{box: boots}}\nmemory: 32MiB\nnetworks: [{{nat: default}}]\nports: ['{port}:80']\nstop_grace_period: 1s\n\
         ready: {{console: that is all}}\n"
    );
    json!({"files": {"machine.yaml": text}})
}

#[tokio::test]
async fn a_port_of_the_host_is_given_to_a_stack_or_to_a_machine_and_never_to_both() -> anyhow::Result<()> {
    let (orrery, libvirt) = with_libvirt().await?;
    let ci = orrery.ci().await?;
    import(&ci).await?;
    let (first, second) = (free_port(), free_port());
    let (holds, wants) = (orrery.name("holds"), orrery.name("wants"));
    let refused = async |kind: &str, name: &str| ci.rejected(order(kind, name).to_string().as_bytes()).await;

    // The stack came first.
    made(&ci, "stack", &holds, stack(first)?).await?;
    ci.done(&order("stack.apply", &holds)).await?;
    made(&ci, "machine", "late", machine(first)).await?;
    let why = refused("machine.apply", "late").await?;
    ensure!(why.starts_with(&format!("rejected: port {first}/tcp of machine late is held by ")), "{why}");
    ensure!(page(first).await?.contains("here"), "the stack serves on");

    // The machine did.
    made(&ci, "machine", "early", machine(second)).await?;
    ci.done(&order("machine.apply", "early")).await?;
    made(&ci, "stack", &wants, stack(second)?).await?;
    let why = refused("stack.apply", &wants).await?;
    ensure!(why.starts_with(&format!("rejected: port {second}/tcp of service web is held by ")), "{why}");

    // Who ends gives it back, before anybody hears that he has ended, and cannot have it again.
    ci.done(&order("machine.stop", "early")).await?;
    ci.done(&order("stack.apply", &wants)).await?;
    let why = refused("machine.start", "early").await?;
    ensure!(why.starts_with(&format!("rejected: port {second}/tcp of machine early is held by ")), "{why}");
    drop(libvirt);
    orrery.end().await
}
