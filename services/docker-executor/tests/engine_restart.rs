//! The engine's daemon ends in the middle of an apply and comes back: the apply waits for it, finds its containers
//! stopped, and goes on. The daemon is the test's own, with folders, a socket and addresses of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "support/engine.rs"]
mod real;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use orrery_compose::Service;
use orrery_compose::model::{Condition, Healthcheck};
use orrery_docker_executor::converge::{Memory, Script, Site, lifecycle};
use orrery_docker_executor::engine::{Connection, DockerEngine, Engine, Scope, State};
use orrery_tests::daemon::Daemon;
use support::{after, apply, desired, identity, service};

fn slow(name: &str) -> Service {
    let check = Healthcheck {
        test: Some(vec!["CMD".into(), "true".into()]),
        interval: Some(Duration::from_secs(2)),
        timeout: Some(Duration::from_secs(5)),
        retries: Some(20),
        ..Healthcheck::default()
    };
    Service { healthcheck: Some(check), ..service(name) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_goes_on_when_the_engine_ends_in_the_middle_and_comes_back() {
    let others = bridge_of_the_host();
    let mut daemon = Daemon::start().await.unwrap();
    let engine = DockerEngine::new(Connection::new(daemon.host()));
    real::make_image(&engine).await;
    let identity = identity("restarted");
    let services = vec![slow("a"), after(slow("b"), "a", Condition::ServiceHealthy), after(slow("c"), "b", Condition::ServiceHealthy)];
    let stack = desired(&identity, services);
    let applying = tokio::spawn({
        let (engine, stack) = (engine.clone(), stack.clone());
        async move {
            let ledger = Memory::new(Script::Smooth);
            let result = apply(&engine, &ledger, &stack, 0).await;
            (result, ledger.steps())
        }
    });
    until_up(&engine, &stack, 2).await;
    assert!(!applying.is_finished());
    daemon.end().await.unwrap();
    daemon.spawn().await.unwrap();
    let (result, steps) = applying.await.unwrap();
    assert_eq!(result.as_deref(), Ok("containers: 3 created"), "{steps:#?}");
    until_up(&engine, &stack, 3).await;
    let again = apply(&engine, &Memory::new(Script::Smooth), &stack, 1).await;
    assert_eq!(again.as_deref(), Ok("nothing to do"));
    // Or its containers would outlive the daemon.
    lifecycle::delete(&Site::new(&engine, &Memory::new(Script::Smooth)).await, &identity, &BTreeSet::new(), false).await.unwrap();
    daemon.end().await.unwrap();
    assert_eq!(bridge_of_the_host(), others, "a daemon of one's own has touched the bridge of another");
}

/// The number of the bridge of the host's own daemon, which another one gets when it is made anew; none where there is none.
fn bridge_of_the_host() -> Option<String> {
    std::fs::read_to_string("/sys/class/net/docker0/ifindex").ok()
}

async fn until_up(engine: &DockerEngine, stack: &orrery_docker_executor::definition::Desired, wanted: usize) {
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let observed = engine.observe(&Scope::of(stack)).await.unwrap();
        let up = observed.containers.iter().filter(|seen| seen.state == State::Running).count();
        if up >= wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{up} of {wanted} run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
