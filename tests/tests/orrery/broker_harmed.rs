//! A broker that loses what it had, under stacks that run: everybody stops with an alarm, one recovery puts everything back,
//! what ran runs on, what was in hand is taken up, and nothing runs twice. Each loss is made with the broker's own files.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use orrery_contracts::rest::Command;
use orrery_contracts::subjects::{COMMANDS, EVENTS};
use orrery_contracts::{Bundle, Status};
use orrery_tests::bundles::compose;
use orrery_tests::history::{History, Watch};
use orrery_tests::loss::OldStore;
use orrery_tests::wait::until_equal;
use orrery_tests::{Installation, Seen, Service, eventually};
use serde_json::json;

use crate::database_away::the_database_has_every_message;
use crate::small_stacks::{sleeper, sleepers};

const SOON: Duration = Duration::from_secs(60);

/// What is as it was in the old store; everything, where no stream is named.
const LOSSES: [(&str, &[&str]); 4] =
    [("COMMANDS", &[COMMANDS]), ("EVENTS", &[EVENTS]), ("COMMANDS and EVENTS", &[COMMANDS, EVENTS]), ("the whole store", &[])];

/// Who follows the streams, and has to see that they are others.
const FOLLOWERS: [Service; 3] = [Service::DockerExecutor, Service::LibvirtExecutor, Service::Projector];

/// Two services, of which the second starts when somebody has told the first that it is well.
fn waiting() -> Bundle {
    let check = "    healthcheck: {test: [CMD, test, -e, /go], interval: 300ms, timeout: 5s, retries: 10000}\n";
    let after = "    depends_on: {slow: {condition: service_healthy}}\n";
    compose(format!("services:\n{}{check}{}{after}", sleeper("slow"), sleeper("after")))
}

/// The containers of these stacks, but for what their checks say.
async fn containers(orrery: &Installation, stacks: &[&str]) -> anyhow::Result<Vec<Seen>> {
    let mut all = Vec::new();
    for stack in stacks {
        all.extend(orrery.engine.of_project(stack).await?.into_iter().map(|seen| Seen { health: String::new(), ..seen }));
    }
    Ok(all)
}

/// Applies a stack of which nothing more happens by itself: its first service runs, and is waited for.
async fn apply_in_hand(orrery: &Installation, stack: &str) -> anyhow::Result<Command> {
    orrery.api.create(stack, &waiting()).await?;
    let apply = orrery.api.write(&format!("/stacks/{stack}/apply/1"), json!({})).await?;
    until_equal("the apply to wait for health, and for nothing else", SOON, &(2, vec!["container.wait".to_owned()]), || async {
        let command: Command = orrery.api.read(&format!("/commands/{}", apply.id)).await?;
        let open = command.steps.into_iter().filter(|step| step.ended_at.is_none()).map(|step| step.action);
        Ok((orrery.engine.of_project(stack).await?.len(), open.collect()))
    })
    .await?;
    Ok(apply)
}

/// Waits until everybody who follows the streams says that they are not what was seen.
async fn alarm(orrery: &mut Installation) -> anyhow::Result<()> {
    for service in FOLLOWERS {
        let orrery = tokio::sync::Mutex::new(&mut *orrery);
        let look = || async {
            let waits = orrery.lock().await.waits_of(service).await?.context("it waits for nothing")?;
            ensure!(waits.contains("stream_regressed"), "it waits: {waits}");
            Ok(Some(()))
        };
        eventually(&format!("the alarm of {}", service.name()), SOON, look).await?;
    }
    Ok(())
}

/// Loses something while an apply is in hand, and goes the way back.
async fn loses(orrery: &mut Installation, old: &OldStore, settled: &str, streams: &[&str]) -> anyhow::Result<()> {
    let held = orrery.name("held");
    let apply = apply_in_hand(orrery, &held).await?;
    the_database_has_every_message(orrery).await?;
    let before = containers(orrery, &[settled, &held]).await?;

    orrery.put_old_store_back(old, streams).await?;
    alarm(orrery).await?;
    let said = orrery.recover().await?;
    ensure!(said.contains("messages were put back from their copies") && !said.contains("cancelled"), "it said: {said}");
    let after = containers(orrery, &[settled, &held]).await?;
    ensure!(after == before, "something was made:\nbefore {before:#?}\nafter {after:#?}");

    orrery.engine.run_in(&format!("{held}-slow-1"), &["touch", "/go"]).await?;
    let ended = orrery.api.must_be_done(&apply.id).await?;
    ensure!(ended.run >= 2, "it was not taken up: {ended:#?}");
    let seen = containers(orrery, &[settled, &held]).await?;
    ensure!(seen.iter().all(|seen| seen.state == "running") && seen.len() == before.len(), "{seen:#?}");
    ensure!(before.iter().all(|was| seen.iter().any(|is| is.id == was.id)), "a container was made again: {seen:#?}");
    ensure!(orrery.api.plan(&held, 1).await?.empty && orrery.api.plan(settled, 2).await?.empty, "an apply would not be empty");
    the_database_has_every_message(orrery).await?;
    orrery.api.done(&format!("/stacks/{held}/delete"), json!({})).await?;
    Ok(())
}

#[tokio::test]
async fn what_a_broker_lost_comes_back_and_nothing_runs_twice() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let settled = orrery.name("settled");
    orrery.api.create(&settled, &sleepers(&["a"])).await?;
    let old = orrery.keep_store().await?;
    // Every container that there is comes of a command that is lost.
    orrery.api.apply(&settled, 1).await?;
    orrery.api.save(&settled, &sleepers(&["a", "b"])).await?;
    orrery.api.apply(&settled, 2).await?;
    for (what, streams) in LOSSES {
        loses(&mut orrery, &old, &settled, streams).await.with_context(|| format!("{what} had been lost"))?;
    }
    let history = History::of(&orrery, &watch).await?;
    history.audited("broker-harmed")?;
    ensure!(history.recoveries.len() == LOSSES.len());
    orrery.end().await
}

#[tokio::test]
async fn a_command_that_comes_behind_a_loss_does_nothing() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let (watch, ci) = (Watch::begin(&orrery.engine, &orrery.reading().await?).await?, orrery.ci().await?);
    let old = orrery.keep_store().await?;
    let name = orrery.name("late");
    ci.done(&json!({"type": "stack.create", "target": name, "payload": {"bundle": sleepers(&["a"])}})).await?;
    ci.done(&json!({"type": "stack.apply", "target": name, "payload": {"version": 1}})).await?;
    let held = orrery.name("held");
    let apply = apply_in_hand(&orrery, &held).await?;
    the_database_has_every_message(&orrery).await?;
    let before = containers(&orrery, &[&name, &held]).await?;

    // As when the whole host goes down: nobody can say any more how the step in hand ended.
    orrery.process(Service::DockerExecutor).kill();
    orrery.put_old_store_back(&old, &[COMMANDS]).await?;
    orrery.process(Service::DockerExecutor).start()?;
    // Under the number of the stack's own creation.
    let late = ci.publish(&json!({"type": "stack.delete", "target": name})).await?;
    alarm(&mut orrery).await?;
    let said = orrery.recover().await?;
    ensure!(said.contains("1 commands that were accepted after the loss have a new number"), "it said: {said}");
    let ended = ci.settled(&late.id).await?;
    let reason = ended.reason.unwrap_or_default();
    ensure!(ended.seq > late.seq && ended.status == Status::Cancelled && reason.starts_with("rejected: restored"), "{reason}");
    // Nor does anybody know what became of the one in hand.
    let in_hand = orrery.api.settled(&apply.id).await?;
    let reason = in_hand.reason.unwrap_or_default();
    ensure!(in_hand.status == Status::Cancelled && reason.starts_with("rejected: restored"), "{reason}");
    ensure!(in_hand.steps.iter().all(|step| step.ended_at.is_some()), "a step stays open for ever: {:#?}", in_hand.steps);
    ensure!(containers(&orrery, &[&name, &held]).await? == before, "something was done");

    // Sent again, both are carried out.
    ci.done(&json!({"type": "stack.delete", "target": name})).await?;
    ensure!(containers(&orrery, &[&name]).await?.is_empty());
    orrery.engine.run_in(&format!("{held}-slow-1"), &["touch", "/go"]).await?;
    orrery.api.apply(&held, 1).await?;
    ensure!(containers(&orrery, &[&held]).await?.iter().all(|seen| seen.state == "running"));
    History::of(&orrery, &watch).await?.audited("broker-harmed")?;
    orrery.end().await
}
