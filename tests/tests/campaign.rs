//! Whoever dies, and whenever: SIGKILL of each process at moments spread over an apply of ten services, SIGSTOP of the executor
//! with a second one started, and afterwards the whole history held against the promises.
//!
//! A bounded sample by default; `ORRERY_SOAK_KILLS` says how many moments for each process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use orrery_contracts::{Bundle, Status, StepEntry, StepMessage, Time, TransitionMessage, subjects};
use orrery_tests::bundles::compose;
use orrery_tests::history::History;
use orrery_tests::{Installation, Service};
use serde_json::json;
use time::OffsetDateTime;

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

    async fn dies_and_comes_back(self, orrery: &mut Installation) -> anyhow::Result<()> {
        match self {
            Self::Service(service) => orrery.crash(service),
            Self::Broker => {
                orrery.broker.kill();
                orrery.broker.start().await.context("the broker does not come back")
            }
            Self::Database => {
                orrery.postgres.kill()?;
                orrery.postgres.start_again()
            }
        }
    }
}

/// Ten services in two layers; the second waits until the first is healthy.
fn ten_services() -> Bundle {
    let mut text = String::from("services:\n");
    for n in 0..10 {
        let _ = write!(text, "  s{n}:\n    image: orrery/busybox:test\n    command: [sleep, '100000']\n    stop_signal: SIGKILL\n");
        if n < 5 {
            text.push_str("    healthcheck: {test: [CMD, 'true'], interval: 400ms, timeout: 5s, retries: 20}\n");
        } else {
            let _ = writeln!(text, "    depends_on: {{s{}: {{condition: service_healthy}}}}", n - 5);
        }
    }
    compose(text)
}

/// The commands' own draw: no two runs of the campaign have the same moments, and a seed gives them again.
struct Draw(u64);

impl Draw {
    fn from_environment() -> Self {
        Self(std::env::var("ORRERY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1))
    }

    /// A number from 0 to 1.
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 33).unwrap_or(0)) / f64::from(1_u32 << 31)
    }
}

/// One apply, and what befell it.
struct Trial {
    stack: String,
    /// The command's sequence.
    seq: u64,
    published: OffsetDateTime,
    killed: OffsetDateTime,
}

/// The events of one command, as the campaign needs them.
struct Life {
    /// When each transition and step was stored, and what it says.
    events: Vec<(OffsetDateTime, String, Option<StepMessage>)>,
}

impl Life {
    fn of(history: &History, seq: u64) -> Self {
        let (transition, step) = (subjects::transition(seq), subjects::step(seq));
        let told = |at: Time| at.inner();
        let mut events = Vec::new();
        for item in &history.events {
            if item.subject == transition {
                let message: TransitionMessage = serde_json::from_slice(&item.body).unwrap();
                events.push((told(item.at), message.change.status().as_str().to_owned(), None));
            } else if item.subject == step {
                events.push((told(item.at), String::new(), Some(serde_json::from_slice(&item.body).unwrap())));
            }
        }
        Self { events }
    }

    /// The steps that were begun and not ended at a moment.
    fn in_hand(&self, at: OffsetDateTime) -> String {
        let mut open = std::collections::BTreeMap::new();
        for (_, _, step) in self.events.iter().take_while(|(when, ..)| *when <= at) {
            match step.as_ref().map(|step| (step.n, &step.entry)) {
                Some((n, StepEntry::Started { action, subject, .. })) => drop(open.insert(n, format!("{action} {subject}"))),
                Some((n, StepEntry::Ended { .. })) => drop(open.remove(&n)),
                Some((_, StepEntry::Opened { .. } | StepEntry::Planned { .. } | StepEntry::Closed { .. })) | None => {}
            }
        }
        let first = open.values().next().map_or_else(
            || "between two".to_owned(),
            |step| {
                step.split('-').next_back().map_or(step.clone(), |last| format!("{} …{last}", step.split(' ').next().unwrap_or_default()))
            },
        );
        if open.len() > 1 { format!("{first} and {} more", open.len() - 1) } else { first }
    }

    fn status_at(&self, at: OffsetDateTime) -> &str {
        let before = self.events.iter().take_while(|(when, ..)| *when <= at);
        before.filter(|(_, status, _)| !status.is_empty()).last().map_or("PENDING", |(_, status, _)| status)
    }

    /// How long after a moment the command went on.
    fn next_after(&self, at: OffsetDateTime) -> Option<f64> {
        self.events.iter().find(|(when, ..)| *when > at).map(|(when, ..)| (*when - at).as_seconds_f64())
    }
}

async fn begin(orrery: &Installation, word: &str) -> anyhow::Result<(String, u64, OffsetDateTime)> {
    let stack = orrery.name(word);
    orrery.api.create(&stack, &ten_services()).await?;
    let published = OffsetDateTime::now_utc();
    let apply = orrery.api.write(&format!("/stacks/{stack}/apply/1"), json!({})).await?;
    Ok((stack, apply.seq, published))
}

/// What must be true after an apply, whoever was killed.
async fn is_well(orrery: &Installation, trial: &Trial) -> anyhow::Result<()> {
    let command = patiently(orrery, trial.seq).await?;
    ensure!(command.status == Status::Done, "ended {:?}: {:?} {:?}\n{:#?}", command.status, command.reason, command.error, command.steps);
    let seen = orrery.engine.of_project(&trial.stack).await?;
    ensure!(seen.len() == 10 && seen.iter().all(|seen| seen.state == "running"), "not ten running containers: {seen:#?}");
    ensure!(seen.iter().all(|seen| seen.name == format!("{}-{}-1", trial.stack, seen.service)), "a temporary name is left: {seen:#?}");
    ensure!(orrery.api.plan(&trial.stack, 1).await?.empty, "a second apply would not be empty");
    Ok(())
}

/// The command once it has ended; the api may be away for a while.
async fn patiently(orrery: &Installation, seq: u64) -> anyhow::Result<orrery_contracts::rest::Command> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        match orrery.api.settled(&seq.to_string()).await {
            Ok(command) => return Ok(command),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test]
async fn whoever_dies_whenever_an_apply_ends_well() -> anyhow::Result<()> {
    let kills: u32 = std::env::var("ORRERY_SOAK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let mut draw = Draw::from_environment();
    let since = OffsetDateTime::now_utc().unix_timestamp();
    let mut orrery = Installation::start().await?;
    let (stack, seq, published) = begin(&orrery, "calm").await?;
    let unharmed = Trial { stack, seq, published, killed: published };
    is_well(&orrery, &unharmed).await?;
    orrery.api.done(&format!("/stacks/{}/delete", unharmed.stack), json!({})).await?;
    let history = History::of(&orrery, since).await?;
    let length = Life::of(&history, seq).events.last().map(|(when, ..)| *when - published).context("no events")?;
    let length = Duration::try_from(length).unwrap_or(Duration::from_secs(3));
    println!("campaign: an unharmed apply of ten services takes {} ms; {kills} moments for each process", length.as_millis());
    let mut trials = Vec::new();
    for victim in Victim::ALL {
        for n in 0..kills {
            let moment = length.mul_f64((f64::from(n) + draw.part()) / f64::from(kills));
            let (stack, seq, published) = begin(&orrery, "kill").await?;
            tokio::time::sleep(moment.saturating_sub(Duration::try_from(OffsetDateTime::now_utc() - published).unwrap_or_default())).await;
            let killed = OffsetDateTime::now_utc();
            victim.dies_and_comes_back(&mut orrery).await?;
            let trial = Trial { stack, seq, published, killed };
            is_well(&orrery, &trial).await.with_context(|| format!("{} was killed {moment:?} after the POST", victim.name()))?;
            orrery.api.done(&format!("/stacks/{}/delete", trial.stack), json!({})).await?;
            trials.push((victim, trial));
        }
    }
    let history = History::of(&orrery, since).await?;
    history.check()?;
    println!("campaign: | process | ms after POST | command | step in hand | end | containers | went on after |");
    println!("campaign: | --- | --- | --- | --- | --- | --- | --- |");
    let mut running = 0;
    for (victim, trial) in &trials {
        let life = Life::of(&history, trial.seq);
        let status = life.status_at(trial.killed);
        running += u32::from(status == "RUNNING");
        let next = life.next_after(trial.killed).map_or_else(|| "it had ended".to_owned(), |seconds| format!("{seconds:.2} s"));
        let after = (trial.killed - trial.published).whole_milliseconds();
        println!("campaign: | {} | {after} | {status} | {} | DONE | 10 of 10 | {next} |", victim.name(), life.in_hand(trial.killed));
        for ((project, name), times) in &history.created {
            ensure!(*project != trial.stack || *times == 1, "{name} was created {times} times");
        }
    }
    println!(
        "campaign: {} kills, {running} of them while the command ran; every promise holds over {} commands and {} events",
        trials.len(),
        history.commands.len(),
        history.events.len()
    );
    ensure!(running * 2 >= u32::try_from(trials.len())?, "only {running} of {} kills came while a command ran", trials.len());
    orrery.end().await
}
