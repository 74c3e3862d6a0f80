//! One apply, what befell it, and what must be true of it afterwards.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use async_nats::jetstream::consumer::pull;
use futures::StreamExt as _;
use orrery_contracts::{Bundle, StepEntry, StepMessage, Time, TransitionMessage, subjects};
use orrery_tests::Installation;
use orrery_tests::api::is_done;
use orrery_tests::bundles::{compose, replacing};
use orrery_tests::history::{History, Watch};
use serde_json::json;
use time::OffsetDateTime;

/// How long a step of an apply may be waited for.
const STEP_WITHIN: Duration = Duration::from_secs(60);

/// A number from the environment, where there is one.
pub(crate) fn number(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Ten services in two layers; the second waits until the first is healthy.
pub(crate) fn ten_services() -> Bundle {
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
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn from_environment() -> Self {
        Self(std::env::var("ORRERY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1))
    }

    /// A number from the least to the most.
    pub(crate) fn between(&mut self, least: u32, most: u32) -> u32 {
        let _ = self.part();
        least + u32::try_from((self.0 >> 33) % u64::from(most - least + 1)).unwrap_or(0)
    }

    /// A number from 0 to 1.
    pub(crate) fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 33).unwrap_or(0)) / f64::from(1_u32 << 31)
    }
}

/// One apply, and what befell it.
pub(crate) struct Trial {
    /// Whom it befell.
    pub(crate) process: String,
    pub(crate) stack: String,
    /// The command's sequence.
    pub(crate) seq: u64,
    pub(crate) services: usize,
    pub(crate) published: OffsetDateTime,
    /// When it was harmed.
    pub(crate) harmed: OffsetDateTime,
    /// How long after that who was harmed was ready again, where that is measured.
    pub(crate) ready_after: Option<Duration>,
    /// How many containers ran when all was well.
    running: Cell<usize>,
}

impl Trial {
    /// Makes a stack of ten services and applies it.
    pub(crate) async fn begin(orrery: &Installation, process: &str) -> anyhow::Result<Self> {
        Self::begin_with(orrery, process, &ten_services(), 10).await
    }

    /// The same with so many other services.
    pub(crate) async fn begin_with(orrery: &Installation, process: &str, bundle: &Bundle, services: usize) -> anyhow::Result<Self> {
        let stack = orrery.name("trial");
        orrery.api.create(&stack, bundle).await?;
        let published = OffsetDateTime::now_utc();
        let apply = orrery.api.write(&format!("/stacks/{stack}/apply/1"), json!({})).await?;
        let (process, harmed, running) = (process.to_owned(), published, Cell::default());
        Ok(Self { process, stack, seq: apply.seq, services, published, harmed, ready_after: None, running })
    }

    /// Applies a change of ten services that run, so that each container has an old one beside it.
    pub(crate) async fn begin_change(orrery: &Installation, process: &str) -> anyhow::Result<Self> {
        let first = Self::begin(orrery, process).await?;
        first.is_well(orrery).await?;
        orrery.api.save(&first.stack, &replacing(ten_services(), "compose.yaml", "'100000'", "'200000'")?).await?;
        let published = OffsetDateTime::now_utc();
        let apply = orrery.api.write(&format!("/stacks/{}/apply/2", first.stack), json!({})).await?;
        Ok(Self { seq: apply.seq, published, harmed: published, ..first })
    }

    /// Waits for a moment after the POST, and notes it as the one at which somebody is harmed.
    pub(crate) async fn reach(&mut self, moment: Duration) {
        let passed = Duration::try_from(OffsetDateTime::now_utc() - self.published).unwrap_or_default();
        tokio::time::sleep(moment.saturating_sub(passed)).await;
        self.now();
    }

    /// Waits until the step log says so, from its beginning on, and notes the moment.
    pub(crate) async fn until(&mut self, orrery: &Installation, so: impl Fn(&StepMessage) -> bool) -> anyhow::Result<()> {
        until_step(orrery, self.seq, so).await?;
        self.now();
        Ok(())
    }

    /// It is harmed now.
    pub(crate) fn now(&mut self) {
        self.harmed = OffsetDateTime::now_utc();
    }

    /// What must be true afterwards, whoever was harmed.
    pub(crate) async fn is_well(&self, orrery: &Installation) -> anyhow::Result<()> {
        is_done(&patiently(orrery, self.seq).await?)?;
        let seen = orrery.engine.of_project(&self.stack).await?;
        let running = seen.iter().filter(|seen| seen.state == "running").count();
        ensure!(seen.len() == self.services && running == seen.len(), "not {} running containers: {seen:#?}", self.services);
        ensure!(seen.iter().all(|seen| seen.name == format!("{}-{}-1", self.stack, seen.service)), "a temporary name is left: {seen:#?}");
        ensure!(orrery.api.plan(&self.stack, 1).await?.empty, "a second apply would not be empty");
        self.running.set(running);
        Ok(())
    }
}

/// Waits until the step log of a command has an entry that is so.
pub(crate) async fn until_step(orrery: &Installation, seq: u64, so: impl Fn(&StepMessage) -> bool) -> anyhow::Result<()> {
    let stream = orrery.reading().await?.get_stream_no_info(subjects::EVENTS).await?;
    let config = pull::OrderedConfig { filter_subject: subjects::step(seq), ..pull::OrderedConfig::default() };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    let reading = async {
        while let Some(message) = messages.next().await {
            if so(&serde_json::from_slice(&message?.payload)?) {
                return Ok(());
            }
        }
        bail!("the consumer ended")
    };
    tokio::time::timeout(STEP_WITHIN, reading).await.with_context(|| format!("no such step of command {seq} within {STEP_WITHIN:?}"))?
}

/// How long an apply of ten services takes that nobody harms.
pub(crate) async fn calm(orrery: &Installation, watch: &Watch) -> anyhow::Result<Duration> {
    let unharmed = Trial::begin(orrery, "nobody").await?;
    unharmed.is_well(orrery).await?;
    orrery.api.done(&format!("/stacks/{}/delete", unharmed.stack), json!({})).await?;
    let history = History::of(orrery, watch).await?;
    let length = Life::of(&history, unharmed.seq).events.last().map(|(when, ..)| *when - unharmed.published).context("no events")?;
    Ok(Duration::try_from(length)?)
}

/// Tells every trial of a campaign, a line each; answers how many were harmed while their command ran.
pub(crate) fn table(campaign: &str, history: &History, trials: &[Trial]) -> usize {
    println!("{campaign}: | process | ms after POST | command | step in hand | end | containers | ready after | command went on after |");
    println!("{campaign}: | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut running = 0;
    for trial in trials {
        let life = Life::of(history, trial.seq);
        let (status, end) = (life.status_at(trial.harmed), life.status_at(OffsetDateTime::now_utc()));
        running += usize::from(status == "RUNNING");
        let next = life.next_after(trial.harmed).map_or_else(|| "it had ended".to_owned(), |seconds| format!("{seconds:.2} s"));
        let ready = trial.ready_after.map_or_else(|| "–".to_owned(), |after| format!("{:.2} s", after.as_secs_f64()));
        let (after, step) = ((trial.harmed - trial.published).whole_milliseconds(), life.in_hand(trial.harmed));
        let Trial { process, services, .. } = trial;
        let seen = trial.running.get();
        println!("{campaign}: | {process} | {after} | {status} | {step} | {end} | {seen} of {services} | {ready} | {next} |");
    }
    running
}

/// The events of one command, as the campaign needs them.
pub(crate) struct Life {
    /// When each transition and step was stored, and what it says.
    pub(crate) events: Vec<(OffsetDateTime, String, Option<StepMessage>)>,
}

impl Life {
    pub(crate) fn of(history: &History, seq: u64) -> Self {
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

    /// The steps that were begun and not ended at a moment: what each does, and to what.
    fn open_at(&self, at: OffsetDateTime) -> Vec<(&str, &str)> {
        let mut open = std::collections::BTreeMap::new();
        for (_, _, step) in self.events.iter().take_while(|(when, ..)| *when <= at) {
            match step.as_ref().map(|step| (step.n, &step.entry)) {
                Some((n, StepEntry::Started { action, subject, .. })) => drop(open.insert(n, (action.as_str(), subject.as_str()))),
                Some((n, StepEntry::Ended { .. })) => drop(open.remove(&n)),
                Some((_, StepEntry::Opened { .. } | StepEntry::Planned { .. } | StepEntry::Closed { .. })) | None => {}
            }
        }
        open.into_values().collect()
    }

    /// How many steps of this action were in hand at a moment.
    pub(crate) fn how_many_in_hand(&self, at: OffsetDateTime, wanted: &str) -> usize {
        self.open_at(at).into_iter().filter(|(action, _)| *action == wanted).count()
    }

    /// The steps that were in hand at a moment: how many of each action, or what a single one was done to.
    pub(crate) fn in_hand(&self, at: OffsetDateTime) -> String {
        let open = self.open_at(at);
        if let [(action, subject)] = open.as_slice() {
            return subject.rsplit_once('-').map_or_else(|| format!("{action} {subject}"), |(_, last)| format!("{action} …{last}"));
        }
        let mut counts = std::collections::BTreeMap::<&str, usize>::new();
        for (action, _) in &open {
            *counts.entry(action).or_default() += 1;
        }
        let words: Vec<String> = counts.into_iter().map(|(action, many)| format!("{many} × {action}")).collect();
        if words.is_empty() { "between two".to_owned() } else { words.join(", ") }
    }

    pub(crate) fn status_at(&self, at: OffsetDateTime) -> &str {
        let before = self.events.iter().take_while(|(when, ..)| *when <= at);
        before.filter(|(_, status, _)| !status.is_empty()).last().map_or("PENDING", |(_, status, _)| status)
    }

    /// How long after a moment the command went on.
    pub(crate) fn next_after(&self, at: OffsetDateTime) -> Option<f64> {
        self.events.iter().find(|(when, ..)| *when > at).map(|(when, ..)| (*when - at).as_seconds_f64())
    }
}

/// The command once it has ended; the api may be away for a while.
pub(crate) async fn patiently(orrery: &Installation, seq: u64) -> anyhow::Result<orrery_contracts::rest::Command> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        match orrery.api.settled(&seq.to_string()).await {
            Ok(command) => return Ok(command),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
