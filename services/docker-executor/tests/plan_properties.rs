//! What must hold of every plan, tried on stacks that nobody thought of.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

mod support;

use std::collections::BTreeSet;

use orrery_compose::Service;
use orrery_compose::model::{Condition, Restart};
use orrery_docker_executor::converge::{Memory, Script};
use orrery_docker_executor::definition::{Desired, Identity};
use orrery_docker_executor::engine::memory::MemoryEngine;
use orrery_docker_executor::engine::{Engine, Scope};
use orrery_docker_executor::plan::{Circumstances, plan};
use proptest::prelude::*;
use support::{IMAGE, after, apply, desired, identity, next, service, with_env, with_port};

/// One service, as the dice give it.
#[derive(Clone, Debug)]
struct Dice {
    mark: u8,
    replicas: u32,
    port: bool,
    memory: Option<i64>,
    always: bool,
    needs: Vec<(usize, u8)>,
    ends: bool,
    restart_with: bool,
}

fn dice() -> impl Strategy<Value = Dice> {
    let needs = proptest::collection::vec((0..6_usize, 0..3_u8), 0..3);
    (0..3_u8, 1..4_u32, any::<bool>(), proptest::option::of(1..4_i64), any::<bool>(), needs, any::<bool>(), any::<bool>()).prop_map(
        |(mark, replicas, port, memory, always, needs, ends, restart_with)| Dice {
            mark,
            replicas,
            port,
            memory,
            always,
            needs,
            ends,
            restart_with,
        },
    )
}

fn stack() -> impl Strategy<Value = Vec<Option<Dice>>> {
    proptest::collection::vec(proptest::option::weighted(0.8, dice()), 1..6)
}

fn services(stack: &[Option<Dice>]) -> Vec<Service> {
    let rolled = stack.iter().enumerate().filter_map(|(n, dice)| Some((n, dice.as_ref()?)));
    rolled.map(|(n, dice)| one(stack, n, dice)).collect()
}

fn one(stack: &[Option<Dice>], n: usize, dice: &Dice) -> Service {
    let mut one = with_env(service(&format!("s{n}")), "MARK", &dice.mark.to_string());
    one.replicas = if dice.port { 1 } else { dice.replicas };
    one.mem_limit = dice.memory.map(|memory| memory << 23);
    if dice.port {
        one = with_port(one, 9000 + u16::from(dice.mark) + 10 * u16::try_from(n).unwrap(), 80);
    }
    if dice.ends && !dice.port {
        one = with_env(one, "BEHAVE", "ends:0");
    } else if dice.always {
        one.restart = Some(Restart::Always);
    }
    for (other, condition) in &dice.needs {
        let Some(Some(needed)) = stack.get(*other).filter(|_| *other < n) else { continue };
        let condition = if needed.ends && !needed.port {
            Condition::ServiceCompletedSuccessfully
        } else {
            [Condition::ServiceStarted, Condition::ServiceHealthy, Condition::ServiceStarted][usize::from(*condition)]
        };
        one = after(one, &format!("s{other}"), condition);
        one.depends_on[&format!("s{other}")].restart = dice.restart_with;
    }
    one
}

async fn planned(engine: &MemoryEngine, desired: &Desired, converged: u64) -> orrery_docker_executor::plan::Todo {
    let observed = engine.observe(&Scope::of(desired)).await.unwrap();
    let circumstances = Circumstances { converged, refresh: true, ..Circumstances::default() };
    let todo = plan(desired, &observed, &circumstances);
    assert_eq!(todo, plan(desired, &observed, &circumstances), "planning twice gives the same plan");
    todo
}

fn is_in_order(shown: &orrery_contracts::Plan, desired: &Desired) {
    for action in &shown.actions {
        assert!(action.after.iter().all(|n| *n < action.n), "{action:?} waits for something later");
        let Some(service) =
            action.service.as_ref().and_then(|name| desired.services.get(name)).filter(|_| action.action != "container.remove")
        else {
            continue;
        };
        for need in &service.needs {
            let before = shown.actions.iter().filter(|other| {
                other.service.as_ref() == Some(&need.service)
                    && other.action.starts_with("container.")
                    && other.action != "container.remove"
            });
            assert!(before.into_iter().all(|other| action.after.contains(&other.n)), "{action:?} does not wait for {}", need.service);
        }
    }
}

/// A stack of somebody else on the same engine.
async fn neighbour(engine: &MemoryEngine) -> BTreeSet<String> {
    let theirs = Identity { owner: "bob".into(), ..identity("blog") };
    apply(engine, &Memory::new(Script::Smooth), &desired(&theirs, vec![service("web")]), 0).await.unwrap();
    engine.up().into_keys().collect()
}

async fn story(first: Vec<Option<Dice>>, second: Vec<Option<Dice>>) {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let foreign = neighbour(&engine).await;
    let whose = identity("shop");
    let mut converged = 0;
    for (stack, identity) in [(first, whose.clone()), (second, next(&whose))] {
        let wanted = desired(&identity, services(&stack));
        let todo = planned(&engine, &wanted, converged).await;
        let shown = todo.shown(&wanted);
        is_in_order(&shown, &wanted);
        assert!(shown.actions.iter().all(|action| !foreign.contains(&action.subject)), "nothing that is not ours appears");
        apply(&engine, &Memory::new(Script::Smooth), &wanted, converged).await.unwrap_or_else(|error| panic!("{error}: {shown:#?}"));
        converged = identity.command;
        let left = planned(&engine, &wanted, converged).await;
        assert!(left.is_empty(), "applying a plan leaves an empty one: {left:#?}");
        let names: BTreeSet<String> = engine.all().into_iter().map(|(name, _, _)| name).collect();
        let expected: BTreeSet<String> = wanted.containers().map(|(_, spec)| spec.name.clone()).chain(foreign.iter().cloned()).collect();
        assert_eq!(names, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applying_a_plan_leaves_an_empty_plan_and_touches_nobody_else(first in stack(), second in stack()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(story(first, second));
    }
}
