//! What the page sees live: every change once and in order, also over a connection that breaks.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use orrery_tests::Installation;
use orrery_tests::live::{Event, Live};
use serde_json::{Value, json};

use crate::small_stacks::sleepers;

const SOON: Duration = Duration::from_secs(60);

fn is_end_of(event: &Event, id: &str) -> bool {
    let is = |key: &str, value: &str| event.data.get(key).and_then(Value::as_str) == Some(value);
    event.kind == "command" && is("id", id) && is("status", "DONE")
}

#[tokio::test]
async fn a_broken_connection_resumes_without_a_gap() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("live");
    let mut whole = Live::open(&orrery.api, "/events", None).await?;
    let mut broken = Live::open(&orrery.api, "/events", None).await?;

    let create = orrery.api.done("/stacks", json!({"name": name, "bundle": sleepers(&["a", "b", "c"])})).await?;
    let mut pieces = broken.until(SOON, |event| is_end_of(event, &create.id)).await?;
    drop(broken);
    let behind = pieces.iter().rev().find(|event| !event.id.is_empty()).context("no event had an id")?.id.clone();

    // This happens while nobody listens on the broken one.
    let apply = orrery.api.apply(&name, 1).await?;
    let mut resumed = Live::open(&orrery.api, "/events", Some(&behind)).await?;
    let stop = orrery.api.done(&format!("/stacks/{name}/stop"), json!({})).await?;
    pieces.extend(resumed.until(SOON, |event| is_end_of(event, &stop.id)).await?);
    let all = whole.until(SOON, |event| is_end_of(event, &stop.id)).await?;

    // What changed several times while nobody listened is told once, as it is now; nothing that changed is left out.
    let (wanted, got) = (last_of_each(&all), last_of_each(&pieces));
    for (thing, last) in &wanted {
        let told = got.get(thing).with_context(|| format!("{thing} was never told: {last}"))?;
        // A stack and its containers go on changing; what a command did does not.
        let settled = thing.starts_with("command") || thing.starts_with("step");
        ensure!(!settled || told == last, "{thing}: wanted {last}, got {told}");
    }
    ensure!(pieces.iter().all(|event| event.kind != "reset"), "a resumable stream was reset");
    let numbers: Vec<u64> = pieces.iter().filter_map(|event| event.id.rsplit('-').next()?.parse().ok()).collect();
    ensure!(numbers.is_sorted(), "not in order: {numbers:?}");
    ensure!(all.iter().any(|event| event.kind == "step" && event.data.to_string().contains("container.create")), "no steps were seen live");
    ensure!(all.iter().any(|event| is_end_of(event, &apply.id)), "the end of the apply was not seen");
    ensure!(all.iter().any(|event| event.kind == "container"), "no container was seen");
    orrery.end().await
}

#[tokio::test]
async fn an_id_of_another_generation_is_answered_with_reset() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    for id in ["00000000-0000-0000-0000-000000000000-7", "7-999999999", "nonsense"] {
        let mut stream = Live::open(&orrery.api, "/events", Some(id)).await?;
        let first = stream.next(SOON).await?.context("the stream ended")?;
        ensure!(first.kind == "reset", "{id}: {first:?}");
    }
    orrery.end().await
}

#[tokio::test]
async fn the_lines_of_a_container_are_streamed_while_it_writes_them() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("logs");
    let chatty = orrery_tests::bundles::compose(
        "services:\n  talker:\n    image: orrery/busybox:test\n    stop_signal: SIGKILL\n    command: [\"sh\", \"-c\", \
         \"i=0; while true; do echo line $$i; i=$$((i+1)); sleep 0.2; done\"]\n",
    );
    orrery.api.create(&name, &chatty).await?;
    orrery.api.apply(&name, 1).await?;
    let containers = orrery.api.containers(&name).await?;
    let id = &containers.first().context("no container")?.id;
    let mut lines = Live::open(&orrery.api, &format!("/containers/{id}/logs?follow=true&tail=100"), None).await?;
    let heard = lines.until(SOON, |event| event.data.get("line").and_then(Value::as_str) == Some("line 12")).await?;
    let numbers: Vec<u64> =
        heard.iter().filter_map(|event| event.data.get("line")?.as_str()?.strip_prefix("line ")?.parse().ok()).collect();
    let wanted: Vec<u64> = (0..=12).collect();
    ensure!(numbers == wanted, "{numbers:?}");
    ensure!(heard.iter().all(|event| event.data.get("service").and_then(Value::as_str) == Some("talker")), "{heard:?}");
    orrery.end().await
}

/// The last that was said of each command, step, stack, version and container.
fn last_of_each(events: &[Event]) -> BTreeMap<String, Value> {
    let identity = |event: &Event| {
        let keys = ["id", "command", "stack_id", "seq", "n", "version", "attempt"];
        let parts: Vec<String> = match event.kind.as_str() {
            "command" | "stack" | "container" => vec![event.data.get("id").cloned().unwrap_or_default().to_string()],
            _ => keys.iter().filter_map(|key| event.data.get(key)).map(Value::to_string).collect(),
        };
        format!("{} {}", event.kind, parts.join(" "))
    };
    events.iter().filter(|event| !event.id.is_empty()).map(|event| (identity(event), event.data.clone())).collect()
}
