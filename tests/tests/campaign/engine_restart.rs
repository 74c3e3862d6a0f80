//! The engine restarts in the middle of a pull, a build, a create and a start; each command waits for it and ends well. The
//! engine is the test's own, and so is the registry. Which step was in hand is read from the step log afterwards: a restart
//! that came between two steps does not count, and is made again.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bollard::query_parameters::ListContainersOptions;
use orrery_contracts::{Bundle, StepEntry, StepMessage};
use orrery_tests::bundles::{compose, with};
use orrery_tests::daemon::Daemon;
use orrery_tests::history::{History, Watch};
use orrery_tests::installation::Form;
use orrery_tests::registry::{self, Registry};
use orrery_tests::{Installation, eventually};
use serde_json::json;

use crate::trial::{Life, Trial, table, ten_services, until_step};

const WITHIN: Duration = Duration::from_secs(60);

/// What the engine is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Pull,
    Build,
    Create,
    Start,
}

impl Call {
    const ALL: [Self; 4] = [Self::Pull, Self::Build, Self::Create, Self::Start];

    fn action(self) -> &'static str {
        match self {
            Self::Pull => "image.pull",
            Self::Build => "image.build",
            Self::Create => "container.create",
            Self::Start => "container.start",
        }
    }

    /// A pull is held back by the registry, and a build takes its time. A create takes some hundredths of a second: the engine
    /// may have answered before it is told to end.
    fn trials(self) -> usize {
        match self {
            Self::Pull | Self::Build => 1,
            Self::Create | Self::Start => 5,
        }
    }

    fn bundle(self) -> (Bundle, usize) {
        let one = |what: &str| compose(format!("services:\n  one:\n    {what}\n    command: [sleep, '1000']\n    stop_signal: SIGKILL\n"));
        match self {
            Self::Pull => (one(&format!("image: '{}'", registry::IMAGE)), 1),
            // An engine that ends stops the build's own container too, and says that the build has failed.
            Self::Build => (
                with(
                    one("build: {context: app, network: none}"),
                    "app/Dockerfile",
                    "FROM orrery/busybox:test\nRUN trap 'exit 3' TERM; sleep 3 & wait; touch /built\n",
                ),
                1,
            ),
            Self::Create | Self::Start => (ten_services(), 10),
        }
    }

    /// Waits until the engine is in the middle of it.
    async fn in_hand(self, orrery: &Installation, seq: u64, registry: &Registry) -> anyhow::Result<()> {
        let begins = |step: &StepMessage| matches!(&step.entry, StepEntry::Started { action, .. } if action == self.action());
        until_step(orrery, seq, begins).await?;
        match self {
            Self::Pull => eventually("the registry to be asked", WITHIN, || async { Ok(registry.is_asked().then_some(())) }).await,
            Self::Build => {
                let works = || async {
                    let all = ListContainersOptions::default();
                    let running = orrery.engine.docker().list_containers(Some(all)).await?;
                    Ok((!running.is_empty()).then_some(()))
                };
                eventually("the build to run", WITHIN, works).await
            }
            Self::Create | Self::Start => Ok(()),
        }
    }
}

#[tokio::test]
async fn an_engine_that_restarts_in_the_middle_of_a_call_is_waited_for() -> anyhow::Result<()> {
    let mut daemon = Daemon::start().await?;
    let folder = tempfile::tempdir()?;
    let mut registry = Registry::beside(&daemon, folder.path())?;
    let host = daemon.host();
    let orrery = Installation::start_as(Form { engine: Some(&host), ..Form::default() }).await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let mut trials = Vec::new();
    for call in Call::ALL {
        let mut in_hand = 0;
        for _ in 0..call.trials() {
            let (bundle, services) = call.bundle();
            let mut trial = Trial::begin_with(&orrery, &format!("dockerd, in the middle of {}", call.action()), &bundle, services).await?;
            call.in_hand(&orrery, trial.seq, &registry).await.with_context(|| format!("{call:?}: the engine has it not in hand"))?;
            trial.now();
            daemon.end().await?;
            registry.go()?;
            daemon.spawn().await?;
            registry = Registry::beside(&daemon, folder.path())?;
            trial.is_well(&orrery).await.with_context(|| format!("the engine has restarted in the middle of {}", call.action()))?;
            orrery.api.done(&format!("/stacks/{}/delete", trial.stack), json!({})).await?;
            in_hand = Life::of(&History::of(&orrery, &watch).await?, trial.seq).how_many_in_hand(trial.harmed, call.action());
            trials.push(trial);
            if in_hand > 0 {
                break;
            }
        }
        ensure!(in_hand > 0, "no {} was in hand when the engine was told to end, in {} trials", call.action(), call.trials());
        println!("engine: {}: {in_hand} in hand when the engine was told to end", call.action());
    }
    let history = History::of(&orrery, &watch).await?;
    table("engine", &history, &trials);
    history.audited("engine")?;
    orrery.end().await?;
    daemon.end().await
}
