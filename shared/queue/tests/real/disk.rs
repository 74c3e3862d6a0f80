//! What the broker's disk can do to the queue: a limit that is reached, and a disk that is full and free again; and a broker that
//! answers in bursts, whatever it was that it waited for. A disk that is slow has a file of its own.

use std::process::Command;
use std::time::Duration;

use async_nats::jetstream::stream::Config;
use orrery_contracts::{Engine, Status, subjects};
use orrery_nats::{User, testing};

use crate::world::{World, until};

#[tokio::test]
async fn commands_at_their_limit_are_refused_and_what_runs_ends() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let running = world.run("slow-a--b").await;
    world.enters("slow-a", 1).await;
    let ops = world.connection(User::Ops).await;
    let commands = ops.jetstream().get_stream(subjects::COMMANDS).await.unwrap();
    let roomy = commands.cached_info().config.clone();
    let full = i64::try_from(commands.cached_info().state.bytes).unwrap() + 10;
    ops.jetstream().update_stream(Config { max_bytes: full, ..roomy.clone() }).await.unwrap();

    let body = serde_json::json!({ "type": "stack.start", "target": "refused" }).to_string();
    let refusal = world.publish(&uuid::Uuid::now_v7().to_string(), body.clone()).await.unwrap_err();
    assert!(refusal.contains("maximum bytes exceeded"), "{refusal}");
    world.engine.open("slow-a", 1);
    world.becomes(running, Status::Done).await;
    assert_eq!(world.story(running).await, "RUNNING 1.1, DONE 2 made");

    ops.jetstream().update_stream(roomy).await.unwrap();
    let next = world.run("c").await;
    assert_eq!(next, running + 1, "what was refused took no number");
    world.becomes(next, Status::Done).await;
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_disk_that_is_full_stops_everything_and_free_again_nothing_is_lost_or_made_twice() {
    let mut world = World::on(testing::Broker::on_a_disk_of(48).await.unwrap()).await;
    let docker = world.start(Engine::Docker).await;
    let first = world.run("first").await;
    world.becomes(first, Status::Done).await;
    // Ten steps: their entries take more than what is left of the last page of a file.
    let steps: Vec<String> = ["slow-a"].into_iter().map(str::to_owned).chain((0..9).map(|n| format!("b{n}"))).collect();
    let running = world.run(&steps.join("--")).await;
    world.enters("slow-a", 1).await;
    world.broker.disk().unwrap().fill();
    // Whether a publish is refused or not answered: it has no number.
    world.engine.open("slow-a", 1);
    let large = serde_json::json!({ "type": "stack.start", "target": "x".repeat(200_000) }).to_string();
    let mut refused = 0;
    for _ in 0..4 {
        let answer = tokio::time::timeout(Duration::from_secs(3), world.publish(&uuid::Uuid::now_v7().to_string(), large.clone())).await;
        refused += u32::from(!matches!(answer, Ok(Ok(_))));
    }
    assert!(refused > 0, "a full disk takes no command");

    let alarm = until("the executor to say so", async || docker.waits.for_what("events")).await;
    assert!(alarm.starts_with("the broker does not store events") && alarm.contains("cargo xtask restart nats"), "{alarm}");
    assert!(world.engine.effects_of(running).len() < steps.len(), "nothing is begun that was not written down");

    world.broker.disk().unwrap().free().unwrap();
    // A broker that met a full disk opens its streams only when it starts again, as the alarm says.
    world.broker.stop().unwrap();
    world.broker.start().await.unwrap();
    world.publishers_again().await;
    world.becomes(running, Status::Done).await;
    assert_eq!(world.engine.effects_of(running), steps);
    let next = world.run("c").await;
    world.becomes(next, Status::Done).await;
    assert_eq!(docker.waits.for_what("stream_regressed"), None, "what was acknowledged is there");
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_broker_that_answers_in_bursts_changes_no_story() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let pid = world.broker.pid().unwrap().to_string();
    let signal = |name: &str| assert!(Command::new("kill").args([format!("-{name}"), pid.clone()]).status().unwrap().success());
    let mut commands = Vec::new();
    for round in 0..10 {
        commands.push(world.run(&format!("a{round}--b{round}--c{round}")).await);
        signal("STOP");
        tokio::time::sleep(Duration::from_millis(400)).await;
        signal("CONT");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    for (round, command) in commands.into_iter().enumerate() {
        world.becomes(command, Status::Done).await;
        assert_eq!(world.story(command).await, "RUNNING 1.1, DONE 3 made");
        assert_eq!(world.engine.effects_of(command), [format!("a{round}"), format!("b{round}"), format!("c{round}")]);
    }
    docker.stop().await.unwrap();
    world.audit().await;
}
