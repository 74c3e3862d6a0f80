//! An installation that lives long: applies without end, and no process that grows with them; and a start of a service that takes
//! no longer behind all the commands that there ever were.
//!
//! A bounded sample by default; `ORRERY_SOAK_APPLIES` says how many applies, `ORRERY_SOAK_COMMANDS` how many commands have ended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use async_nats::jetstream;
use async_nats::jetstream::context::PublishAckFuture;
use orrery_contracts::{Change, Digest, Time, TransitionMessage, subjects};
use orrery_nats::User;
use orrery_tests::bundles::compose;
use orrery_tests::history::{History, Watch};
use orrery_tests::memory::{own, resident};
use orrery_tests::{Installation, Service, eventually};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

/// How much more a process may hold at the least in the last fifth of the applies than in the third, in KiB, besides a sixteenth of
/// what it held: a soak's leak of ten KiB an apply is more.
const SLACK: u64 = 3 * 1024;
/// What grows with the applies and is meant to, in KiB for each: a broker's index of its subjects, of which an apply has three; and what
/// the api told lately, of which it keeps eight megabytes: some 2,500 applies, each of eight events of some hundred bytes.
const INDEX: u64 = 4;
const TOLD: u64 = 8;

fn setting(name: &str, sample: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(sample)
}

/// What each process holds, in KiB.
fn held(orrery: &Installation) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let services = Service::ALL.map(|service| (service.name(), orrery.pid(service)));
    let all = services.into_iter().chain([("nats-server", orrery.broker.pid())]);
    let held: anyhow::Result<BTreeMap<_, _>> =
        all.map(|(name, pid)| Ok((name, resident(pid.with_context(|| format!("{name} does not run"))?)?))).collect();
    let mut held = held?;
    held.insert("postgres", orrery.postgres.pids()?.into_iter().map(own).sum());
    Ok(held)
}

/// The least that each process held in each fifth: what it takes for a moment, and gives back, is no growth.
#[derive(Default)]
struct Levels(BTreeMap<&'static str, [Option<u64>; 5]>);

impl Levels {
    fn look(&mut self, orrery: &Installation, fifth: usize) -> anyhow::Result<()> {
        for (name, now) in held(orrery)? {
            let least = self.0.entry(name).or_default().get_mut(fifth).context("there are five fifths")?;
            *least = Some(least.map_or(now, |least| least.min(now)));
        }
        Ok(())
    }

    /// Says them, and refuses what goes on growing after the first three.
    fn are_flat(&self, applies: u32) -> anyhow::Result<()> {
        for (name, levels) in &self.0 {
            let mib: Vec<String> = levels.iter().map(|level| format!("{:.1}", level.unwrap_or_default() as f64 / 1024.0)).collect();
            println!("applies: {name} held at the least, in each fifth: {} MiB", mib.join(", "));
        }
        for (name, levels) in &self.0 {
            let [_, _, Some(third), _, Some(last)] = levels else { anyhow::bail!("{name} was not looked at in each fifth") };
            let each = match *name {
                "nats-server" => INDEX,
                "api" => TOLD,
                _ => 0,
            };
            let most = third + third / 16 + SLACK + u64::from(applies) * 2 / 5 * each;
            ensure!(*last <= most, "{name} goes on growing: {third} KiB in the third fifth, {last} KiB in the last");
        }
        Ok(())
    }
}

#[tokio::test]
async fn applies_without_end_let_no_process_grow() -> anyhow::Result<()> {
    let many = setting("ORRERY_SOAK_APPLIES", 40);
    let orrery = Installation::start().await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let name = orrery.name("long");
    let version = |n: u32| {
        compose(format!(
            "services:\n  web:\n    image: orrery/busybox:test\n    command: [sleep, '{}']\n    stop_signal: SIGKILL\n",
            100_000 + n
        ))
    };
    orrery.api.create(&name, &version(0)).await?;
    orrery.api.save(&name, &version(1)).await?;
    let begun = Instant::now();
    let mut levels = Levels::default();
    for n in 0..many {
        // Nine of ten find nothing to do; each tenth makes a container anew.
        let apply = orrery.api.write(&format!("/stacks/{name}/apply/{}", 1 + (n / 10) % 2), json!({})).await?;
        orrery.api.must_be_done(&apply.id).await?;
        levels.look(&orrery, usize::try_from(n * 5 / many)?)?;
    }
    println!("applies: {many} applies in {:.1} s", begun.elapsed().as_secs_f64());
    levels.are_flat(many)?;
    History::of(&orrery, &watch).await?.audited("long-life")?;
    orrery.end().await
}

/// Publishes many messages, some hundreds at a time, and answers the last sequence.
async fn publish(broker: &jetstream::Context, messages: impl Iterator<Item = (String, Vec<u8>)>) -> anyhow::Result<u64> {
    let mut waiting: Vec<PublishAckFuture> = Vec::new();
    let mut last = 0;
    for (subject, body) in messages {
        waiting.push(broker.publish(subject, body.into()).await?);
        if waiting.len() >= 500 {
            last = stored(&mut waiting).await?;
        }
    }
    if waiting.is_empty() { Ok(last) } else { stored(&mut waiting).await }
}

async fn stored(waiting: &mut Vec<PublishAckFuture>) -> anyhow::Result<u64> {
    let mut last = 0;
    for acknowledgement in waiting.drain(..) {
        last = acknowledgement.await?.sequence;
    }
    Ok(last)
}

/// Has so many commands published and done, while no executor runs: stops of a stack that had nothing to stop. What an executor would have
/// said of them is said in its place; the projector reads it as ever. Answers the last one's number.
async fn ended(orrery: &Installation, count: u32) -> anyhow::Result<u64> {
    let context = async |user| anyhow::Ok(jetstream::new(orrery.broker.connect(user).await?));
    let (ops, executor) = (context(User::Ops).await?, context(User::DockerExecutor).await?);
    let body = json!({"type": "stack.stop", "target": "long-ago"}).to_string().into_bytes();
    let command = || (format!("orrery.commands.ops.{}", Uuid::now_v7()), body.clone());
    let last = publish(&ops, std::iter::repeat_with(command).take(usize::try_from(count)?)).await?;
    let command_sha256 = Digest::of(&body);
    let said = |seq: u64, change: Change| {
        let (event_id, at) = (Uuid::now_v7(), Time::new(OffsetDateTime::now_utc()));
        let by = "docker@local".to_owned();
        let message = TransitionMessage { event_id, seq, command_sha256: command_sha256.clone(), attempt: 1, run: 1, at, by, change };
        (subjects::transition(seq), serde_json::to_vec(&message).unwrap_or_default())
    };
    let life = |seq: u64| {
        let done = Change::Done { summary: "nothing to stop".into() };
        [said(seq, Change::Running { deadline_seconds: None }), said(seq, done)]
    };
    publish(&executor, (last - u64::from(count) + 1..=last).flat_map(life)).await?;
    Ok(last)
}

/// Of so many starts the middle one counts.
const STARTS: usize = 3;

/// Waits until the read model has the end of this command.
async fn read_model_has(orrery: &Installation, seq: u64) -> anyhow::Result<()> {
    let seq = i64::try_from(seq)?;
    eventually("the read model to be up to date", Duration::from_secs(1_800), || async {
        let mut db = PgConnection::connect(&orrery.postgres.url("orrery_owner")).await?;
        let query = "select count(*) from read.commands where seq = $1 and status = 'DONE'";
        let there: i64 = sqlx::query_scalar(query).bind(seq).fetch_one(&mut db).await?;
        Ok((there == 1).then_some(()))
    })
    .await
}

/// Starts every service so often; how long each takes until it is ready, in the middle.
async fn starts(orrery: &mut Installation, often: usize) -> anyhow::Result<BTreeMap<Service, Duration>> {
    let mut middle = BTreeMap::new();
    for service in Service::ALL {
        let mut times = Vec::new();
        for _ in 0..often {
            if orrery.pid(service).is_some() {
                orrery.process(service).stop()?;
            }
            let begun = Instant::now();
            orrery.process(service).start()?;
            orrery.ready(service).await?;
            times.push(begun.elapsed());
        }
        times.sort();
        middle.insert(service, times.get(often / 2).copied().unwrap_or_default());
    }
    Ok(middle)
}

#[tokio::test]
async fn a_start_of_each_service_costs_what_waits_and_not_what_ever_was() -> anyhow::Result<()> {
    let many = setting("ORRERY_SOAK_COMMANDS", 1_000);
    let mut orrery = Installation::start().await?;
    let mut measured = Vec::new();
    for count in [100, many] {
        for executor in [Service::DockerExecutor, Service::LibvirtExecutor] {
            orrery.process(executor).stop()?;
        }
        let begun = Instant::now();
        let last = ended(&orrery, count).await?;
        read_model_has(&orrery, last).await?;
        println!(
            "starts: {count} more commands were published and done, and the read model had them after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        // The first start of an executor reads them; it is when it stands idle that its mark moves behind them.
        starts(&mut orrery, 1).await?;
        orrery
            .api
            .done("/stacks", json!({"name": orrery.name("between"), "bundle": compose("services: {web: {image: nothing}}\n")}))
            .await?;
        measured.push(starts(&mut orrery, STARTS).await?);
    }
    let [young, old] = measured.as_slice() else { anyhow::bail!("two were measured") };
    for (service, young) in young {
        let old = old.get(service).copied().unwrap_or_default();
        let ratio = old.as_secs_f64() / young.as_secs_f64();
        println!(
            "starts: {} was ready after {young:.0?} behind 100 ended commands, after {old:.0?} behind {many} more: {ratio:.2} times as long",
            service.name()
        );
        ensure!(
            old < *young * 2 + Duration::from_millis(500),
            "{} takes {old:?} behind {many} commands, {young:?} behind 100",
            service.name()
        );
    }
    History::stored(&orrery.reading().await?).await?.audited("starts")?;
    orrery.end().await
}
