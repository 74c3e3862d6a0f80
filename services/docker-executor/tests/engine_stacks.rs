//! Whole stacks on the real engine, without the queue: what Compose gets wrong, and this does not.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "support/engine.rs"]
mod real;
mod support;

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions};
use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::InspectContainerOptions;
use orrery_compose::Service;
use orrery_compose::model::{Condition, Healthcheck, UpdateOrder};
use orrery_docker_executor::converge::{Memory, Script};
use orrery_docker_executor::engine::{DockerEngine, Engine, Outcome, Scope, State, Until};
use orrery_docker_executor::files::DataDir;
use orrery_docker_executor::observe::observation;
use orrery_docker_executor::plan::{self, Circumstances};
use orrery_queue::RunError;
use serde_json::Value;
use support::{after, apply, desired, identity, next, service, with_env, with_port};

fn probed(mut one: Service, test: &str) -> Service {
    one.healthcheck = Some(Healthcheck {
        test: Some(vec!["CMD-SHELL".into(), test.into()]),
        interval: Some(Duration::from_millis(100)),
        timeout: Some(Duration::from_secs(5)),
        retries: Some(2),
        ..Healthcheck::default()
    });
    one
}

fn httpd(name: &str, page: &str) -> Service {
    let mut one = with_env(service(name), "PAGE", page);
    one.command = Some(vec!["sh".into(), "-c".into(), "mkdir -p /www; echo $PAGE > /www/index.html; exec httpd -f -p 80 -h /www".into()]);
    probed(one, "wget -q -O /dev/null http://127.0.0.1/")
}

fn job(name: &str) -> Service {
    Service { command: Some(vec!["sh".into(), "-c".into(), "echo migrated".into()]), ..service(name) }
}

fn free_port() -> u16 {
    orrery_nats::port::any().unwrap()
}

async fn up(engine: &DockerEngine, desired: &orrery_docker_executor::definition::Desired) -> Vec<(String, String)> {
    let observed = engine.observe(&Scope::of(desired)).await.unwrap();
    observed.containers.into_iter().filter(|seen| seen.state == State::Running).map(|seen| (seen.name, seen.id)).collect()
}

/// The page behind a port, once its server listens: a container that runs may not answer yet.
async fn page(port: u16) -> String {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let answer = match reqwest::get(format!("http://127.0.0.1:{port}/")).await {
            Ok(answer) => answer.text().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(text) => return text.trim().to_owned(),
            Err(error) if std::time::Instant::now() > deadline => panic!("port {port} does not answer: {error}"),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test]
async fn a_stack_comes_up_in_order_and_a_second_apply_does_nothing() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("order"));
    let _project = real::Project(identity.project.clone());
    let port = free_port();
    let services = vec![
        after(
            after(with_port(httpd("web", "one"), port, 80), "db", Condition::ServiceHealthy),
            "migrate",
            Condition::ServiceCompletedSuccessfully,
        ),
        probed(service("db"), "true"),
        after(job("migrate"), "db", Condition::ServiceHealthy),
    ];
    let stack = desired(&identity, services);
    let ledger = Memory::new(Script::Smooth);
    apply(&engine, &ledger, &stack, 0).await.unwrap();
    assert_eq!(page(port).await, "one");
    let steps: Vec<String> =
        ledger.steps().iter().filter(|step| step.action == "container.start").map(|step| step.subject.clone()).collect();
    assert_eq!(steps, ["db", "migrate", "web"].map(|name| format!("{}-{name}-1", identity.project)));
    let began = std::time::Instant::now();
    assert_eq!(apply(&engine, &Memory::new(Script::Smooth), &stack, 1).await.unwrap(), "nothing to do");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_version_that_never_becomes_healthy_leaves_the_old_one_serving() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("sick"));
    let _project = real::Project(identity.project.clone());
    let port = free_port();
    let good = desired(&identity, vec![with_port(httpd("web", "good"), port, 80)]);
    apply(&engine, &Memory::new(Script::Smooth), &good, 0).await.unwrap();
    let before = up(&engine, &good).await;
    let mut sick = with_port(service("web"), port, 80);
    sick.command = Some(vec!["sh".into(), "-c".into(), "echo I cannot find my configuration; exec sleep 100".into()]);
    let ledger = Memory::new(Script::Smooth);
    let bad = desired(&next(&identity), vec![probed(sick, "echo no file /etc/app.conf; exit 7")]);
    let Err(RunError::Failed(failure)) = apply(&engine, &ledger, &bad, 1).await else { panic!("it should fail") };
    assert_eq!(failure.code, "unhealthy");
    let words = "is unhealthy: its probe ends with exit code 7 and says \"no file /etc/app.conf\". What ran before runs again.";
    assert!(failure.message.ends_with(words), "{}", failure.message);
    let log = String::from_utf8(ledger.logs().pop().unwrap()).unwrap();
    assert!(log.contains("I cannot find my configuration") && log.contains("exit code 7\nno file /etc/app.conf\n"), "{log}");
    assert_eq!(up(&engine, &good).await, before);
    assert_eq!(page(port).await, "good");
    assert_eq!(apply(&engine, &Memory::new(Script::Smooth), &good, 1).await.unwrap(), "nothing to do");
}

#[tokio::test]
async fn what_fails_after_its_gate_leaves_its_log_when_the_next_version_replaces_it() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("fell"));
    let _project = real::Project(identity.project.clone());
    let falling = |mark: &str, identity| {
        let script = "echo disk is full >&2; while [ ! -e /tmp/fall ]; do sleep 0.1; done; exit 3";
        let web = Service { command: Some(vec!["sh".into(), "-c".into(), script.into()]), ..service("web") };
        desired(identity, vec![with_env(web, "MARK", mark), service("well")])
    };
    let first = falling("1", &identity);
    apply(&engine, &Memory::new(Script::Smooth), &first, 0).await.unwrap();
    let docker = engine.connection().docker().await.unwrap();
    let name = format!("{}-web-1", identity.project);
    let touch = CreateExecOptions { cmd: Some(vec!["touch", "/tmp/fall"]), ..CreateExecOptions::default() };
    let exec = docker.create_exec(&name, touch).await.unwrap();
    docker.start_exec(&exec.id, Some(StartExecOptions { detach: true, ..StartExecOptions::default() })).await.unwrap();
    let id = docker.inspect_container(&name, None::<InspectContainerOptions>).await.unwrap().id.unwrap();
    let fallen = engine.wait(&id, &Until::Finished).await.unwrap();
    assert!(matches!(fallen, Outcome::Failed { code: "exited", .. }), "{fallen:?}");

    let ledger = Memory::new(Script::Smooth);
    apply(&engine, &ledger, &falling("2", &next(&identity)), 1).await.unwrap();
    let logs: Vec<String> = ledger.logs().into_iter().map(|log| String::from_utf8(log).unwrap()).collect();
    assert_eq!(logs, ["disk is full\n"]);
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old_under_the_same_name() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("swap"));
    let _project = real::Project(identity.project.clone());
    let port = free_port();
    let with = |page: &str, identity| desired(identity, vec![with_port(httpd("web", page), port, 80), service("side")]);
    apply(&engine, &Memory::new(Script::Smooth), &with("one", &identity), 0).await.unwrap();
    let before = up(&engine, &with("one", &identity)).await;
    let second = next(&identity);
    apply(&engine, &Memory::new(Script::Smooth), &with("two", &second), 1).await.unwrap();
    let now = up(&engine, &with("two", &second)).await;
    assert_eq!(page(port).await, "two");
    assert_eq!(now.iter().map(|(name, _)| name).collect::<Vec<_>>(), before.iter().map(|(name, _)| name).collect::<Vec<_>>());
    assert_eq!(now[0], before[0], "what has not changed is left alone");
    assert_ne!(now[1].1, before[1].1);
}

#[tokio::test]
async fn a_stack_of_ten_survives_a_death_at_any_sampled_step() {
    let engine = real::engine().await;
    for at in [3, 9, 16, 27] {
        let identity = identity(&real::unique("death"));
        let _project = real::Project(identity.project.clone());
        let names: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
        let services = names.iter().enumerate().map(|(n, name)| match n {
            0 => service(name),
            _ => after(service(name), &names[(n - 1) / 2], Condition::ServiceStarted),
        });
        let stack = desired(&identity, services.collect());
        let died = Memory::new(Script::DieAfter(at));
        let result = apply(&engine, &died, &stack, 0).await;
        assert!(matches!(result, Err(RunError::ShuttingDown)), "{result:?}");
        apply(&engine, &died.next_run(Script::Smooth), &stack, 0).await.unwrap();
        assert_eq!(up(&engine, &stack).await.len(), 10, "died after step {at}");
        let observed = engine.observe(&Scope::of(&stack)).await.unwrap();
        assert_eq!(observed.containers.len(), 10);
        assert!(plan::plan(&stack, &observed, &Circumstances { converged: 1, ..Circumstances::default() }).is_empty());
    }
}

#[tokio::test]
async fn with_start_first_the_old_container_stops_only_when_the_new_one_is_healthy() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("overlap"));
    let _project = real::Project(identity.project.clone());
    let with = |page: &str, identity| {
        let mut web = httpd("web", page);
        web.deploy.update.order = UpdateOrder::StartFirst;
        desired(identity, vec![web])
    };
    apply(&engine, &Memory::new(Script::Smooth), &with("one", &identity), 0).await.unwrap();
    let ledger = Memory::new(Script::Smooth);
    let second = with("two", &next(&identity));
    assert_eq!(apply(&engine, &ledger, &second, 1).await.unwrap(), "containers: 1 replaced");
    let steps: Vec<String> =
        ledger.steps().iter().map(|step| step.action.clone()).filter(|action| action.starts_with("container.")).collect();
    let order = ["create", "start", "wait", "stop", "rename", "rename", "remove"].map(|word| format!("container.{word}"));
    assert_eq!(steps, order);
    let names: Vec<String> = up(&engine, &second).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [format!("{}-web-1", identity.project)]);
}

#[tokio::test]
async fn a_limit_that_somebody_changed_by_hand_is_told_and_put_right_in_place() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("drift"));
    let _project = real::Project(identity.project.clone());
    let stack = |identity| desired(identity, vec![Service { mem_limit: Some(64 << 20), ..service("web") }]);
    apply(&engine, &Memory::new(Script::Smooth), &stack(&identity), 0).await.unwrap();
    let before = up(&engine, &stack(&identity)).await;
    let docker = engine.connection().docker().await.unwrap();
    let by_hand = ContainerUpdateBody { memory: Some(32 << 20), memory_swap: Some(64 << 20), ..ContainerUpdateBody::default() };
    docker.update_container(&before[0].1, by_hand).await.unwrap();

    let inspect = docker.inspect_container(&before[0].1, None::<InspectContainerOptions>).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let told = observation(inspect, "local", 1, &DataDir::new(folder.path())).unwrap();
    let drift: Vec<(&str, Option<&Value>, Option<&Value>)> =
        told.drift.iter().map(|drift| (drift.path.as_str(), drift.expected.as_ref(), drift.actual.as_ref())).collect();
    assert_eq!(drift, [("mem_limit", Some(&Value::from(64 << 20)), Some(&Value::from(32 << 20)))]);

    let again = stack(&next(&identity));
    assert_eq!(apply(&engine, &Memory::new(Script::Smooth), &again, 1).await.unwrap(), "containers: 1 updated");
    assert_eq!(up(&engine, &again).await, before, "the same container");
    assert_eq!(apply(&engine, &Memory::new(Script::Smooth), &again, 2).await.unwrap(), "nothing to do");
}
