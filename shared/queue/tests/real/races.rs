//! Two executors on one broker: the lock first, and behind it the broker's compare-and-set.

use orrery_contracts::{Engine, Status};
use orrery_queue::ServeError;

use crate::world::{World, until};

#[tokio::test]
async fn a_second_executor_waits_for_the_lock_and_says_so() {
    let world = World::new().await;
    let first = world.start(Engine::Docker).await;
    let command = world.run("a").await;
    world.becomes(command, Status::Done).await;
    let second = world.start_as(Engine::Docker, "two", "here").await;
    let said = until("the second to say what it waits for", async || second.waits.for_what("lock")).await;
    assert!(said.contains("docker-") && said.ends_with(".lock"), "{said}");
    first.stop().await.unwrap();
    let command = world.run("b").await;
    world.becomes(command, Status::Done).await;
    assert_eq!(world.engine.effects().last().unwrap().by, "two");
    second.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn an_executor_that_was_overtaken_makes_no_further_effect_and_leaves() {
    let world = World::new().await;
    let frozen = world.start_as(Engine::Docker, "old", "there").await;
    let command = world.run("a--slow-b--c").await;
    world.enters("slow-b", 1).await;
    // Another folder of locks: a host that the first guard does not reach.
    let other = world.start_as(Engine::Docker, "new", "elsewhere").await;
    world.enters("slow-b", 2).await;
    world.engine.open("slow-b", 1);
    until("the older one to leave or the first effect", async || (world.engine.effects_of(command).len() >= 2).then_some(())).await;
    world.engine.open("slow-b", 1);
    let left = frozen.task.await.unwrap();
    assert!(matches!(left, Err(ServeError::Stale { seq }) if seq == command), "{left:?}");
    world.becomes(command, Status::Done).await;
    let by_old: Vec<String> = world.engine.effects().into_iter().filter(|effect| effect.by == "old").map(|effect| effect.what).collect();
    assert!(by_old == ["a"] || by_old == ["a", "slow-b"], "the step in hand at most: {by_old:?}");
    assert_eq!(world.engine.effects().iter().filter(|effect| effect.what == "c").count(), 1);
    other.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn of_two_executors_that_race_from_the_start_each_command_is_carried_out_by_one() {
    let world = World::new().await;
    let mut commands = Vec::new();
    for number in 0..20_u32 {
        commands.push(world.run(&format!("n{number}")).await);
    }
    let one = world.start_as(Engine::Docker, "one", "there").await;
    let two = world.start_as(Engine::Docker, "two", "elsewhere").await;
    until("one of them to leave", async || {
        (one.task.is_finished() || two.task.is_finished() || one_is_through(&world, &commands).await).then_some(())
    })
    .await;
    world.becomes(*commands.last().unwrap(), Status::Done).await;
    for seq in commands {
        assert_eq!(world.engine.effects_of(seq).len(), 1, "{}", world.story(seq).await);
    }
    world.audit().await;
}

async fn one_is_through(world: &World, commands: &[u64]) -> bool {
    world.status(*commands.last().unwrap()).await == Status::Done
}
