//! What publishers do wrong, and the queue shrugs off: the same command again much later, everything that is no command, more
//! than they may have waiting, as fast as they can. Afterwards the whole history is held against the promises.
//!
//! A bounded sample by default; `ORRERY_SOAK_GARBAGE`, `ORRERY_SOAK_HELD` and `ORRERY_SOAK_BURST` say how many messages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use orrery_contracts::rest::Command;
use orrery_contracts::subjects::{self, EventSubject};
use orrery_contracts::{Change, PolicyEntry, Quota, Role, Status, TransitionMessage};
use orrery_nats::User;
use orrery_tests::bundles::compose;
use orrery_tests::garbage::{Garbage, Kind};
use orrery_tests::history::{self, History};
use orrery_tests::memory::Watch;
use orrery_tests::publisher::Publisher;
use orrery_tests::{Installation, Service, eventually};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

/// So many messages are published before their ends are waited for.
const PORTION: usize = 100;
/// By how much the memory of a service may grow, whatever is published: a hundred thousand messages that left a page each
/// would be more.
const GROWTH_KIB: u64 = 200 * 1024;
/// The same for the broker, which keeps in memory what of its files it has lately written or read: less than what is published.
const BROKER_GROWTH_KIB: u64 = 768 * 1024;
/// For so many messages of garbage one id of somebody else's command is handed over: for more than come to want one.
const FOREIGN: usize = 12;
/// How soon garbage is rejected, but for one in a hundred.
const REJECTED_WITHIN: Duration = Duration::from_secs(1);

fn setting(name: &str, sample: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(sample)
}

fn say(what: &str) {
    println!("publishers: {what}");
}

async fn start() -> anyhow::Result<(Installation, Publisher, Publisher)> {
    let orrery = Installation::start_with(&[("ORRERY_PUBLISHERS", "ci,other")]).await?;
    orrery.broker.publisher("other").await?;
    let credentials = std::fs::read_to_string(orrery.data().join("publishers/other.env"))?;
    let (ci, other) = (orrery.ci().await?, Publisher::sign_in(&credentials).await?);
    Ok((orrery, ci, other))
}

fn stack(command: &str) -> Value {
    json!(compose(format!("services:\n  a:\n    image: orrery/busybox:test\n    command: [{command}]\n    stop_signal: SIGKILL\n")))
}

/// A command that is read, judged and rejected: the shortest whole way through the queue.
fn nowhere() -> Vec<u8> {
    json!({"type": "stack.stop", "target": "nowhere"}).to_string().into_bytes()
}

/// Publishes bodies under new ids, so many at once; their numbers.
async fn flood(publisher: &Publisher, bodies: impl Iterator<Item = Vec<u8>>, at_once: usize) -> anyhow::Result<Vec<u64>> {
    let sent = futures::stream::iter(bodies).map(|body| publisher.publish_bytes(body)).buffer_unordered(at_once);
    sent.map_ok(|acknowledged| acknowledged.seq).try_collect().await
}

/// Has a publisher publish so many commands that are rejected; their ids.
async fn ids_of(publisher: &Publisher, many: usize) -> anyhow::Result<Vec<String>> {
    let sent = futures::stream::iter(0..many).map(|_| publisher.publish_bytes(nowhere())).buffer_unordered(16);
    sent.map_ok(|acknowledged| acknowledged.id).try_collect().await
}

/// How a command ended: with which reason, and how long after it was published, by the broker's clock.
struct End {
    change: Change,
    after: Duration,
}

fn ends(history: &History) -> BTreeMap<u64, End> {
    let published: BTreeMap<u64, _> = history.commands.iter().map(|item| (item.seq, item.at.inner())).collect();
    let mut ends = BTreeMap::new();
    for item in &history.events {
        let Some(EventSubject::Transition(seq)) = subjects::parse_event(&item.subject) else { continue };
        let message: TransitionMessage = serde_json::from_slice(&item.body).unwrap();
        if message.change.status().has_ended() {
            let after = Duration::try_from(item.at.inner() - published[&seq]).unwrap_or_default();
            ends.insert(seq, End { change: message.change, after });
        }
    }
    ends
}

/// Checks that these commands ended as rejections; how long each took, the shortest first.
fn rejected(ends: &BTreeMap<u64, End>, seqs: &[u64], why: &str) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for seq in seqs {
        let end = ends.get(seq).with_context(|| format!("command {seq} has not ended"))?;
        let Change::Cancelled { reason } = &end.change else { anyhow::bail!("command {seq} ended as {:?}", end.change) };
        ensure!(reason.starts_with(&format!("rejected: {why}")), "command {seq} ended with {reason:?}");
        times.push(end.after);
    }
    times.sort();
    Ok(times)
}

fn spread(times: &[Duration]) -> String {
    let at =
        |part: usize| times.get((times.len() * part / 1000).min(times.len().saturating_sub(1))).copied().unwrap_or_default().as_millis();
    format!("half within {} ms, 99% within {} ms, all within {} ms", at(500), at(990), at(1000))
}

fn rate(many: usize, since: Instant) -> String {
    format!("{many} in {:.1} s, {:.0} a second", since.elapsed().as_secs_f64(), many as f64 / since.elapsed().as_secs_f64())
}

/// Waits until the read model says that every command behind one, up to another, has ended.
async fn all_ended(orrery: &Installation, behind: u64, last: u64) -> anyhow::Result<()> {
    let mut db = PgConnection::connect(&orrery.postgres.url("orrery_owner")).await?;
    let mut left = i64::MAX;
    let mut progress = Instant::now();
    loop {
        let query =
            "select $2 - $1 - (select count(*) from read.commands where status in ('DONE', 'CANCELLED') and seq > $1 and seq <= $2)";
        let now: i64 = sqlx::query_scalar(query).bind(i64::try_from(behind)?).bind(i64::try_from(last)?).fetch_one(&mut db).await?;
        match now {
            0 => return Ok(()),
            now if now < left => (left, progress) = (now, Instant::now()),
            _ => ensure!(progress.elapsed() < Duration::from_secs(60), "{left} of {last} commands do not end"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How many rejections the audit has, and how many messages of COMMANDS the database keeps as they were.
async fn audited(orrery: &Installation) -> anyhow::Result<(i64, i64)> {
    let mut db = PgConnection::connect(&orrery.postgres.url("orrery_owner")).await?;
    let rejections = "select count(*) from read.commands where status = 'CANCELLED' and reason like 'rejected:%'";
    let kept = "select count(*) from raw.messages where stream = 'COMMANDS'";
    Ok((sqlx::query_scalar(rejections).fetch_one(&mut db).await?, sqlx::query_scalar(kept).fetch_one(&mut db).await?))
}

fn memory_is_bounded(watch: &Watch, while_what: &str) -> anyhow::Result<()> {
    let held = watch.held();
    let mib = |kib: u64| kib / 1024;
    let each = held.iter().map(|(name, held)| format!("{name} {} → {} → {}", mib(held.before), mib(held.most), mib(held.after)));
    say(&format!("memory {while_what}, before → most → after, in MiB: {}", each.collect::<Vec<_>>().join(", ")));
    for (name, held) in held {
        let growth = if name == "nats-server" { BROKER_GROWTH_KIB } else { GROWTH_KIB };
        ensure!(held.most < held.before + growth, "{name} grew {while_what}: {held:?} KiB");
    }
    Ok(())
}

async fn rebuild(orrery: &mut Installation) -> anyhow::Result<()> {
    orrery.process(Service::Projector).stop()?;
    let mut command = std::process::Command::new(Service::Projector.program()?);
    let output = command.arg("rebuild").envs(orrery.environment_of(Service::Projector)).output()?;
    ensure!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    orrery.process(Service::Projector).start()?;
    orrery.ready(Service::Projector).await
}

/// The same id and body again: the broker refuses, and nothing has happened.
async fn is_a_duplicate(orrery: &Installation, publisher: &Publisher, first: &Command, body: &Value, when: &str) -> anyhow::Result<()> {
    let answer = publisher.publish_raw(&first.id, body.to_string()).await?;
    ensure!(answer.get("error").is_some(), "{when} the broker takes it again: {answer}");
    let stack = first.stack_id.context("a stack")?;
    let versions = orrery.api.versions(&stack.to_string()).await?.len();
    ensure!(versions == 2, "{when} the stack has {versions} versions");
    let command: Command = orrery.api.read(&format!("/commands/{}", first.seq)).await?;
    let same = (command.status, command.ended_at) == (first.status, first.ended_at);
    ensure!(same, "{when} it is {command:#?}, and was {first:#?}");
    Ok(())
}

#[tokio::test]
async fn faulty_publisher_garbage_is_rejected_and_a_late_duplicate_does_nothing() -> anyhow::Result<()> {
    let many = setting("ORRERY_SOAK_GARBAGE", 1000);
    let seed: u64 = std::env::var("ORRERY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (mut orrery, ci, other) = start().await?;
    let engine = history::Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let name = orrery.name("once");
    other.done(&json!({"type": "stack.create", "target": name, "payload": {"bundle": stack("sleep, '100000'")}})).await?;
    let body = json!({"type": "stack.deploy", "target": name, "payload": {"bundle": stack("sleep, '100001'")}});
    let id = Uuid::now_v7().to_string();
    ensure!(other.publish_raw(&id, body.to_string()).await?.get("error").is_none());
    let first = other.settled(&id).await?;
    ensure!(first.status == Status::Done, "{first:#?}");
    is_a_duplicate(&orrery, &other, &first, &body, "at once").await?;

    let foreign = ids_of(&other, many / FOREIGN).await?;
    let others = foreign.len();
    let foreign: BTreeSet<String> = foreign.into_iter().chain([id]).collect();

    let watch = Watch::start(&orrery)?;
    let mut garbage = Garbage::new(seed, foreign.iter().cloned().collect(), u32::try_from((many / 100).clamp(100, 1000))?);
    let began = Instant::now();
    let (mut sent, mut ended): (Vec<(u64, Kind)>, u64) = (Vec::new(), 0);
    let mut under_foreign_ids = 0;
    while sent.len() < many {
        // In portions, each waited for: a rejection takes what it takes, and not what waits before it.
        let messages: Vec<_> = std::iter::repeat_with(|| garbage.next_message()).take(PORTION.min(many - sent.len())).collect();
        under_foreign_ids += messages.iter().filter(|message| foreign.contains(&message.id)).count();
        let portion = futures::stream::iter(messages).map(|message| {
            let ci = &ci;
            async move { anyhow::Ok((ci.publish_under(&message.id, message.body.to_vec()).await?.seq, message.kind)) }
        });
        sent.extend(portion.buffer_unordered(8).try_collect::<Vec<_>>().await?);
        let last = sent.iter().map(|(seq, _)| *seq).max().context("nothing was published")?;
        all_ended(&orrery, ended, last).await?;
        ended = last;
    }
    say(&format!("garbage from seed {seed}, in portions of {PORTION}, was published and had ended: {}", rate(many, began)));
    say(&format!("{under_foreign_ids} of it under ids of another publisher's commands"));
    ensure!(under_foreign_ids >= many / FOREIGN / 3, "only {under_foreign_ids} messages have another's id");
    memory_is_bounded(&watch, "under garbage")?;

    is_a_duplicate(&orrery, &other, &first, &body, "after everything else").await?;
    rebuild(&mut orrery).await?;
    is_a_duplicate(&orrery, &other, &first, &body, "after a rebuild").await?;

    let history = History::of(&orrery, &engine).await?;
    history.audited("publishers")?;
    let ends = ends(&history);
    let kinds: BTreeSet<Kind> = sent.iter().map(|(_, kind)| *kind).collect();
    ensure!(kinds.len() == Kind::ALL.len(), "only {kinds:?} were published");
    for kind in kinds {
        let seqs: Vec<u64> = sent.iter().filter(|(_, of)| *of == kind).map(|(seq, _)| *seq).collect();
        rejected(&ends, &seqs, "").with_context(|| format!("{kind:?}"))?;
    }
    let times = rejected(&ends, &sent.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), "")?;
    say(&format!("garbage was rejected: {}", spread(&times)));
    let slow = times.iter().filter(|time| **time > REJECTED_WITHIN).count();
    ensure!(slow * 100 <= many, "{slow} of {many} were not rejected within {REJECTED_WITHIN:?}");
    let (rejections, kept) = audited(&orrery).await?;
    ensure!(rejections == i64::try_from(many + others)?, "the audit has {rejections} rejections of {many} and {others}");
    ensure!(kept == i64::try_from(history.commands.len())?, "the database keeps {kept} of {} commands", history.commands.len());
    let created = history.engine.iter().filter(|event| event.action == "create" && event.project == name).count();
    ensure!(created == 1, "the command had {created} containers made");
    orrery.end().await
}

async fn policy(orrery: &Installation, publisher: &str, quota: Quota) -> anyhow::Result<()> {
    let api = async_nats::jetstream::new(orrery.broker.connect(User::Api).await?);
    let entry = PolicyEntry { role: Role::User, quota };
    let key = format!("$KV.{}.{}", subjects::POLICY, subjects::publisher_key(publisher));
    api.publish(key, serde_json::to_vec(&entry)?.into()).await?.await?;
    Ok(())
}

/// Both quotas while the queue is held: what is over ends at once, what is not waits.
async fn over_the_quota_of_a_held_queue(orrery: &Installation, ci: &Publisher, other: &Publisher, many: usize) -> anyhow::Result<Vec<u64>> {
    let name = orrery.name("held");
    orrery.api.done("/stacks", json!({"name": name, "bundle": stack("/no/such/program")})).await?;
    let held = orrery.api.fails(&format!("/stacks/{name}/apply/1"), json!({})).await?;
    let began = Instant::now();
    let small = flood(ci, std::iter::repeat_with(nowhere).take(many), 64).await?;
    say(&format!("while the queue was held, were published: {}", rate(many, began)));
    // Space is allowed in JSON, and counts.
    let large = [nowhere(), vec![b' '; 1_000_000]].concat();
    let large = flood(other, std::iter::repeat_with(|| large.clone()).take(70), 2).await?;
    let over = i64::try_from(many + 70)? - 1000 - 67;
    let seen = eventually("what is over the quota to end", Duration::from_secs(600), || async {
        let (rejections, _) = audited(orrery).await?;
        Ok((rejections >= over).then_some(rejections))
    })
    .await?;
    say(&format!("while the queue was held, {seen} had ended {:.1} s after the first", began.elapsed().as_secs_f64()));
    ensure!(seen == over, "{seen} were over the quota, and should be {over}");
    orrery.api.cancel(&held.id).await?;
    Ok([small, large].concat())
}

/// One command after another, each when the one before has ended.
async fn calmly(orrery: &Installation, publisher: &Publisher, until: impl Fn(usize) -> bool) -> anyhow::Result<Vec<u64>> {
    let jetstream = async_nats::jetstream::new(orrery.broker.connect(User::Api).await?);
    let events = jetstream.get_stream_no_info(subjects::EVENTS).await?;
    let mut seqs = Vec::new();
    while !until(seqs.len()) {
        let seq = publisher.publish_bytes(nowhere()).await?.seq;
        let began = Instant::now();
        while events.get_last_raw_message_by_subject(&subjects::transition(seq)).await.is_err() {
            ensure!(began.elapsed() < Duration::from_secs(120), "command {seq} does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        seqs.push(seq);
    }
    Ok(seqs)
}

#[tokio::test]
async fn faulty_publisher_over_its_quota_delays_nobody() -> anyhow::Result<()> {
    let (held, burst) = (setting("ORRERY_SOAK_HELD", 2000), setting("ORRERY_SOAK_BURST", 500));
    let (orrery, ci, other) = start().await?;
    let engine = history::Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let watch = Watch::start(&orrery)?;
    let waited = over_the_quota_of_a_held_queue(&orrery, &ci, &other, held).await?;
    all_ended(&orrery, 0, *waited.iter().max().context("nothing was published")?).await?;
    memory_is_bounded(&watch, "while the queue was held")?;

    policy(&orrery, "ci", Quota { waiting_commands: 20, ..Quota::default() }).await?;
    let alone = calmly(&orrery, &other, |done| done >= 30).await?;
    let began = Instant::now();
    let flooding = flood(&ci, std::iter::repeat_with(nowhere).take(burst), 256);
    let over = std::cell::Cell::new(false);
    let flooding = async {
        let seqs = flooding.await;
        over.set(true);
        seqs
    };
    let (flooded, beside) = tokio::try_join!(flooding, calmly(&orrery, &other, |_| over.get()))?;
    say(&format!("a burst over a quota of 20 was published: {}", rate(burst, began)));
    all_ended(&orrery, 0, *flooded.iter().max().context("nothing was published")?).await?;
    say(&format!("a burst over a quota of 20 had ended: {}", rate(burst, began)));

    policy(&orrery, "ci", Quota::default()).await?;
    let began = Instant::now();
    let full_speed = |publisher| flood(publisher, std::iter::repeat_with(nowhere).take(burst), 64);
    let (one, two) = tokio::try_join!(full_speed(&ci), full_speed(&other))?;
    let both = [one, two].concat();
    all_ended(&orrery, 0, *both.iter().max().context("nothing was published")?).await?;
    say(&format!("two publishers at full speed: {}", rate(both.len(), began)));

    let history = History::of(&orrery, &engine).await?;
    history.audited("publishers")?;
    let ends = ends(&history);
    rejected(&ends, &[waited, both].concat(), "")?;
    let times = rejected(&ends, &flooded, "")?;
    let quota = flooded.iter().filter(|seq| rejected(&ends, &[**seq], "quota").is_ok()).count();
    say(&format!("of the burst, {quota} of {burst} were over the quota; rejected {}", spread(&times)));
    ensure!(quota > 0, "nothing was over the quota of 20");
    let (alone, beside) = (rejected(&ends, &alone, "")?, rejected(&ends, &beside, "")?);
    say(&format!("another publisher alone, {} commands: {}", alone.len(), spread(&alone)));
    say(&format!("another publisher beside the burst, {} commands: {}", beside.len(), spread(&beside)));
    memory_is_bounded(&watch, "under bursts")?;
    orrery.end().await
}
