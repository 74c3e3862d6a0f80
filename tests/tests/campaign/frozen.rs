//! An executor that is stopped in the middle of an apply, as a machine that is paused, with a second one started on another host
//! meanwhile: the second one finishes, and the first one makes nothing once it goes on and has lost a compare-and-set.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use orrery_tests::history::{History, Watch};
use orrery_tests::service::Process;
use orrery_tests::{Installation, Seen, Service};
use serde_json::json;

use crate::trial::{Draw, Trial, number, table, until_step};

/// How long the frozen one may take to notice, once it goes on.
const NOTICES_WITHIN: Duration = Duration::from_secs(90);

/// Whether the frozen one goes on while the second one works, or after it has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thaw {
    Beside,
    After(Duration),
}

#[tokio::test]
async fn a_frozen_executor_makes_nothing_once_another_has_taken_over() -> anyhow::Result<()> {
    let (freezes, seconds) = (number("ORRERY_SOAK_FREEZES", 2), number("ORRERY_SOAK_FREEZE_SECONDS", 5));
    let mut draw = Draw::from_environment();
    let mut orrery = Installation::start().await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let (mut trials, mut ended) = (Vec::new(), 0);
    for n in 0..freezes {
        let thaw = if n % 2 == 0 { Thaw::After(Duration::from_secs(seconds.into())) } else { Thaw::Beside };
        // Of some thirty steps.
        let at = draw.between(3, 24);
        let process =
            format!("docker-executor, frozen, thawed {}", if thaw == Thaw::Beside { "beside the second" } else { "after the second" });
        let mut trial = Trial::begin(&orrery, &process).await?;
        trial.until(&orrery, |step| step.n >= at).await?;
        ended += u32::from(freeze(&mut orrery, &trial, thaw).await.with_context(|| format!("frozen at step {at}, {thaw:?}"))?);
        orrery.api.done(&format!("/stacks/{}/delete", trial.stack), json!({})).await?;
        trials.push(trial);
    }
    let history = History::of(&orrery, &watch).await?;
    history.audited("frozen")?;
    let running = table("frozen", &history, &trials);
    println!(
        "frozen: {} freezes, {running} while the command ran; {ended} of the frozen saw that they were overtaken, and ended",
        trials.len()
    );
    ensure!(running * 2 >= trials.len() && ended > 0, "{running} of {} froze while a command ran, and {ended} ended", trials.len());
    orrery.end().await
}

/// Answers whether the frozen one has ended by itself; otherwise it stands by.
async fn freeze(orrery: &mut Installation, trial: &Trial, thaw: Thaw) -> anyhow::Result<bool> {
    orrery.process(Service::DockerExecutor).freeze()?;
    let mut second = orrery.second_executor()?;
    second.start()?;
    let mut before = None;
    match thaw {
        Thaw::After(least) => {
            tokio::time::sleep(least).await;
            trial.is_well(orrery).await?;
            before = Some(containers(orrery, trial).await?);
        }
        Thaw::Beside => until_step(orrery, trial.seq, |step| step.run >= 2).await?,
    }
    orrery.process(Service::DockerExecutor).thaw()?;
    trial.is_well(orrery).await?;
    let ended = notices(orrery.process(Service::DockerExecutor)).await?;
    let after = containers(orrery, trial).await?;
    ensure!(before.is_none_or(|before| before == after), "the frozen one has changed something: {after:#?}");
    second.stop()?;
    orrery.process(Service::DockerExecutor).kill();
    orrery.process(Service::DockerExecutor).start()?;
    orrery.ready(Service::DockerExecutor).await?;
    Ok(ended)
}

/// Waits until the process that was frozen has ended, and looks why; or until it says that it is ready and has nothing in hand.
async fn notices(process: &mut Process) -> anyhow::Result<bool> {
    let until = tokio::time::Instant::now() + NOTICES_WITHIN;
    loop {
        if process.ended()?.is_some() {
            let said = process.tail(10);
            ensure!(said.contains("has taken command"), "it ended for another reason: {said}");
            return Ok(true);
        }
        // A turn that was left says so; one that never began leaves it ready.
        let stands_by = process.ready().await.is_ok_and(|ready| ready.is_ok());
        if stands_by && tokio::time::Instant::now() + NOTICES_WITHIN / 2 > until {
            return Ok(false);
        }
        ensure!(tokio::time::Instant::now() < until, "it neither ends nor stands by: {}", process.tail(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn containers(orrery: &Installation, trial: &Trial) -> anyhow::Result<Vec<Seen>> {
    let mut seen = orrery.engine.of_project(&trial.stack).await?;
    // Probes go on by themselves.
    seen.iter_mut().for_each(|seen| seen.health.clear());
    Ok(seen)
}
