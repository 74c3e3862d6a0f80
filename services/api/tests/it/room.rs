//! A stream of commands that is nearly full: no new ones, and everything that lets the others come to their end.

use async_nats::jetstream;
use async_nats::jetstream::stream::Config;
use orrery_contracts::subjects;
use orrery_nats::User;
use serde_json::json;
use uuid::Uuid;

use crate::stacks::bundle;
use crate::support::{SOON, World};

/// Gives the stream of commands so much room that it is full to so many percent.
async fn full_to(world: &World, percent: u64) {
    let ops = jetstream::new(world.broker.connect(User::Ops).await.unwrap());
    let mut commands = ops.get_stream(subjects::COMMANDS).await.unwrap();
    let info = commands.info().await.unwrap();
    let room = i64::try_from(info.state.bytes * 100 / percent).unwrap();
    ops.update_stream(Config { max_bytes: room, ..info.config.clone() }).await.unwrap();
}

/// Waits until the api has seen that it is.
async fn is_seen(world: &World, percent: u64) {
    let seen = || async {
        let used = world.api.broker.percent_used().await;
        anyhow::ensure!(used.is_some_and(|used| used.abs_diff(percent) < 2), "{used:?}");
        Ok(Some(()))
    };
    orrery_tests::eventually("the api to see how full it is", SOON, seen).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_nearly_full_takes_no_new_command_and_the_others_come_to_their_end() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let new = |name: &str| json!({"name": name, "bundle": bundle("web:1")});
    // Next to this one the others are small.
    let mut large = new("failed");
    large["bundle"]["files"]["data"] = json!("x".repeat(100 * 1024));
    let failed = admin.post("/api/v1/stacks", large).await.expect(202).json["seq"].as_u64().unwrap();
    let waits = admin.post("/api/v1/stacks", new("waits")).await.expect(202).json["seq"].as_u64().unwrap();
    executor.runs(failed, 1).await;
    executor.fails(failed, 1).await;
    assert_eq!(admin.get(&format!("/api/v1/commands/{failed}?wait=30s")).await.expect(200).json["status"], "FAILED");

    full_to(&world, 86).await;
    is_seen(&world, 86).await;
    let refused = admin.post("/api/v1/stacks", new("late")).await.expect(507);
    assert_eq!(refused.code(), "storage_full");
    assert!(refused.json["detail"].as_str().unwrap().contains("86% full"), "{}", refused.text);
    assert_eq!(admin.post_nothing("/api/v1/stacks/waits/apply/1").await.expect(507).code(), "storage_full");

    let retried = admin.post_nothing(&format!("/api/v1/commands/{failed}/retry")).await.expect(202);
    assert_eq!((&retried.json["status"], &retried.json["attempt"]), (&json!("PENDING"), &json!(2)));
    executor.runs(failed, 2).await;
    let asked = admin.post_nothing(&format!("/api/v1/commands/{failed}/cancel")).await.expect(202);
    assert_eq!(asked.json["cancel_requested"], true);
    executor.fails(failed, 2).await;
    assert_eq!(admin.get(&format!("/api/v1/commands/{failed}?wait=30s")).await.expect(200).json["status"], "FAILED");
    for seq in [failed, waits] {
        let cancelled = admin.post_nothing(&format!("/api/v1/commands/{seq}/cancel")).await.expect(202);
        assert_eq!(cancelled.json["status"], "CANCELLED", "{}", cancelled.text);
    }

    // A publisher is told by the broker, which takes them to the last byte.
    full_to(&world, 100).await;
    let ci = orrery_nats::testing::connect(&world.broker.publisher("ci").await.unwrap()).await.unwrap();
    let body = json!({"type": "stack.start", "target": "waits"}).to_string();
    let told = ci.request(format!("orrery.commands.{}", Uuid::now_v7()), body.clone().into()).await.unwrap();
    assert!(String::from_utf8_lossy(&told.payload).contains("maximum bytes exceeded"), "{told:?}");

    full_to(&world, 50).await;
    is_seen(&world, 50).await;
    admin.post("/api/v1/stacks", new("later")).await.expect(202);
    let told = ci.request(format!("orrery.commands.{}", Uuid::now_v7()), body.into()).await.unwrap();
    assert!(!String::from_utf8_lossy(&told.payload).contains("error"), "{told:?}");
}
