//! A queue that has lived long, and one that waited long: a start costs what waits, not what ever was, and what waited is
//! done in its order.
//!
//! A bounded sample by default; `ORRERY_SOAK_COMMANDS` says how many commands have ended, and a tenth of it how many wait.

use std::time::{Duration, Instant};

use async_nats::jetstream::context::PublishAckFuture;
use futures::StreamExt as _;
use orrery_contracts::{Change, Digest, Engine, Status, Time, TransitionMessage, subjects};
use orrery_nats::User;
use orrery_queue::Broker;
use uuid::Uuid;

use crate::world::World;

fn how_many() -> u64 {
    std::env::var("ORRERY_SOAK_COMMANDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// Publishes many messages, some hundreds at a time, and answers the last sequence.
async fn publish(broker: &Broker, messages: impl Iterator<Item = (String, Vec<u8>)>) -> u64 {
    let mut waiting: Vec<PublishAckFuture> = Vec::new();
    let mut last = 0;
    for (subject, body) in messages {
        waiting.push(broker.jetstream().publish(subject, body.into()).await.unwrap());
        if waiting.len() >= 500 {
            last = stored(&mut waiting).await;
        }
    }
    if waiting.is_empty() { last } else { stored(&mut waiting).await }
}

async fn stored(waiting: &mut Vec<PublishAckFuture>) -> u64 {
    let mut last = 0;
    for ack in waiting.drain(..) {
        last = ack.await.unwrap().sequence;
    }
    last
}

fn command(script: &str) -> (String, Vec<u8>) {
    let body = serde_json::json!({ "type": "stack.start", "target": script }).to_string();
    (format!("orrery.commands.ops.{}", Uuid::now_v7()), body.into_bytes())
}

/// So many commands that were cancelled long ago.
async fn ended(world: &World, count: u64) {
    let (ops, api) = (world.connection(User::Ops).await, world.connection(User::Api).await);
    let last = publish(&ops, (0..count).map(|_| command("long-ago"))).await;
    let command_sha256 = Digest::of(&command("long-ago").1);
    let transition = |seq: u64| {
        let message = TransitionMessage {
            event_id: Uuid::now_v7(),
            seq,
            command_sha256: command_sha256.clone(),
            attempt: 1,
            run: 0,
            at: Time::new(time::OffsetDateTime::now_utc()),
            by: "anna".into(),
            change: Change::Cancelled { reason: "by anna".into() },
        };
        (subjects::transition(seq), serde_json::to_vec(&message).unwrap())
    };
    publish(&api, (last - count + 1..=last).map(transition)).await;
}

/// How long an executor takes from its start until it has carried out a command that comes then.
async fn start(world: &World) -> Duration {
    let begun = Instant::now();
    let docker = world.start(Engine::Docker).await;
    let command = world.run("now").await;
    world.becomes(command, Status::Done).await;
    let took = begun.elapsed();
    docker.stop().await.unwrap();
    took
}

#[tokio::test]
async fn a_start_costs_what_waits_and_not_what_ever_was() {
    let world = World::new().await;
    ended(&world, 100).await;
    start(&world).await;
    let young = start(&world).await;
    let many = how_many();
    ended(&world, many).await;
    start(&world).await;
    let old = start(&world).await;
    println!(
        "long-life: a start behind 100 ended commands took {young:?}, behind {many} more {old:?}: {:.2} times as long",
        old.as_secs_f64() / young.as_secs_f64()
    );
    assert!(old < young * 3 + Duration::from_secs(3), "{young:?} with 100 ended commands, {old:?} with {many} more");
    world.audit().await;
}

#[tokio::test]
async fn a_backlog_is_done_in_its_order() {
    let world = World::new().await;
    let waits = how_many() / 10;
    let ops = world.connection(User::Ops).await;
    let policy = orrery_contracts::Quota { waiting_commands: waits + 1, ..orrery_contracts::Quota::default() };
    world.policy("publisher.ops", orrery_contracts::Role::Admin, policy).await;
    let last = publish(&ops, (0..waits).map(|_| command("nothing"))).await;
    let begun = Instant::now();
    let docker = world.start(Engine::Docker).await;
    while world.status(last).await != Status::Done {
        assert!(begun.elapsed() < Duration::from_secs(60 + waits / 20), "the backlog is not done");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed();
    println!(
        "long-life: {waits} commands that do nothing waited, and were done in {took:?}: {:.0} a second",
        waits as f64 / took.as_secs_f64()
    );
    let mut order = Vec::new();
    let events = world.connection(User::Projector).await;
    let stream = events.jetstream().get_stream(subjects::EVENTS).await.unwrap();
    let consumer = stream.create_consumer(async_nats::jetstream::consumer::pull::OrderedConfig::default()).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    while order.len() < usize::try_from(waits).unwrap() * 2 {
        let message = messages.next().await.unwrap().unwrap();
        if let Some(subjects::EventSubject::Transition(seq)) = subjects::parse_event(&message.subject) {
            order.push(seq);
        }
    }
    let expected: Vec<u64> = (last - waits + 1..=last).flat_map(|seq| [seq, seq]).collect();
    assert_eq!(order, expected, "RUNNING and DONE of each before RUNNING of the next");
    docker.stop().await.unwrap();
    world.audit().await;
}
