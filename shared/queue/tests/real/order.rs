//! One stream, one order, exactly one effect for an id.

use orrery_contracts::{Engine, Status};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, until};

#[tokio::test]
async fn commands_of_both_engines_are_carried_out_in_one_order() {
    let world = World::new().await;
    let mut commands = Vec::new();
    for number in 0..40_u32 {
        let kind = if number % 3 == 0 { "machine.start" } else { "stack.start" };
        commands.push(world.command(&json!({ "type": kind, "target": format!("a{number}--b{number}") })).await);
        if number % 10 == 5 {
            commands.push(world.publish(&Uuid::now_v7().to_string(), "no command at all").await.unwrap());
        }
    }
    let docker = world.start(Engine::Docker).await;
    let libvirt = world.start(Engine::Libvirt).await;
    world.becomes(*commands.last().unwrap(), Status::Done).await;
    let order: Vec<u64> = world.engine.effects().iter().map(|effect| effect.seq).collect();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(order.len(), 80);
    for seq in commands {
        assert!(world.status(seq).await.has_ended(), "{}", world.story(seq).await);
    }
    docker.stop().await.unwrap();
    libvirt.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn an_id_has_one_effect_however_often_and_late_it_is_published() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let id = Uuid::now_v7().to_string();
    let body = json!({ "type": "stack.start", "target": "once" }).to_string();
    let seq = world.publish(&id, body.clone()).await.unwrap();
    for _ in 0..5 {
        world.publish(&id, body.clone()).await.unwrap_err();
    }
    world.becomes(seq, Status::Done).await;
    for _ in 0..5 {
        world.publish(&id, body.clone()).await.unwrap_err();
    }
    let last = world.run("after").await;
    world.becomes(last, Status::Done).await;
    let effects: Vec<String> = world.engine.effects().into_iter().map(|effect| effect.what).collect();
    assert_eq!(effects, ["once", "after"]);
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_start_reads_what_waits_and_not_what_ever_was() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let mut last = 0;
    for number in 0..120_u32 {
        last = world.run(&format!("n{number}")).await;
    }
    world.becomes(last, Status::Done).await;
    let definitions = orrery_queue::Definitions::new(world.connection(orrery_nats::User::Projector).await.streams());
    let mark = until("the mark to move when idle", async || {
        let kept = definitions.queue_mark(Engine::Docker).await.unwrap()?;
        (kept.value.commands == last).then_some(kept.value)
    })
    .await;
    docker.stop().await.unwrap();
    assert!(mark.events >= 120 * 5, "{mark:?}");
    let again = world.start(Engine::Docker).await;
    let next = world.run("next").await;
    world.becomes(next, Status::Done).await;
    assert_eq!(world.engine.effects_of(next), ["next"]);
    again.stop().await.unwrap();
    world.audit().await;
}

/// Prints how long a command that does nothing takes; a look, not a measurement to rely on.
#[tokio::test]
async fn a_command_on_an_idle_queue_is_done_in_a_moment() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let warm = world.run("warm").await;
    world.becomes(warm, Status::Done).await;
    let mut times = Vec::new();
    for _ in 0..50 {
        let began = std::time::Instant::now();
        let seq = world.run("warm").await;
        world.is_done_at_once(seq).await;
        times.push(began.elapsed());
    }
    times.sort();
    eprintln!("from publish to DONE: median {:?}, worst {:?}", times[25], times[49]);
    assert!(times[25] < std::time::Duration::from_millis(500), "{times:?}");
    docker.stop().await.unwrap();
    world.audit().await;
}
