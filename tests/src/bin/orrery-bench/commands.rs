//! What a command costs that has nothing to do, alone and behind others, and what a large plan costs.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use orrery_contracts::Time;
use orrery_contracts::rest::Command;
use orrery_tests::Installation;
use orrery_tests::bundles;
use orrery_tests::live::Live;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::contest::between;
use crate::figures::{Times, short, verdict};
use crate::shapes::Shape;

const ONE: Shape = Shape { services: 1, chained: false };
/// A backlog is of so many commands for each of the rounds in which it is carried out.
const BACKLOG_PER_ROUND: usize = 40;
/// How many commands of a backlog are to be carried out in a second.
const DRAINED: f64 = 300.0;

async fn idle(orrery: &Installation) -> anyhow::Result<String> {
    let name = orrery.name("idle");
    orrery.api.create(&name, &bundles::compose(ONE.definition(1))).await?;
    orrery.api.apply(&name, 1).await?;
    Ok(name)
}

/// Each is sent when the one before was seen to have ended.
pub(crate) async fn one_after_another(orrery: &Installation, many: usize) -> anyhow::Result<String> {
    let name = idle(orrery).await?;
    let (mut running, mut done, mut visible, mut accepted) = (Times::default(), Times::default(), Times::default(), Times::default());
    let mut live = Live::open(&orrery.api, "/events", None).await?;
    for _ in 0..many {
        let (sent, start) = (Time::new(OffsetDateTime::now_utc()), Instant::now());
        let command = orrery.api.write(&format!("/stacks/{name}/apply/1"), json!({})).await?;
        accepted.push(start.elapsed());
        live.until(Duration::from_secs(30), |event| {
            let text = |key: &str| event.data.get(key).and_then(Value::as_str);
            event.kind == "command" && text("id") == Some(command.id.as_str()) && text("status") == Some("DONE")
        })
        .await?;
        visible.push(start.elapsed());
        let ended: Command = orrery.api.read(&format!("/commands/{}", command.id)).await?;
        running.push(between(sent, ended.started_at.context("it never ran")?));
        done.push(between(sent, ended.ended_at.context("it never ended")?));
    }
    let mut text = format!(
        "\n{many} commands that find nothing to do, one after another.\n\n| from POST | median (quickest to slowest) | 99 of 100 |\n| --- | --- | --- |\n"
    );
    for (what, times) in [("to 202", &accepted), ("to RUNNING", &running), ("to DONE", &done), ("until it is seen DONE", &visible)] {
        text.push_str(&format!("| {what} | {} | {} |\n", times.spread(), short(times.at(990))));
    }
    let met = done.median() < Duration::from_millis(20) && done.at(990) < Duration::from_millis(150);
    text.push_str(&format!("\nPOST to DONE: aim: under 20 ms (median) and 150 ms (99 of 100): {}.\n", verdict(met)));
    Ok(text)
}

/// All are sent at once, and that again and again.
pub(crate) async fn backlog(orrery: &Installation, many: usize) -> anyhow::Result<String> {
    let name = idle(orrery).await?;
    let rounds = (many / BACKLOG_PER_ROUND).max(1);
    let mut times = Times::default();
    for _ in 0..rounds {
        times.push(drained(orrery, &name, many).await?);
    }
    let a_second = |time: Duration| many as f64 / time.as_secs_f64();
    Ok(format!(
        "\n{many} commands that find nothing to do, sent 16 at a time, {rounds} times: carried out in order in {}, each with two messages that are on the \
         disk before the next one begins, and a look at the engine.\n\nThat is {:.0} a second ({:.0} to {:.0}); aim: {DRAINED:.0}: {}.\n",
        times.spread(),
        a_second(times.median()),
        a_second(times.at(1000)),
        a_second(times.at(0)),
        verdict(a_second(times.median()) >= DRAINED)
    ))
}

/// How long a backlog takes, from the start of its first command to the end of its last.
async fn drained(orrery: &Installation, name: &str, many: usize) -> anyhow::Result<Duration> {
    let path = format!("/stacks/{name}/apply/1");
    let sent = futures::stream::iter(0..many).map(|_| orrery.api.write(&path, json!({}))).buffer_unordered(16);
    let commands: Vec<Command> = sent.try_collect().await?;
    let last = commands.iter().max_by_key(|command| command.seq).context("no command")?;
    let last = orrery.api.must_be_done(&last.id).await?;
    let first = commands.iter().min_by_key(|command| command.seq).context("no command")?;
    let first = orrery.api.must_be_done(&first.id).await?;
    Ok(between(first.started_at.context("it never ran")?, last.ended_at.context("it never ended")?))
}

/// A plan of a thousand services against an engine that has none of them.
pub(crate) async fn planning(orrery: &Installation, rounds: usize) -> anyhow::Result<String> {
    let shape = Shape { services: 1000, chained: true };
    let question = json!({"name": orrery.name("large"), "bundle": bundles::compose(shape.definition(1))});
    let mut times = Times::default();
    for _ in 0..rounds {
        let start = Instant::now();
        let answer: Value = orrery.api.post("/plan", question.clone()).await?.read(200)?;
        times.push(start.elapsed());
        anyhow::ensure!(answer.pointer("/actions").and_then(Value::as_array).is_some_and(|actions| actions.len() > 1000), "no whole plan");
    }
    Ok(format!(
        "\nA plan of 1,000 services in chains of five, from `POST /plan` to the answer: reading the definition, a look at the engine, the plan, and all of it as \
         JSON: {}.\n",
        times.spread()
    ))
}
