//! Convergence on the engine in memory: whole stories, and every crash, cancel and failure at every step.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use orrery_compose::model::{Condition, PullPolicy, Restart};
use orrery_contracts::PublishedPort;
use orrery_docker_executor::converge::{Memory, Script, Site, lifecycle};
use orrery_docker_executor::definition::{Desired, Identity};
use orrery_docker_executor::engine::memory::MemoryEngine;
use orrery_docker_executor::engine::{Engine, Scope, State};
use orrery_docker_executor::plan::{self, Circumstances};
use orrery_queue::RunError;
use orrery_queue::ports::Held;
use support::{IMAGE, after, apply, desired, identity, next, service, with_env, with_port};

fn three(identity: &Identity, mark: &str) -> Desired {
    desired(
        identity,
        vec![
            with_env(
                with_port(
                    after(after(service("web"), "db", Condition::ServiceHealthy), "job", Condition::ServiceCompletedSuccessfully),
                    8080,
                    80,
                ),
                "MARK",
                mark,
            ),
            with_env(with_env(service("db"), "BEHAVE", "healthy"), "MARK", mark),
            with_env(after(service("job"), "db", Condition::ServiceHealthy), "BEHAVE", "ends:0"),
        ],
    )
}

async fn is_settled(engine: &MemoryEngine, desired: &Desired, converged: u64) -> bool {
    let observed = engine.observe(&Scope::of(desired)).await.unwrap();
    plan::plan(desired, &observed, &Circumstances { converged, ..Circumstances::default() }).is_empty()
}

#[tokio::test(start_paused = true)]
async fn a_first_apply_makes_everything_and_a_second_one_nothing() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = three(&identity("shop"), "1");
    let summary = apply(&engine, &Memory::new(Script::Smooth), &first, 0).await.unwrap();
    assert_eq!(summary, "containers: 3 created");
    assert_eq!(
        engine.all(),
        [("shop-db-1".into(), State::Running, 1), ("shop-job-1".into(), State::Exited, 1), ("shop-web-1".into(), State::Running, 1)]
    );
    let again = Memory::new(Script::Smooth);
    assert_eq!(apply(&engine, &again, &first, 1).await.unwrap(), "nothing to do");
    assert!(again.steps().is_empty() && again.plans().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_replaced_and_keeps_its_name() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    apply(&engine, &Memory::new(Script::Smooth), &three(&first, "1"), 0).await.unwrap();
    let before = engine.up();
    let ledger = Memory::new(Script::Smooth);
    let mut changed = three(&next(&first), "1");
    changed = desired(
        &changed.identity,
        vec![
            with_env(with_port(service("web"), 8080, 80), "MARK", "2"),
            with_env(with_env(service("db"), "BEHAVE", "healthy"), "MARK", "1"),
        ],
    );
    assert_eq!(apply(&engine, &ledger, &changed, 1).await.unwrap(), "containers: 1 replaced, 1 removed");
    let now = engine.up();
    assert_eq!(now["shop-db-1"], before["shop-db-1"]);
    assert_ne!(now["shop-web-1"], before["shop-web-1"]);
    assert_eq!(now.len(), 2);
    let shown = ledger.plans().pop().unwrap();
    let web = shown.actions.iter().find(|action| action.subject == "shop-web-1").unwrap();
    assert_eq!((web.action.as_str(), web.reason.as_str()), ("container.replace", "environment.MARK changed from 1 to 2"));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_does_not_become_healthy_leaves_what_ran() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    apply(&engine, &Memory::new(Script::Smooth), &three(&first, "1"), 0).await.unwrap();
    let before = engine.up();
    let ledger = Memory::new(Script::Smooth);
    let sick = desired(
        &next(&first),
        vec![with_port(after(service("web"), "db", Condition::ServiceHealthy), 8080, 80), with_env(service("db"), "BEHAVE", "unhealthy")],
    );
    let Err(RunError::Failed(failure)) = apply(&engine, &ledger, &sick, 1).await else { panic!("it should fail") };
    let why = "shop-db-1 is unhealthy: its probe ends with exit code 1 and says \"it does not answer\". What ran before runs again.";
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("unhealthy", why));
    assert_eq!(engine.up(), before);
    let log = String::from_utf8(ledger.logs().pop().unwrap()).unwrap();
    let probe = "--- a probe of its health ended with exit code 1\nit does not answer\n";
    assert_eq!(log, format!("the last words of shop-db-1.orrery-new\n\n{probe}"));
    assert!(is_settled(&engine, &three(&first, "1"), 1).await);
}

#[tokio::test(start_paused = true)]
async fn what_failed_after_its_gate_leaves_its_log_with_the_step_that_removes_it() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    let four = |identity: &Identity, mark: &str| {
        let names = ["fell", "sick", "starved", "well"];
        desired(identity, names.map(|name| with_env(with_env(service(name), "BEHAVE", "healthy"), "MARK", mark)).into())
    };
    apply(&engine, &Memory::new(Script::Smooth), &four(&first, "1"), 0).await.unwrap();
    let fail = || {
        engine.end("shop-fell-1", 3);
        engine.sicken("shop-sick-1");
        engine.starve("shop-starved-1");
    };
    fail();
    let replacing = Memory::new(Script::Smooth);
    assert_eq!(apply(&engine, &replacing, &four(&next(&first), "2"), 1).await.unwrap(), "containers: 4 replaced");
    let kept = |ledger: &Memory| {
        let mut logs: Vec<String> = ledger.logs().into_iter().map(|log| String::from_utf8(log).unwrap()).collect();
        logs.sort();
        logs
    };
    let probe = "\n--- a probe of its health ended with exit code 1\nit does not answer\n";
    let words = |end: &str| {
        let last = |name: &str| format!("the last words of shop-{name}-1{end}\n");
        [last("fell"), format!("{}{probe}", last("sick")), last("starved")]
    };
    assert_eq!(kept(&replacing), words(".orrery-old"));

    fail();
    let deleting = Memory::new(Script::Smooth);
    let site = Site::new(&engine, &deleting).await;
    lifecycle::delete(&site, &next(&next(&first)), &BTreeSet::new(), false).await.unwrap();
    assert_eq!(kept(&deleting), words(""));
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_leaves_no_log_when_it_goes() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    apply(&engine, &Memory::new(Script::Smooth), &three(&first, "1"), 0).await.unwrap();
    engine.end("shop-db-1", 3);
    let ledger = Memory::new(Script::Smooth);
    let second = next(&first);
    let (stopped, _) = lifecycle::stop(&Site::new(&engine, &ledger).await, &second).await.unwrap();
    assert_eq!(stopped.len(), 1);
    let site = Site::new(&engine, &ledger).await;
    lifecycle::delete(&site, &next(&second), &stopped, false).await.unwrap();
    let logs: Vec<Vec<u8>> = ledger.logs();
    assert_eq!(logs, [b"the last words of shop-db-1\n".to_vec()], "what had fallen before the stop is kept");
}

#[tokio::test(start_paused = true)]
async fn a_port_may_move_from_one_service_to_another() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    let pair = |a: u16, b: u16| vec![with_port(service("a"), a, 80), after(with_port(service("b"), b, 80), "a", Condition::ServiceStarted)];
    apply(&engine, &Memory::new(Script::Smooth), &desired(&first, pair(1000, 2000)), 0).await.unwrap();
    let second = next(&first);
    apply(&engine, &Memory::new(Script::Smooth), &desired(&second, pair(2000, 1000)), 1).await.unwrap();
    assert_eq!(engine.up().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn limits_and_restart_policy_change_in_place() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    let with = |memory: i64, restart: Option<Restart>| vec![orrery_compose::Service { mem_limit: Some(memory), restart, ..service("web") }];
    apply(&engine, &Memory::new(Script::Smooth), &desired(&first, with(1 << 20, None)), 0).await.unwrap();
    let before = engine.up();
    let changed = desired(&next(&first), with(1 << 21, Some(Restart::Always)));
    assert_eq!(apply(&engine, &Memory::new(Script::Smooth), &changed, 1).await.unwrap(), "containers: 1 updated");
    assert_eq!(engine.up(), before);
    assert!(is_settled(&engine, &changed, 2).await);
    let failing = desired(&next(&next(&first)), {
        let mut services = with(1 << 22, None);
        services.push(with_env(service("bad"), "BEHAVE", "ends:1"));
        services
    });
    apply(&engine, &Memory::new(Script::Smooth), &failing, 2).await.unwrap_err();
    assert!(is_settled(&engine, &changed, 2).await, "the limits are back too");
}

#[tokio::test(start_paused = true)]
async fn a_failure_or_cancel_at_any_step_before_the_last_gate_brings_everything_back() {
    for script in [Script::Fail, Script::Cancel] {
        let mut reached_the_end = false;
        for at in 1..80 {
            let engine = MemoryEngine::with_images(&[IMAGE]);
            let first = identity("shop");
            apply(&engine, &Memory::new(Script::Smooth), &three(&first, "1"), 0).await.unwrap();
            let before = engine.up();
            let second = three(&next(&first), "2");
            match apply(&engine, &Memory::new(script(at)), &second, 1).await {
                Err(RunError::Failed(_) | RunError::Cancelled) => {
                    assert_eq!(engine.up(), before, "{script:?} at step {at}", script = script(at));
                    assert!(is_settled(&engine, &three(&first, "1"), 1).await, "at step {at}");
                }
                Err(other) => panic!("step {at}: {other:?}"),
                // A cancel that comes when the new version runs already changes nothing.
                Ok(_) => {
                    assert!(is_settled(&engine, &second, 2).await, "at step {at}");
                    assert_eq!(engine.up().len(), 2);
                    reached_the_end = true;
                }
            }
        }
        assert!(reached_the_end, "the script goes beyond the last step");
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_before_or_after_any_effect_ends_in_the_same_state() {
    for script in [Script::DieBefore, Script::DieAfter] {
        for at in 1..80 {
            let engine = MemoryEngine::with_images(&[IMAGE]);
            let first = identity("shop");
            apply(&engine, &Memory::new(Script::Smooth), &three(&first, "1"), 0).await.unwrap();
            let second = three(&next(&first), "2");
            let died = Memory::new(script(at));
            let resumed = match apply(&engine, &died, &second, 1).await {
                Err(RunError::ShuttingDown) => apply(&engine, &died.next_run(Script::Smooth), &second, 1).await,
                other => other,
            };
            resumed.unwrap_or_else(|error| panic!("{:?}: {error}", script(at)));
            let all = engine.all();
            assert_eq!(
                all.iter().map(|(name, _, _)| name.as_str()).collect::<Vec<_>>(),
                ["shop-db-1", "shop-job-1", "shop-web-1"],
                "{:?}",
                script(at)
            );
            assert!(is_settled(&engine, &second, 2).await, "{:?}", script(at));
            assert!(all.iter().all(|(_, _, starts)| *starts == 1), "{:?}: started twice: {all:?}", script(at));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_a_death_still_brings_back_what_ran_before_the_first_run() {
    for at in 2..60 {
        let engine = MemoryEngine::with_images(&[IMAGE]);
        let first = identity("shop");
        apply(&engine, &Memory::new(Script::Smooth), &three(&first, "1"), 0).await.unwrap();
        let before = engine.up();
        let second = three(&next(&first), "2");
        let died = Memory::new(Script::DieAfter(at));
        if let Err(RunError::ShuttingDown) = apply(&engine, &died, &second, 1).await {
            let next_step = u32::try_from(died.steps().len()).unwrap() + 1;
            let committed = died.steps().iter().any(|step| step.action == "stack.settled" && step.state != orrery_queue::StepState::Open);
            match apply(&engine, &died.next_run(Script::Fail(next_step)), &second, 1).await {
                Err(RunError::Failed(_)) => assert_eq!(engine.up(), before, "died after {at}"),
                Err(other) => panic!("died after {at}: {other:?}"),
                Ok(_) => assert!(committed, "died after {at}: only what is not needed any more may fail to go"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_command_left_that_never_came_back_is_put_right_by_the_next() {
    for at in 1..60 {
        let engine = MemoryEngine::with_images(&[IMAGE]);
        let first = identity("shop");
        apply(&engine, &Memory::new(Script::Smooth), &three(&first, "1"), 0).await.unwrap();
        let second = three(&next(&first), "2");
        let _ = apply(&engine, &Memory::new(Script::DieAfter(at)), &second, 1).await;
        let third = three(&next(&next(&first)), "3");
        apply(&engine, &Memory::new(Script::Smooth), &third, 1).await.unwrap_or_else(|error| panic!("died after {at}: {error}"));
        let names: Vec<String> = engine.all().into_iter().map(|(name, _, _)| name).collect();
        assert_eq!(names, ["shop-db-1", "shop-job-1", "shop-web-1"], "died after {at}");
        assert!(is_settled(&engine, &third, 3).await, "died after {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_of_a_port_or_a_name_is_told_before_anything_is_done() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let theirs = Identity { owner: "bob".into(), ..identity("blog") };
    apply(&engine, &Memory::new(Script::Smooth), &desired(&theirs, vec![with_port(service("web"), 8080, 80)]), 0).await.unwrap();
    let acts = engine.acts().len();
    let ours = desired(&identity("shop"), vec![with_port(service("web"), 8080, 80)]);
    let Err(RunError::Failed(failure)) = apply(&engine, &Memory::new(Script::Smooth), &ours, 0).await else { panic!("it should fail") };
    assert_eq!(failure.code, "port_taken");
    assert_eq!(failure.message, "port 8080/tcp of service web is held by container blog-web-1 of stack blog of bob");
    assert_eq!(engine.acts().len(), acts);
}

#[tokio::test]
async fn a_port_that_a_machine_holds_is_given_to_no_service() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let ours = desired(&identity("shop"), vec![with_port(service("web"), 8080, 80)]);
    let observed = engine.observe(&Scope::of(&ours)).await.unwrap();
    let of_machine = |host_port| {
        let port = PublishedPort { host_ip: "127.0.0.1".into(), host_port, container_port: 80, protocol: "tcp".into() };
        Circumstances { machines: vec![Held { port, holder: "machine db of bob".into() }], ..Circumstances::default() }
    };
    let refusals = plan::plan(&ours, &observed, &of_machine(8080)).refusals;
    let told: Vec<_> = refusals.iter().map(|refusal| (refusal.code, refusal.message.as_str())).collect();
    assert_eq!(told, [("port_taken", "port 8080/tcp of service web is held by machine db of bob")]);
    assert!(plan::plan(&ours, &observed, &of_machine(8081)).refusals.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_container_that_somebody_removes_meanwhile_is_planned_for_anew() {
    for (name, at) in
        (1..24).flat_map(|at| ["shop-web-1", "shop-db-1", "shop-web-1.orrery-new", "shop-web-1.orrery-old"].map(|name| (name, at)))
    {
        let engine = MemoryEngine::with_images(&[IMAGE]);
        let first = identity("shop");
        apply(&engine, &Memory::new(Script::Smooth), &three(&first, "1"), 0).await.unwrap();
        engine.vanish(engine.acts().len() + at, name);
        let second = three(&next(&first), "2");
        apply(&engine, &Memory::new(Script::Smooth), &second, 1).await.unwrap_or_else(|error| panic!("{name} gone after {at}: {error}"));
        // What goes at the very end is found by the next apply.
        apply(&engine, &Memory::new(Script::Smooth), &three(&next(&next(&first)), "2"), 2).await.unwrap();
        assert_eq!(engine.up().len(), 2, "{name} gone after {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_is_asked_for_again_when_its_last_pull_is_long_enough_ago() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let hour = Duration::from_secs(3600);
    let stack = desired(&identity("shop"), vec![orrery_compose::Service { pull_policy: Some(PullPolicy::Every(hour)), ..service("web") }]);
    let observed = engine.observe(&Scope::of(&stack)).await.unwrap();
    for (ago, pulls) in [(None, 1), (Some(hour / 2), 0), (Some(hour), 1)] {
        let pulled = ago.map(|ago| (IMAGE.to_owned(), ago)).into_iter().collect();
        let circumstances = Circumstances { refresh: true, pulled, ..Circumstances::default() };
        assert_eq!(plan::plan(&stack, &observed, &circumstances).images.len(), pulls, "{ago:?}");
    }
    let judged = plan::plan(&stack, &observed, &Circumstances::default());
    assert!(judged.images.is_empty(), "only an apply asks again");
}

#[tokio::test(start_paused = true)]
async fn an_image_for_another_platform_is_pulled_once() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let identity = identity("shop");
    let on = |platform: &str, identity: &Identity| {
        desired(identity, vec![orrery_compose::Service { platform: Some(platform.to_owned()), ..service("web") }])
    };
    apply(&engine, &Memory::new(Script::Smooth), &on("linux/amd64", &identity), 0).await.unwrap();
    let second = on("linux/arm64", &next(&identity));
    let observed = engine.observe(&Scope::of(&second)).await.unwrap();
    let circumstances = Circumstances { converged: 1, refresh: true, ..Circumstances::default() };
    let todo = plan::plan(&second, &observed, &circumstances);
    assert_eq!(todo.images.iter().map(|work| work.reason.as_str()).collect::<Vec<_>>(), ["this host has it for linux/amd64"]);
    assert_eq!(todo.slots[0].reason, "platform changed from linux/amd64 to linux/arm64");
    apply(&engine, &Memory::new(Script::Smooth), &second, 1).await.unwrap();
    let again = apply(&engine, &Memory::new(Script::Smooth), &second, 2).await.unwrap();
    assert_eq!(again, "nothing to do", "an engine may have an image for both and tell of one");
}

#[tokio::test(start_paused = true)]
async fn replicas_are_replaced_one_after_the_other_with_the_pause_that_is_asked_for() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    let three = |identity: &Identity, mark: &str| {
        let mut web = with_env(service("web"), "MARK", mark);
        web.replicas = 3;
        web.deploy.update.delay = Some(Duration::from_secs(60));
        web.deploy.update.monitor = Some(Duration::from_secs(5));
        desired(identity, vec![web])
    };
    apply(&engine, &Memory::new(Script::Smooth), &three(&first, "1"), 0).await.unwrap();
    let (acts, began) = (engine.acts().len(), tokio::time::Instant::now());
    apply(&engine, &Memory::new(Script::Smooth), &three(&next(&first), "2"), 1).await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2 * 60 + 3 * 5) && took < Duration::from_secs(2 * 60 + 3 * 5 + 2), "{took:?}");
    let changes: Vec<String> = engine.acts()[acts..]
        .iter()
        .filter(|act| act.contains(".stop") || act.contains(".start"))
        .map(|act| act[..14].to_owned())
        .collect();
    assert_eq!(changes, ["container.stop", "container.star"].repeat(3), "each has passed before the next one stops");
}
