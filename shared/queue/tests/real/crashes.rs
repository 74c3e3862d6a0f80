//! Whatever dies in the middle, each effect is made once and each command ends.

use orrery_contracts::{Engine, Status, StepEntry};
use orrery_nats::User;

use crate::world::{World, until};

#[tokio::test]
async fn a_command_whose_executor_was_killed_is_taken_up_in_the_next_run() {
    let world = World::new().await;
    let first = world.start(Engine::Docker).await;
    let command = world.run("a--slow-b--c").await;
    world.enters("slow-b", 1).await;
    first.kill().await;
    assert_eq!(world.status(command).await, Status::Running);
    let second = world.start(Engine::Docker).await;
    world.enters("slow-b", 2).await;
    world.engine.open("slow-b", 1);
    world.becomes(command, Status::Done).await;
    assert_eq!(world.engine.effects_of(command), ["a", "slow-b", "c"]);
    assert_eq!(world.story(command).await, "RUNNING 1.1, RUNNING 1.2, DONE 3 made");
    second.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_kill_at_any_step_leaves_every_effect_made_once() {
    let world = World::new().await;
    let script = ["slow-1", "slow-2", "slow-3", "slow-4"];
    for killed_in in 0..script.len() {
        let executor = world.start(Engine::Docker).await;
        let command = world.run(&script.join("--")).await;
        let before = world.engine.entered().len();
        for step in script.iter().take(killed_in) {
            world.engine.open(step, 1);
        }
        until("the step to begin", async || (world.engine.entered().len() > before + killed_in).then_some(())).await;
        executor.kill().await;
        let executor = world.start(Engine::Docker).await;
        for step in script.iter().skip(killed_in) {
            world.engine.open(step, 1);
        }
        world.becomes(command, Status::Done).await;
        assert_eq!(world.engine.effects_of(command), script, "killed in step {killed_in}");
        executor.stop().await.unwrap();
    }
    world.audit().await;
}

#[tokio::test]
async fn a_step_that_kills_its_executor_three_times_ends_the_attempt() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let command = world.run("a--panic").await;
    world.becomes(command, Status::Failed).await;
    assert_eq!(world.story(command).await, "RUNNING 1.1, RUNNING 1.2, RUNNING 1.3, RUNNING 1.4, FAILED executor_died");
    assert_eq!(world.engine.effects_of(command), ["a"]);
    assert_eq!(world.engine.entered().iter().filter(|effect| effect.what == "panic").count(), 3);
    let open = world.steps(command).await.iter().fold(0_i32, |open, step| match step.entry {
        StepEntry::Started { .. } => open + 1,
        StepEntry::Ended { .. } => open - 1,
        StepEntry::Opened { .. } | StepEntry::Planned { .. } | StepEntry::Closed { .. } => open,
    });
    assert_eq!(open, 0, "no step stays open for ever");
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_shutdown_finishes_the_step_in_hand_and_leaves_the_rest_as_often_as_it_comes() {
    let world = World::new().await;
    let script = ["slow-1", "slow-2", "slow-3", "slow-4", "slow-5"];
    let command = world.run(&script.join("--")).await;
    for (number, step) in script.iter().enumerate() {
        let executor = world.start(Engine::Docker).await;
        world.enters(step, 1).await;
        let stopping = tokio::spawn(executor.stop());
        world.engine.open(step, 1);
        stopping.await.unwrap().unwrap();
        assert_eq!(world.engine.effects_of(command).len(), number + 1, "the step in hand was finished, and no other begun");
    }
    let executor = world.start(Engine::Docker).await;
    world.becomes(command, Status::Done).await;
    assert_eq!(world.engine.effects_of(command), script);
    executor.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_killed_broker_is_waited_for_and_nothing_is_lost_or_doubled() {
    let mut world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let libvirt = world.start(Engine::Libvirt).await;
    let command = world.run("a--slow-b--c--d").await;
    let behind = world.command(&serde_json::json!({ "type": "machine.start", "target": "m" })).await;
    for round in 1..=2 {
        world.enters("slow-b", 1).await;
        world.broker.kill();
        until("the executor to notice", async || docker.waits.for_what("broker")).await;
        if round == 2 {
            world.engine.open("slow-b", 1);
            until("the effect to be made", async || (world.engine.effects_of(command).len() == 2).then_some(())).await;
        }
        world.broker.start().await.unwrap();
        until("the executor to be connected", async || docker.waits.for_what("broker").is_none().then_some(())).await;
    }
    world.becomes(behind, Status::Done).await;
    assert_eq!(world.engine.effects_of(command), ["a", "slow-b", "c", "d"]);
    assert_eq!(world.story(command).await, "RUNNING 1.1, DONE 4 made");
    let after = world.run("after").await;
    world.becomes(after, Status::Done).await;
    docker.stop().await.unwrap();
    libvirt.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_broker_that_lost_its_store_is_not_trusted_until_its_numbers_are_new() {
    let mut world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    for number in 0..3_u32 {
        let command = world.run(&format!("n{number}")).await;
        world.becomes(command, Status::Done).await;
    }
    docker.stop().await.unwrap();
    let made = world.engine.effects().len();

    world.broker.stop().unwrap();
    std::fs::remove_dir_all(world.broker.layout().store()).unwrap();
    world.broker.start().await.unwrap();
    world.provision(None).await;
    world.publishers_again().await;
    for number in 0..4_u32 {
        world.run(&format!("again{number}")).await;
    }
    let docker = world.start(Engine::Docker).await;
    let alarm = until("the alarm", async || docker.waits.for_what("stream_regressed")).await;
    assert!(alarm.contains("COMMANDS has another message at 3") || alarm.contains("EVENTS ends at"), "{alarm}");
    assert!(!docker.task.is_finished(), "an alarm is no crash");
    assert_eq!(world.engine.effects().len(), made, "nothing runs");
    docker.stop().await.unwrap();

    world.broker.stop().unwrap();
    std::fs::remove_dir_all(world.broker.layout().store()).unwrap();
    world.broker.start().await.unwrap();
    world.provision(Some(1_000)).await;
    world.publishers_again().await;
    let docker = world.start(Engine::Docker).await;
    let command = world.run("fresh").await;
    assert_eq!(command, 1_000);
    world.becomes(command, Status::Done).await;
    assert_eq!(docker.waits.for_what("stream_regressed"), None);
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_transition_about_another_message_stops_execution() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let first = world.run("slow-a").await;
    world.enters("slow-a", 1).await;
    let forged = world.run("b").await;
    let api = world.connection(User::Api).await;
    let message = serde_json::json!({
        "event_id": uuid::Uuid::now_v7(), "seq": forged, "command_sha256": orrery_contracts::Digest::of(b"another"), "attempt": 1, "run": 0,
        "at": "2026-01-01T00:00:00Z", "by": "anna", "to": "CANCELLED", "reason": "of another command",
    });
    world.publish_event(&api, &orrery_contracts::subjects::transition(forged), message.to_string().into_bytes()).await.unwrap();
    world.engine.open("slow-a", 1);
    let alarm = until("the alarm", async || docker.waits.for_what("stream_regressed")).await;
    assert!(alarm.contains(&format!("the transitions of command {forged} are about a message")), "{alarm}");
    assert_eq!(world.engine.effects_of(forged), [""; 0]);
    assert!(first < forged);
    docker.stop().await.unwrap();
}
