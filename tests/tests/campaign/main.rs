//! Whoever dies, and whenever: SIGKILL of each process at moments spread over an apply of ten services, SIGSTOP of the executor
//! with a second one started, a restart of the engine in the middle of each kind of call; and afterwards the whole history held
//! against the promises. Two controls show that the audit finds a promise that is taken away.
//!
//! A bounded sample by default; `ORRERY_SOAK_KILLS` says how many moments for each process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod controls;
mod engine_restart;
mod frozen;
mod trial;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use orrery_tests::history::{History, Watch};
use orrery_tests::installation::Form;
use orrery_tests::{Installation, Service};
use serde_json::json;
use trial::{Draw, Trial, calm, number, table};

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Service(Service),
    Broker,
    Database,
}

impl Victim {
    const ALL: [Self; 5] = [
        Self::Service(Service::DockerExecutor),
        Self::Service(Service::Projector),
        Self::Service(Service::Api),
        Self::Broker,
        Self::Database,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Service(service) => service.name(),
            Self::Broker => "nats-server",
            Self::Database => "postgres",
        }
    }

    /// Kills it and starts it again; how long it takes until it is ready, and so is everybody who needs it.
    async fn dies_and_comes_back(self, orrery: &mut Installation) -> anyhow::Result<Duration> {
        let died = Instant::now();
        match self {
            Self::Service(service) => orrery.crash(service)?,
            Self::Broker => {
                orrery.broker.kill();
                orrery.broker.start().await.context("the broker does not come back")?;
            }
            Self::Database => {
                orrery.postgres.kill()?;
                orrery.postgres.start_again()?;
            }
        }
        let needing = match self {
            Self::Service(service) => vec![service],
            Self::Broker => Service::ALL.to_vec(),
            Self::Database => vec![Service::Projector, Service::Api],
        };
        for service in needing {
            orrery.ready(service).await?;
        }
        Ok(died.elapsed())
    }
}

#[tokio::test]
async fn whoever_dies_whenever_an_apply_ends_well() -> anyhow::Result<()> {
    let kills = number("ORRERY_SOAK_KILLS", 2);
    let mut draw = Draw::from_environment();
    let mut orrery = Installation::start_as(Form { database_syncs: true, ..Form::default() }).await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let length = calm(&orrery, &watch).await?;
    println!("campaign: an unharmed apply of ten services takes {} ms; {kills} moments for each process", length.as_millis());
    let mut trials = Vec::new();
    for victim in Victim::ALL {
        for n in 0..kills {
            let mut trial = Trial::begin(&orrery, victim.name()).await?;
            let moment = length.mul_f64((f64::from(n) + draw.part()) / f64::from(kills));
            trial.reach(moment).await;
            trial.ready_after = Some(victim.dies_and_comes_back(&mut orrery).await?);
            trial.is_well(&orrery).await.with_context(|| format!("{} was killed {moment:?} after the POST", victim.name()))?;
            orrery.api.done(&format!("/stacks/{}/delete", trial.stack), json!({})).await?;
            trials.push(trial);
        }
    }
    let history = History::of(&orrery, &watch).await?;
    history.audited("campaign")?;
    let running = table("campaign", &history, &trials);
    println!(
        "campaign: {} kills, {running} of them while the command ran; every promise holds over {} commands, {} events, {} words of the engine and {} answers of the api",
        trials.len(),
        history.commands.len(),
        history.events.len(),
        history.engine.len(),
        history.told.len()
    );
    anyhow::ensure!(running * 2 >= trials.len(), "only {running} of {} kills came while a command ran", trials.len());
    orrery.end().await
}
