//! Hooks (`post_start`, `pre_stop`): on the engine in memory at every death, and on the real one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "support/engine.rs"]
mod real;
mod support;

use orrery_compose::model::Hook;
use orrery_compose::{Files, LoadOptions, Service, load};
use orrery_docker_executor::converge::{Memory, Script, Site, lifecycle};
use orrery_docker_executor::definition::{Desired, Folders, Identity, compile};
use orrery_docker_executor::engine::memory::MemoryEngine;
use orrery_docker_executor::engine::{DockerEngine, Engine, Scope};
use orrery_queue::RunError;
use support::{IMAGE, apply, desired, identity, next, service, with_env};

fn hook(command: &[&str]) -> Hook {
    Hook { command: command.iter().map(|word| (*word).to_owned()).collect(), ..Hook::default() }
}

fn hooked(mut one: Service, start: &[&str], stop: &[&str]) -> Service {
    one.post_start = vec![hook(start)];
    one.pre_stop = vec![hook(stop)];
    one
}

fn stack(identity: &Identity, mark: &str) -> Desired {
    desired(identity, vec![hooked(with_env(service("web"), "MARK", mark), &["warm", mark], &["drain"]), service("plain")])
}

fn hooks_of(engine: &MemoryEngine) -> Vec<String> {
    engine.acts().into_iter().filter(|act| act.starts_with("post_start") || act.starts_with("pre_stop")).collect()
}

#[tokio::test(start_paused = true)]
async fn hooks_run_after_each_start_and_before_each_stop() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    apply(&engine, &Memory::new(Script::Smooth), &stack(&first, "1"), 0).await.unwrap();
    assert_eq!(hooks_of(&engine), ["post_start warm 1"]);
    let second = stack(&next(&first), "2");
    apply(&engine, &Memory::new(Script::Smooth), &second, 1).await.unwrap();
    assert_eq!(hooks_of(&engine)[1..], ["pre_stop drain", "post_start warm 2"]);
    assert_eq!(apply(&engine, &Memory::new(Script::Smooth), &second, 2).await.unwrap(), "nothing to do");
    let ledger = Memory::new(Script::Smooth);
    let site = Site::new(&engine, &ledger).await;
    lifecycle::stop(&site, &next(&next(&first))).await.unwrap();
    assert_eq!(hooks_of(&engine)[3..], ["pre_stop drain"]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_was_changed_is_a_change() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    let with = |identity: &Identity, word: &str| desired(identity, vec![hooked(service("web"), &[word], &["drain"])]);
    apply(&engine, &Memory::new(Script::Smooth), &with(&first, "warm"), 0).await.unwrap();
    let ledger = Memory::new(Script::Smooth);
    assert_eq!(apply(&engine, &ledger, &with(&next(&first), "hot"), 1).await.unwrap(), "containers: 1 replaced");
    let reason = ledger.plans().pop().unwrap().actions[0].reason.clone();
    assert!(reason.starts_with("post_start changed from "), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_leaves_what_ran() {
    let engine = MemoryEngine::with_images(&[IMAGE]);
    let first = identity("shop");
    apply(&engine, &Memory::new(Script::Smooth), &stack(&first, "1"), 0).await.unwrap();
    let before = engine.up();
    let broken = desired(&next(&first), vec![hooked(service("web"), &["fails"], &["drain"]), service("plain")]);
    let Err(RunError::Failed(failure)) = apply(&engine, &Memory::new(Script::Smooth), &broken, 1).await else { panic!("it should fail") };
    assert_eq!(failure.code, "hook_failed");
    assert!(failure.message.contains("the post_start hook `fails` ended with exit code 1"), "{}", failure.message);
    assert_eq!(engine.up(), before);
}

/// Whoever died between the start and the end of its hooks, the next run lets them run: none is left out.
#[tokio::test(start_paused = true)]
async fn no_death_keeps_a_hook_from_running() {
    for script in [Script::DieBefore, Script::DieAfter] {
        for at in 1..40 {
            let engine = MemoryEngine::with_images(&[IMAGE]);
            let first = identity("shop");
            apply(&engine, &Memory::new(Script::Smooth), &stack(&first, "1"), 0).await.unwrap();
            let second = stack(&next(&first), "2");
            let died = Memory::new(script(at));
            let resumed = match apply(&engine, &died, &second, 1).await {
                Err(RunError::ShuttingDown) => apply(&engine, &died.next_run(Script::Smooth), &second, 1).await,
                other => other,
            };
            resumed.unwrap_or_else(|error| panic!("{:?}: {error}", script(at)));
            let hooks = hooks_of(&engine);
            let warm = hooks.iter().filter(|hook| *hook == "post_start warm 2").count();
            let open_start =
                died.steps().iter().any(|step| step.action == "container.start" && step.state == orrery_queue::StepState::Open);
            let after_its_effect = open_start && matches!(script(at), Script::DieAfter(_));
            assert_eq!(warm, if after_its_effect { 2 } else { 1 }, "{:?}: {hooks:?}", script(at));
            assert!(hooks.contains(&"pre_stop drain".to_owned()), "{:?}: {hooks:?}", script(at));
        }
    }
}

/// What a definition says.
fn compiled(identity: &Identity, yaml: &str) -> Desired {
    let files = Files::of_compose(yaml);
    let options = LoadOptions { project: identity.project.clone(), ..LoadOptions::default() };
    let outcome = load(&files, &options);
    let project = outcome.project.unwrap_or_else(|| panic!("{:?}", outcome.problems));
    let folders = Folders { bundle: "/bundle".into(), stack: "/stack".into(), inline: "/inline".into() };
    compile(&project, identity, &files, &folders).expect("it compiles")
}

/// What a file of a container holds.
async fn file(engine: &DockerEngine, desired: &Desired, path: &str) -> String {
    use bollard::exec::CreateExecOptions;
    use futures::StreamExt;
    let id = engine.observe(&Scope::of(desired)).await.unwrap().containers[0].id.clone();
    let docker = engine.connection().docker().await.unwrap();
    let order = CreateExecOptions { attach_stdout: Some(true), cmd: Some(vec!["cat", path]), ..CreateExecOptions::default() };
    let exec = docker.create_exec(&id, order).await.unwrap().id;
    let bollard::exec::StartExecResults::Attached { output, .. } = docker.start_exec(&exec, None).await.unwrap() else {
        panic!("detached")
    };
    let parts: Vec<_> = output.collect().await;
    parts.into_iter().map(|part| String::from_utf8_lossy(&part.unwrap().into_bytes()).into_owned()).collect()
}

#[tokio::test]
async fn hooks_run_in_the_container_as_they_are_written() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("hooks"));
    let _project = real::Project(identity.project.clone());
    let with = |identity: &Identity, mark: &str| {
        let yaml = format!(
            r#"
services:
  web:
    image: {IMAGE}
    command: [sleep, "1000"]
    stop_grace_period: 0s
    environment: {{MARK: "{mark}"}}
    volumes: ["kept:/kept"]
    post_start:
      - command: ["sh", "-c", "echo started $$MARK as $$(id -g) in $$(pwd) with $$EXTRA >> /kept/told; echo warmed"]
        user: "0:65534"
        working_dir: /tmp
        environment: [EXTRA=more]
      - command: echo second >> nowhere
    pre_stop:
      - command: ["sh", "-c", "echo stopped $$MARK >> /kept/told"]
      - command: ["sh", "-c", "exit 3"]
volumes: {{kept: {{}}}}
"#
        );
        compiled(identity, &yaml)
    };
    let first = with(&identity, "1");
    let ledger = Memory::new(Script::Smooth);
    apply(&engine, &ledger, &first, 0).await.unwrap();
    let log = ledger.logs().into_iter().map(|log| String::from_utf8(log).unwrap()).collect::<String>();
    assert!(log.contains("warmed"), "what a hook writes is kept: {log}");
    assert_eq!(file(&engine, &first, "/kept/told").await, "started 1 as 65534 in /tmp with more\n");

    // A hook that fails before a stop does not keep it from being stopped; one word is no shell.
    let second = with(&next(&identity), "2");
    assert_eq!(apply(&engine, &Memory::new(Script::Smooth), &second, 1).await.unwrap(), "containers: 1 replaced");
    let told = file(&engine, &second, "/kept/told").await;
    assert_eq!(told, "started 1 as 65534 in /tmp with more\nstopped 1\nstarted 2 as 65534 in /tmp with more\n");

    let failing = compiled(
        &next(&next(&identity)),
        &format!(
            "services:\n  web:\n    image: {IMAGE}\n    command: [sleep, \"1000\"]\n    stop_grace_period: 0s\n    post_start: [{{command: [sh, -c, \"echo oh dear; exit 4\"]}}]\n"
        ),
    );
    let ledger = Memory::new(Script::Smooth);
    let Err(RunError::Failed(failure)) = apply(&engine, &ledger, &failing, 2).await else { panic!("it should fail") };
    assert_eq!(failure.code, "hook_failed");
    assert!(
        failure.message.contains("ended with exit code 4") && failure.message.contains("What ran before runs again."),
        "{}",
        failure.message
    );
    assert!(ledger.logs().iter().any(|log| String::from_utf8_lossy(log).contains("oh dear")), "its output is kept");
}
