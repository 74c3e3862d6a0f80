//! What can never start ends as rejected when its turn comes, and blocks nobody.

use orrery_contracts::{Engine, Quota, Role, Status};
use serde_json::json;
use uuid::Uuid;

use crate::world::World;

#[tokio::test]
async fn bad_messages_end_as_rejected_and_stay_in_the_stream() {
    let world = World::new().await;
    let fresh = || Uuid::now_v7().to_string();
    let good = json!({ "type": "stack.start", "target": "good" });
    let mut bad = vec![
        (world.publish(&fresh(), "").await.unwrap(), "rejected: not a command: "),
        (world.publish(&fresh(), r#"{"stream":"COMMANDS","seq":7}"#).await.unwrap(), "rejected: not a command: "),
        (world.command(&json!({ "type": "stack.explode", "target": "a" })).await, "rejected: type \"stack.explode\" is unknown"),
        (world.command(&json!({ "type": "stack.start", "target": "a", "more": 1 })).await, "rejected: not a command: unknown field `more`"),
        (world.command(&json!({ "type": "stack.start", "target": "a", "schema": 9 })).await, "rejected: schema 9 is unknown"),
        (
            world.command(&json!({ "type": "stack.start", "target": "a", "actor": "anna" })).await,
            "rejected: publisher ci may not act for anna",
        ),
        (world.run("missing").await, "rejected: there is no stack missing"),
        (world.publish(&fresh().to_uppercase(), good.to_string()).await.unwrap(), "rejected: id: "),
        (world.publish("no-uuid", good.to_string()).await.unwrap(), "rejected: id: "),
        (world.publish_as_api(&good).await, "rejected: the api must name the actor"),
        (
            world.publish_as_api(&json!({ "type": "stack.start", "target": "a", "actor": "nobody" })).await,
            "rejected: user nobody has no entry in POLICY",
        ),
    ];
    world.policy("user.guest", Role::Viewer, Quota::default()).await;
    let viewer = world.publish_as_api(&json!({ "type": "stack.start", "target": "a", "actor": "guest" })).await;
    bad.push((viewer, "rejected: user guest may look"));
    let last = world.publish_as_api(&json!({ "type": "stack.start", "target": "good", "actor": "anna" })).await;
    let docker = world.start(Engine::Docker).await;
    world.becomes(last, Status::Done).await;
    for (seq, reason) in bad {
        let story = world.story(seq).await;
        assert!(story.starts_with(&format!("CANCELLED {reason}")), "{seq}: {story}");
    }
    assert_eq!(world.engine.effects().len(), 1);
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn what_is_over_the_quota_ends_on_arrival_and_the_rest_goes_on() {
    let world = World::new().await;
    world.policy("publisher.ci", Role::User, Quota { waiting_commands: 3, waiting_bytes: 2_000 }).await;
    let docker = world.start(Engine::Docker).await;
    let held = world.run("slow-held").await;
    world.enters("slow-held", 1).await;
    let second = world.run("second").await;
    let third = world.run("third").await;
    let fourth = world.run("fourth").await;
    world.becomes(fourth, Status::Cancelled).await;
    assert_eq!(world.story(fourth).await, "CANCELLED rejected: quota: publisher.ci may have 3 commands waiting");
    let machine = world.command(&json!({ "type": "machine.start", "target": "m" })).await;
    world.becomes(machine, Status::Cancelled).await;
    let of_anna = world.publish_as_api(&json!({ "type": "stack.start", "target": "anna", "actor": "anna" })).await;
    world.engine.open("slow-held", 1);
    world.becomes(of_anna, Status::Done).await;
    for seq in [held, second, third] {
        assert_eq!(world.status(seq).await, Status::Done);
    }
    let large = json!({ "type": "stack.start", "target": "a", "payload": { "junk": "x".repeat(3_000) } });
    let large = world.command(&large).await;
    world.becomes(large, Status::Cancelled).await;
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn commands_for_an_engine_that_the_installation_has_not_are_rejected_by_the_docker_executor() {
    let world = World::new().await;
    let ops = world.connection(orrery_nats::User::Ops).await;
    orrery_queue::Definitions::new(ops.streams()).set_engines(&[Engine::Docker]).await.unwrap();
    let docker = world.start(Engine::Docker).await;
    let machine = world.command(&json!({ "type": "machine.start", "target": "m" })).await;
    let behind = world.run("behind").await;
    world.becomes(behind, Status::Done).await;
    assert_eq!(world.story(machine).await, "CANCELLED rejected: this installation has no libvirt engine");
    docker.stop().await.unwrap();
    world.audit().await;
}
