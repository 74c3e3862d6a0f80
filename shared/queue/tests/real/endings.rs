//! How a command ends: failed and held, retried, cancelled, released, too late.

use orrery_contracts::{Change, Engine, Failure, Status, StepEntry, StepOutcome};
use orrery_nats::User;
use serde_json::json;

use crate::world::{World, until};

#[tokio::test]
async fn a_failed_command_holds_the_queue_until_it_is_retried() {
    let world = World::new().await;
    world.engine.fail("second", 1);
    let docker = world.start(Engine::Docker).await;
    let failing = world.run("first--second").await;
    let behind = world.run("behind").await;
    world.becomes(failing, Status::Failed).await;
    let machine = world.command(&json!({ "type": "machine.start", "target": "machine" })).await;
    let libvirt = world.start(Engine::Libvirt).await;
    until("the libvirt executor to be up to date", async || libvirt.waits.for_what("queue").is_none().then_some(())).await;
    assert_eq!(world.engine.effects_of(behind), [""; 0]);
    assert_eq!(world.engine.effects_of(machine), [""; 0]);

    world.transition(User::Api, failing, 2, 0, Change::Pending {}).await.unwrap();
    world.becomes(machine, Status::Done).await;
    assert_eq!(world.story(failing).await, "RUNNING 1.1, FAILED toy, PENDING 2, RUNNING 2.1, DONE 2 made");
    assert_eq!(world.engine.effects_of(failing), ["first", "second"], "the first step is not made twice");
    docker.stop().await.unwrap();
    libvirt.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_failed_step_keeps_its_log_under_its_digest() {
    let world = World::new().await;
    world.engine.fail("only", 1);
    let docker = world.start(Engine::Docker).await;
    let failing = world.run("only").await;
    world.becomes(failing, Status::Failed).await;
    let log = world.steps(failing).await.into_iter().find_map(|step| {
        let StepEntry::Ended { outcome: StepOutcome::Failed, log, .. } = step.entry else { return None };
        log
    });
    let definitions = orrery_queue::Definitions::new(world.connection(User::Api).await.streams());
    let kept = definitions.get_bytes(&log.unwrap()).await.unwrap().unwrap();
    assert_eq!(kept, b"the toy's log");
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_cancelled_failure_lets_the_queue_go_on() {
    let world = World::new().await;
    world.engine.fail("only", 1);
    let docker = world.start(Engine::Docker).await;
    let failing = world.run("only").await;
    let behind = world.run("behind").await;
    world.becomes(failing, Status::Failed).await;
    world.transition(User::Api, failing, 1, 0, Change::Cancelled { reason: "by anna".into() }).await.unwrap();
    world.becomes(behind, Status::Done).await;
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_command_that_wants_it_is_released_with_its_error_kept() {
    let world = World::new().await;
    world.engine.fail("only", 1);
    let docker = world.start(Engine::Docker).await;
    let failing = world.command(&json!({ "type": "stack.start", "target": "only", "on_failure": "release" })).await;
    let behind = world.run("behind").await;
    world.becomes(behind, Status::Done).await;
    assert_eq!(world.story(failing).await, "RUNNING 1.1, FAILED toy, CANCELLED released after it failed: only was told to fail");
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_failure_to_be_released_is_released_by_the_executor_that_finds_it() {
    let world = World::new().await;
    let failed = world.command(&json!({ "type": "stack.start", "target": "only", "on_failure": "release" })).await;
    let behind = world.run("behind").await;
    let failure = Failure { code: "engine".into(), message: "it broke".into(), step: None };
    let user = User::DockerExecutor;
    world.transition(user, failed, 1, 1, Change::Running { deadline_seconds: None }).await.unwrap();
    world.transition(user, failed, 1, 1, Change::Failed { failure }).await.unwrap();
    let docker = world.start(Engine::Docker).await;
    world.becomes(behind, Status::Done).await;
    assert_eq!(world.story(failed).await, "RUNNING 1.1, FAILED engine, CANCELLED released after it failed: it broke");
    assert_eq!(world.engine.effects_of(failed), [""; 0]);
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_running_command_is_cancelled_between_two_steps() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let command = world.run("slow-a--b-undo").await;
    world.enters("slow-a", 1).await;
    world.ask_to_cancel(command, 1).await;
    world.engine.open("slow-a", 1);
    world.becomes(command, Status::Cancelled).await;
    assert_eq!(world.engine.effects_of(command), ["slow-a", "un-b-undo"], "the step in hand ended, and the way back was open");
    assert_eq!(world.story(command).await, "RUNNING 1.1, CANCELLED cancelled by anna");
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_done_that_comes_before_the_cancel_wins_and_another_attempts_cancel_has_no_effect() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let command = world.run("slow-last").await;
    world.enters("slow-last", 1).await;
    world.ask_to_cancel(command, 1).await;
    world.engine.open("slow-last", 1);
    world.becomes(command, Status::Done).await;
    let other = world.run("slow-x--y").await;
    world.enters("slow-x", 1).await;
    world.ask_to_cancel(other, 7).await;
    world.engine.open("slow-x", 1);
    world.becomes(other, Status::Done).await;
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_run_that_passes_its_deadline_fails_and_may_bring_back_what_was() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let command = world.command(&json!({ "type": "stack.start", "target": "slow-undo", "deadline_seconds": 1 })).await;
    world.becomes(command, Status::Failed).await;
    assert_eq!(world.story(command).await, "RUNNING 1.1, FAILED deadline");
    assert_eq!(world.engine.effects_of(command), ["un-slow-undo"]);
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn transient_trouble_is_waited_out_and_said() {
    let world = World::new().await;
    world.engine.away(3);
    let docker = world.start(Engine::Docker).await;
    let command = world.run("only").await;
    let said = until("readiness to name the engine", async || docker.waits.for_what("engine")).await;
    assert_eq!(said, format!("command {command} waits: the toy's engine is away"));
    world.becomes(command, Status::Done).await;
    assert_eq!(docker.waits.for_what("engine"), None);
    docker.stop().await.unwrap();
    world.audit().await;
}
