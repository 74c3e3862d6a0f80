//! Two executors that have a promise taken from them: the campaign must fail with each. One stores without its compare-and-set;
//! the other does not know on resuming what was begun. Both are the program that tests harm; the released one cannot be either.

use anyhow::{Context as _, bail};
use orrery_tests::history::{History, Watch};
use orrery_tests::installation::Form;
use orrery_tests::{Installation, Service};

use crate::trial::{Draw, Trial, patiently, until_step};

/// How many trials a control has to be found in.
const TRIALS: u32 = 8;

/// Runs trials until the audit finds a broken promise; fails when it finds none.
async fn is_found<T>(control: &str, harm: T) -> anyhow::Result<()>
where
    T: AsyncFn(&mut Installation, &Trial) -> anyhow::Result<()>,
{
    let settings = [("ORRERY_CONTROL", control)];
    let mut draw = Draw::from_environment();
    for n in 1..=TRIALS {
        // What one trial leaves would only hold up the next.
        let mut orrery = Installation::start_as(Form { harmed: Some(&settings), ..Form::default() }).await?;
        let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
        // A run that does not know its past takes the new containers beside the old ones for what another command left.
        let mut trial = Trial::begin_change(&orrery, control).await?;
        let at = draw.between(5, 14);
        trial.until(&orrery, |step| step.n >= at).await?;
        harm(&mut orrery, &trial).await.with_context(|| format!("trial {n}"))?;
        let audit = History::of(&orrery, &watch).await?.audited(control);
        orrery.abandon().await;
        if let Err(broken) = audit {
            println!("controls: {control}: found in trial {n}: {broken:#}");
            return Ok(());
        }
    }
    bail!("a docker-executor that is {control} keeps every promise in {TRIALS} trials: the campaign finds nothing")
}

#[tokio::test]
async fn without_the_check_the_campaign_fails() -> anyhow::Result<()> {
    is_found("unchecked", async |orrery: &mut Installation, trial: &Trial| {
        orrery.process(Service::DockerExecutor).freeze()?;
        let mut second = orrery.second_executor()?;
        second.start()?;
        until_step(orrery, trial.seq, |step| step.run >= 2).await?;
        orrery.process(Service::DockerExecutor).thaw()?;
        // Whatever becomes of it: both have worked on it by then.
        let _ = patiently(orrery, trial.seq).await;
        second.kill();
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_the_look_at_what_was_begun_the_campaign_fails() -> anyhow::Result<()> {
    is_found("blind", async |orrery: &mut Installation, trial: &Trial| {
        orrery.crash(Service::DockerExecutor)?;
        let _ = patiently(orrery, trial.seq).await;
        Ok(())
    })
    .await
}
