//! Keys of a definition that need more than a field of a request, on the real engine: from the text to what a container
//! finds.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "support/engine.rs"]
mod real;
mod support;

use orrery_compose::{Files, LoadOptions, load};
use orrery_contracts::{Digest, PlanNote};
use orrery_docker_executor::converge::{Memory, Script};
use orrery_docker_executor::definition::{Desired, Folders, Identity, compile};
use orrery_docker_executor::engine::{Engine, Scope};
use orrery_docker_executor::files::DataDir;
use orrery_docker_executor::plan::{self, Circumstances};
use support::{apply, identity, next};

/// Reads a definition, and lays out what it mounts.
fn read(identity: &Identity, data: &DataDir, files: &Files) -> Desired {
    let outcome = load(files, &LoadOptions { project: identity.project.clone(), ..LoadOptions::default() });
    let project = outcome.project.as_ref().unwrap_or_else(|| panic!("{:?}", outcome.problems));
    let folders = Folders::below(data.root(), identity, &Digest::of(b"a bundle"));
    let desired = compile(project, identity, files, &folders).unwrap_or_else(|problems| panic!("{problems:?}"));
    data.prepare(&desired).unwrap();
    desired
}

/// Ends well when every line of its script does.
const JOB: &str = r#"
services:
  job:
    image: orrery/busybox:test
    command:
      - sh
      - -ec
      - |
        test "$$(busybox stat -c '%u %g %a' /motto)" = "12 34 440"
        test "$$(cat /motto)" = "as above"
        test "$$(busybox stat -c '%u %g %a' /run/secrets/key)" = "12 0 400"
        test "$$(cat /run/secrets/key)" = "open sesame"
        echo kept > /kept/word
        test "$$(busybox df -k /fast | busybox tail -1 | busybox awk '{print $$2}')" = 1024
        test "$$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" = 99
        echo 98 > /proc/sys/net/ipv4/ip_unprivileged_port_start
    configs: [{source: motto, target: /motto, uid: "12", gid: "34", mode: 0440}]
    secrets: [{source: key, uid: "12", mode: 0400}]
    security_opt: ["seccomp=profile.json", "systempaths=unconfined", "no-new-privileges:true"]
    sysctls: {net.ipv4.ip_unprivileged_port_start: 99}
    volumes:
      - ./kept:/kept:z
      - {type: tmpfs, target: /fast, tmpfs: {size: 1m, mode: 0700}}
      - {type: bind, source: /proc, target: /host-proc, read_only: true, bind: {recursive: disabled, propagation: rprivate}}
configs:
  motto: {content: as above}
secrets:
  key: {file: key.txt}
"#;

#[tokio::test]
async fn a_container_finds_what_its_definition_says() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("keys"));
    let _project = real::Project(identity.project.clone());
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::new(folder.path());
    let mut files = Files::of_compose(JOB);
    files.insert("key.txt", "open sesame");
    files.insert("profile.json", r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#);
    let desired = read(&identity, &data, &files);
    let ledger = Memory::new(Script::Smooth);
    let done = apply(&engine, &ledger, &desired, 0).await;
    let logs: Vec<String> = ledger.logs().into_iter().map(|log| String::from_utf8_lossy(&log).into_owned()).collect();
    assert_eq!(done.unwrap_or_else(|error| panic!("{error}: {logs:?}")), "containers: 1 created");
    let kept = folder.path().join("stacks").join(identity.stack.to_string()).join("files/kept/word");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "kept\n");
    let observed = engine.observe(&Scope::of(&desired)).await.unwrap();
    let circumstances = Circumstances { converged: 1, ..Circumstances::default() };
    assert!(plan::plan(&desired, &observed, &circumstances).is_empty(), "it was made as it should be");
}

const LINKED: &str = r#"
services:
  db:
    image: orrery/busybox:test
    command: [sh, -c, "mkdir -p /www; echo here > /www/page; exec httpd -f -p 80 -h /www"]
    stop_signal: SIGKILL
    environment: {MARK: one}
    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1/page"], interval: 100ms, retries: 50}
  web:
    image: orrery/busybox:test
    command: [sleep, "1000"]
    stop_signal: SIGKILL
    links: ["db:database"]
    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, "http://database/page"], interval: 100ms, retries: 50}
"#;

#[tokio::test]
async fn a_link_leads_to_the_other_service_also_when_that_one_is_replaced() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("links"));
    let _project = real::Project(identity.project.clone());
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::new(folder.path());
    let first = read(&identity, &data, &Files::of_compose(LINKED));
    assert_eq!(apply(&engine, &Memory::new(Script::Smooth), &first, 0).await.unwrap(), "containers: 2 created");
    let changed = LINKED.replace("MARK: one", "MARK: two");
    let second = read(&next(&identity), &data, &Files::of_compose(&changed));
    // Who links to a service begins anew with it.
    assert_eq!(apply(&engine, &Memory::new(Script::Smooth), &second, 1).await.unwrap(), "containers: 1 replaced, 1 started");
    let docker = engine.connection().docker().await.unwrap();
    let ask = bollard::models::ExecConfig {
        cmd: Some(["wget", "-q", "-O", "/dev/null", "http://database/page"].map(str::to_owned).to_vec()),
        ..Default::default()
    };
    let exec = docker.create_exec(&format!("{}-web-1", identity.project), ask).await.unwrap().id;
    docker.start_exec(&exec, Some(bollard::exec::StartExecOptions { detach: true, ..Default::default() })).await.unwrap();
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let now = docker.inspect_exec(&exec).await.unwrap();
        if now.running == Some(false) {
            assert_eq!(now.exit_code, Some(0), "the link leads nowhere");
            return;
        }
        assert!(tokio::time::Instant::now() < until, "the question is not answered");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_network_that_should_be_another_is_refused_at_its_place_and_stays() {
    let engine = real::engine().await;
    let identity = identity(&real::unique("network"));
    let _project = real::Project(identity.project.clone());
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::new(folder.path());
    let with = |identity: &Identity, options: &str| {
        let text = format!(
            "services:\n  a:\n    image: orrery/busybox:test\n    command: [sleep, '1000']\n    stop_signal: SIGKILL\n    networks: [inner]\nnetworks:\n  inner:\n    {options}\n"
        );
        read(identity, &data, &Files::of_compose(&text))
    };
    apply(&engine, &Memory::new(Script::Smooth), &with(&identity, "labels: {a: one}"), 0).await.unwrap();
    let name = format!("{}_inner", identity.project);
    for (options, words) in [
        ("internal: true", "internal nothing and should have true"),
        ("driver: macvlan", "driver bridge and should have macvlan"),
        (
            "driver_opts: {com.docker.network.bridge.enable_icc: 'false'}",
            "driver_opts.com.docker.network.bridge.enable_icc nothing and should have false",
        ),
        ("ipam: {config: [{subnet: 10.231.7.0/24}]}", r#"ipam.config nothing and should have [{"Subnet":"10.231.7.0/24"}]"#),
    ] {
        let Err(error) = apply(&engine, &Memory::new(Script::Smooth), &with(&next(&identity), options), 1).await else {
            panic!("{options} is not refused")
        };
        let expected = format!(
            "compose.yaml:8:3: network {name} was made with {words}; one that exists cannot be changed, and is not destroyed here. \
             Give it another name:, or delete the stack first (its volumes stay)."
        );
        assert_eq!(error.to_string(), expected);
    }
    let relabelled = with(&next(&identity), "labels: {a: two}");
    let observed = engine.observe(&Scope::of(&relabelled)).await.unwrap();
    let todo = plan::plan(&relabelled, &observed, &Circumstances { converged: 1, ..Circumstances::default() });
    assert!(todo.is_empty() && todo.refusals.is_empty());
    let note = format!("compose.yaml:8:3: labels.a of network {name} stays as it is: labels are given when it is made");
    assert_eq!(todo.notes, [PlanNote::note(note)]);
}
