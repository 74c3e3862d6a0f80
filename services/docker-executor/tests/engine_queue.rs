//! The whole executor on a real broker and a real engine: a command goes in, containers come up, and everything that is
//! told of it can be read back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "support/engine.rs"]
mod real;
mod support;

use std::time::Duration;

use async_nats::jetstream;
use bollard::models::{ContainerConfig, ContainerCreateBody};
use bollard::query_parameters::{
    CommitContainerOptions, CreateContainerOptions, ListContainersOptions, RemoveContainerOptions, RemoveImageOptions,
};
use orrery_contracts::rpc::{Answer, LogsQuestion, PlanAnswer, PlanQuestion, PlanTarget, StreamFrame};
use orrery_contracts::{
    BundleLimits, Change, ContainerObservation, Engine, PolicyEntry, Role, StackChange, StackEvent, StackHead, StackId, TransitionMessage,
    subjects,
};
use orrery_docker_executor::commands::DockerExecutor;
use orrery_docker_executor::engine::{Connection, DockerEngine};
use orrery_docker_executor::files::DataDir;
use orrery_docker_executor::observe::Observer;
use orrery_docker_executor::rpc;
use orrery_nats::testing::Broker as Server;
use orrery_nats::users::User;
use orrery_queue::{Broker, BrokerConfig, Definitions, ExecutorConfig, Report, serve};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// An installation with nothing but a broker and this executor.
struct Installation {
    server: Server,
    api: async_nats::Client,
    js: jetstream::Context,
    /// Streams that the api has no business with, as the executor sees them.
    eyes: jetstream::Context,
    shutdown: CancellationToken,
    _locks: tempfile::TempDir,
}

impl Installation {
    async fn start() -> Self {
        let server = Server::provisioned().await.expect("a broker of one's own");
        let credentials = server.credentials(User::DockerExecutor).unwrap();
        let password = server.data().join("test.password");
        std::fs::write(&password, &credentials.password).unwrap();
        let config = BrokerConfig { url: credentials.url, user: credentials.name, password_file: Some(password), authority: None };
        let broker = Broker::connect(&config).await.unwrap();
        let locks = tempfile::tempdir().unwrap();
        let executor = DockerExecutor::new(
            Definitions::new(broker.streams()),
            DockerEngine::new(Connection::from_env()),
            DataDir::new(server.data()),
            BundleLimits::default(),
            "local".into(),
        );
        let config = ExecutorConfig::in_folders(Engine::Docker, &broker, server.data(), locks.path(), Report::nobody());
        let shutdown = CancellationToken::new();
        let observer =
            Observer { engine: executor.engine().clone(), broker: broker.clone(), data: executor.data().clone(), host: "local".into() };
        tokio::spawn(observer.run(shutdown.clone()));
        tokio::spawn(rpc::answer(executor.clone(), broker, shutdown.clone()));
        let stop = shutdown.clone();
        tokio::spawn(async move { serve(config, executor, stop).await });
        let api = server.connect(User::Api).await.unwrap();
        let js = jetstream::new(api.clone());
        let eyes = jetstream::new(server.connect(User::DockerExecutor).await.unwrap());
        let installation = Self { server, api, js, eyes, shutdown, _locks: locks };
        installation.policy("user.ada", Role::User).await;
        installation.policy("user.root", Role::Admin).await;
        installation.policy("publisher.api", Role::Admin).await;
        installation
    }

    async fn policy(&self, key: &str, role: Role) {
        let entry = PolicyEntry { role, quota: Default::default() };
        let body = serde_json::to_vec(&entry).unwrap();
        self.js.publish(format!("$KV.POLICY.{key}"), body.into()).await.unwrap().await.unwrap();
    }

    /// Enqueues, and waits for the end; answers the sequence and the last change.
    async fn run(&self, actor: &str, kind: &str, target: &str, payload: Value) -> (u64, Change) {
        let body = json!({"type": kind, "target": target, "payload": payload, "actor": actor}).to_string();
        let subject = format!("orrery.commands.api.{}", Uuid::now_v7());
        let seq = self.js.publish(subject, body.into()).await.unwrap().await.unwrap().sequence;
        let until = tokio::time::Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(message) = self.last::<TransitionMessage>(subjects::EVENTS, &subjects::transition(seq)).await
                && !matches!(message.change, Change::Running { .. } | Change::Pending {})
            {
                return (seq, message.change);
            }
            assert!(tokio::time::Instant::now() < until, "command {seq} does not end; broker log: {}", self.server.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn last<T: serde::de::DeserializeOwned>(&self, stream: &str, subject: &str) -> Option<T> {
        let stream = self.eyes.get_stream_no_info(stream).await.ok()?;
        let message = stream.get_last_raw_message_by_subject(subject).await.ok()?;
        serde_json::from_slice(&message.payload).ok()
    }

    async fn head(&self, id: StackId) -> StackHead {
        self.last("KV_HEADS", &format!("$KV.HEADS.stack.{id}")).await.expect("a head")
    }

    async fn id_of(&self, seq: u64) -> StackId {
        let installation: orrery_contracts::Installation = self.last("KV_HEADS", "$KV.HEADS.installation").await.expect("an installation");
        StackId::derive(installation.id, seq)
    }

    async fn plan(&self, question: &PlanQuestion) -> PlanAnswer {
        let body = serde_json::to_vec(question).unwrap();
        let answer = self.api.request("orrery.rpc.docker.local.plan", body.into()).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn summary(change: &Change) -> &str {
    match change {
        Change::Done { summary } => summary,
        other => panic!("not done: {other:?}"),
    }
}

fn rejected(change: &Change) -> &str {
    match change {
        Change::Cancelled { reason } => reason,
        other => panic!("not rejected: {other:?}"),
    }
}

fn compose(page: &str) -> String {
    format!(
        r#"
services:
  web:
    image: orrery/busybox:test
    command: [sh, -c, "cat /conf/page.txt; exec httpd -f -p 80 -h /conf"]
    environment: {{MARK: {page}}}
    volumes: ["./conf:/conf", "data:/data", "./kept:/kept"]
    configs: [motto]
    stop_grace_period: 100ms
    healthcheck:
      test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1/page.txt"]
      interval: 200ms
volumes:
  data: {{}}
configs:
  motto:
    content: as above
"#
    )
}

fn bundle(page: &str) -> Value {
    json!({"files": {"compose.yaml": compose(page), "conf/page.txt": format!("page {page}\n")}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_made_applied_changed_rolled_back_and_deleted_through_the_queue() {
    let engine = real::engine().await;
    let here = Installation::start().await;
    let name = real::unique("queue");
    let _project = real::Project(name.clone());
    let (seq, made) = here.run("ada", "stack.create", &name, json!({"bundle": bundle("one"), "comment": "first"})).await;
    assert_eq!(summary(&made), format!("stack {name} made with version 1"));
    let id = here.id_of(seq).await;
    let question = |target| PlanQuestion { stack_id: Some(id), project: name.clone(), actor: "ada".into(), target };
    let Answer::Ok(plan) = here.plan(&question(PlanTarget::Version(1))).await else { panic!("no plan") };
    assert_eq!(
        plan.actions.iter().map(|action| action.action.as_str()).collect::<Vec<_>>(),
        ["network.create", "volume.create", "container.create"]
    );
    let (_, done) = here.run("ada", "stack.apply", &name, json!({"version": 1})).await;
    assert_eq!(summary(&done), "containers: 1 created");
    assert_eq!(here.head(id).await.current, Some(1));
    let (_, again) = here.run("ada", "stack.apply", &id.to_string(), json!({"version": 1})).await;
    assert_eq!(summary(&again), "nothing to do");
    logs_are_told(&here, id).await;
    let (_, second) = here.run("ada", "stack.apply", &name, json!({"bundle": bundle("two")})).await;
    assert_eq!(summary(&second), "version 2 saved; containers: 1 replaced");
    let Answer::Ok(plan) = here.plan(&question(PlanTarget::Version(1))).await else { panic!("no plan") };
    let replace = plan.actions.iter().find(|action| action.action == "container.replace").unwrap();
    assert!(replace.changes.iter().any(|change| change.path == "environment.MARK"), "{replace:?}");
    let (_, back) = here.run("ada", "stack.rollback", &name, json!({"version": 1})).await;
    assert_eq!(summary(&back), "containers: 1 replaced");
    let head = here.head(id).await;
    assert_eq!((head.current, head.latest), (Some(1), 2));
    it_is_observed(&here, id).await;
    for (kind, words) in [
        ("stack.stop", "containers: 1 stopped"),
        ("stack.stop", "nothing to do"),
        ("stack.start", "containers: 1 started"),
        ("stack.restart", "containers: 1 started"),
    ] {
        let (_, change) = here.run("ada", kind, &name, json!({})).await;
        assert_eq!(summary(&change), words, "{kind}");
    }
    let (_, gone) = here.run("ada", "stack.delete", &name, json!({"volumes": true})).await;
    assert_eq!(summary(&gone), "1 containers removed");
    let docker = engine.connection().docker().await.unwrap();
    assert!(docker.inspect_volume(&format!("{name}_data")).await.is_err());
    let event: StackEvent = here.last(subjects::EVENTS, &subjects::stack_event(id)).await.unwrap();
    assert_eq!(event.change, StackChange::Deleted { volumes: true });
}

async fn logs_are_told(here: &Installation, id: StackId) {
    use futures::StreamExt;
    let inbox = here.api.new_inbox();
    let mut frames = here.api.subscribe(inbox.clone()).await.unwrap();
    let question = LogsQuestion { containers: Vec::new(), stack_id: Some(id), follow: false, tail: Some(10), since: None };
    here.api.publish_with_reply("orrery.rpc.docker.local.logs", inbox, serde_json::to_vec(&question).unwrap().into()).await.unwrap();
    let mut lines = Vec::new();
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(10), frames.next()).await.expect("a frame in time").unwrap();
        match serde_json::from_slice(&frame.payload).unwrap() {
            StreamFrame::Open { .. } | StreamFrame::Bytes(_) => {}
            StreamFrame::Lines(some) => lines.extend(some),
            StreamFrame::End { problem } => {
                assert_eq!(problem, None);
                break;
            }
        }
    }
    assert_eq!(lines.iter().map(|line| (line.service.as_str(), line.line.as_str())).collect::<Vec<_>>(), [("web", "page one")]);
}

async fn it_is_observed(here: &Installation, id: StackId) {
    use futures::TryStreamExt;
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let stream = here.eyes.get_stream(subjects::OBSERVED).await.unwrap();
        let names: Vec<(String, usize)> =
            stream.info_with_subjects("orrery.observed.local.container.*").await.unwrap().try_collect().await.unwrap();
        let mut seen = Vec::new();
        for (subject, _) in names {
            let found: Option<ContainerObservation> = here.last(subjects::OBSERVED, &subject).await;
            seen.extend(found.filter(|found| found.stack_id == Some(id)));
        }
        if let [one] = seen.as_slice()
            && one.health == orrery_contracts::Health::Healthy
        {
            assert_eq!((one.version, one.state.as_str(), one.drift.as_slice()), (Some(1), "running", [].as_slice()));
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{seen:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_from_the_start_is_rejected_and_holds_nobody() {
    let _engine = real::engine().await;
    let here = Installation::start().await;
    let name = real::unique("reject");
    let _project = real::Project(name.clone());
    let (_, nothing) = here.run("ada", "stack.apply", &name, json!({"version": 1})).await;
    assert_eq!(rejected(&nothing), format!("rejected: there is no stack \"{name}\" of ada"));
    let broken = json!({"files": {"compose.yaml": "services:\n  web:\n    imag: nginx\n"}});
    let (_, invalid) = here.run("ada", "stack.create", &name, json!({"bundle": broken})).await;
    assert!(rejected(&invalid).starts_with("rejected: compose.yaml:"), "{invalid:?}");
    let powerful = json!({"files": {"compose.yaml": "services:\n  web:\n    image: orrery/busybox:test\n    privileged: true\n"}});
    here.run("ada", "stack.create", &name, json!({"bundle": powerful})).await;
    let (_, refused) = here.run("ada", "stack.apply", &name, json!({"version": 1})).await;
    assert!(rejected(&refused).contains("only an administrator"), "{refused:?}");
    let (_, twice) = here.run("ada", "stack.create", &name, json!({"bundle": bundle("x")})).await;
    assert!(rejected(&twice).contains("already"), "{twice:?}");
    let (_, lost) = here.run("ada", "stack.version.create", &name, json!({"bundle": bundle("x"), "expected_version": 7})).await;
    assert!(rejected(&lost).contains("somebody else saved first"), "{lost:?}");
    let (_, foreign) = here.run("root", "stack.delete", &name, json!({})).await;
    assert!(rejected(&foreign).contains("no stack"), "a name means one's own: {foreign:?}");
    let (_, whole) = here.run("root", "stack.delete", &format!("ada/{name}"), json!({})).await;
    summary(&whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_deleted_stack_go_once_no_container_mounts_them() {
    let _engine = real::engine().await;
    let here = Installation::start().await;
    let names = ["first", "second"].map(real::unique);
    let _projects = names.clone().map(real::Project);
    for name in &names {
        here.run("ada", "stack.create", name, json!({"bundle": bundle("secret")})).await;
        summary(&here.run("ada", "stack.apply", name, json!({"version": 1})).await.1);
    }
    let [first, second] = names;
    summary(&here.run("ada", "stack.apply", &second, json!({"bundle": bundle("another")})).await.1);
    let lies = |folder: &str| std::fs::read_dir(here.server.data().join(folder)).unwrap().count();
    assert_eq!((lies("bundles"), lies("inline")), (2, 1), "both mount one bundle, and the second another one");
    summary(&here.run("ada", "stack.delete", &second, json!({})).await.1);
    assert_eq!((lies("bundles"), lies("inline")), (1, 1), "the first still mounts them");
    summary(&here.run("ada", "stack.stop", &first, json!({})).await.1);
    summary(&here.run("ada", "stack.restart", &first, json!({})).await.1);
    summary(&here.run("ada", "stack.delete", &first, json!({})).await.1);
    assert_eq!((lies("bundles"), lies("inline")), (0, 0));
}

fn built(text: &str, dockerfile: &str) -> Value {
    let compose =
        "services:\n  web:\n    build: {context: app, args: {WORD: hello}}\n    command: [sleep, '100']\n    stop_grace_period: 100ms\n";
    json!({"files": {"compose.yaml": compose, "app/Dockerfile": dockerfile, "app/page.txt": text}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_built_from_the_bundle_once_for_each_content() {
    let engine = real::engine().await;
    let here = Installation::start().await;
    let name = real::unique("build");
    let _project = real::Project(name.clone());
    let good = "FROM orrery/busybox:test\nARG WORD\nCOPY page.txt /page.txt\nRUN echo $WORD from the build > /word.txt\n";
    let (seq, _) = here.run("ada", "stack.create", &name, json!({"bundle": built("one", good)})).await;
    let id = here.id_of(seq).await;
    assert_eq!(summary(&here.run("ada", "stack.apply", &name, json!({"version": 1})).await.1), "containers: 1 created");
    let second = here.run("ada", "stack.apply", &name, json!({"bundle": built("two", good)})).await.1;
    assert_eq!(summary(&second), "version 2 saved; containers: 1 replaced");
    let question =
        |version| PlanQuestion { stack_id: Some(id), project: name.clone(), actor: "ada".into(), target: PlanTarget::Version(version) };
    let Answer::Ok(plan) = here.plan(&question(1)).await else { panic!("no plan") };
    assert!(plan.actions.iter().all(|action| action.action != "image.build"), "the image of version 1 is still here: {plan:#?}");
    let broken = "FROM orrery/busybox:test\nRUN echo this cannot work; exit 7\n";
    let (failed, change) = here.run("ada", "stack.apply", &name, json!({"bundle": built("three", broken), "comment": "broken"})).await;
    let Change::Failed { failure } = change else { panic!("it should fail: {change:?}") };
    assert_eq!(failure.code, "build_failed", "{failure:?}");
    assert_eq!(here.head(id).await.current, Some(2), "the head has not moved");
    let log = here.kept_log(failed).await;
    assert!(log.contains("this cannot work"), "{log}");
    let docker = engine.connection().docker().await.unwrap();
    assert!(docker.inspect_container(&format!("{name}-web-1"), None::<bollard::query_parameters::InspectContainerOptions>).await.is_ok());
    here.cancel(failed).await;
    summary(&here.run("ada", "stack.delete", &name, json!({})).await.1);
    for image in docker.list_images(None::<bollard::query_parameters::ListImagesOptions>).await.unwrap() {
        for tag in image.repo_tags.iter().filter(|tag| tag.starts_with(&name)) {
            let _ = docker.remove_image(tag, None::<bollard::query_parameters::RemoveImageOptions>, None).await;
        }
    }
}

impl Installation {
    /// The log that a failed step of a command kept.
    async fn kept_log(&self, seq: u64) -> String {
        use orrery_contracts::{StepEntry, StepMessage};
        let until = tokio::time::Instant::now() + Duration::from_secs(5);
        loop {
            let last: Option<StepMessage> = self.last(subjects::EVENTS, &subjects::step(seq)).await;
            if let Some(StepMessage { entry: StepEntry::Ended { log: Some(digest), .. }, .. }) = last {
                let stream = self.eyes.get_stream_no_info(subjects::BUNDLES).await.unwrap();
                let chunk = stream.get_last_raw_message_by_subject(&subjects::bundle_chunk(&digest, 0)).await.unwrap();
                return String::from_utf8_lossy(&chunk.payload).into_owned();
            }
            assert!(tokio::time::Instant::now() < until, "no log was kept: {last:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Cancels a command that failed, as the api does.
    async fn cancel(&self, seq: u64) {
        let subject = subjects::transition(seq);
        let stream = self.js.get_stream_no_info(subjects::EVENTS).await.unwrap();
        let last = stream.get_last_raw_message_by_subject(&subject).await.unwrap();
        let failed: TransitionMessage = serde_json::from_slice(&last.payload).unwrap();
        let cancelled = TransitionMessage {
            event_id: Uuid::new_v4(),
            run: 0,
            by: "ada".into(),
            change: Change::Cancelled { reason: "enough".into() },
            ..failed
        };
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.sequence.to_string());
        let sent = self.js.publish_with_headers(subject, headers, serde_json::to_vec(&cancelled).unwrap().into()).await.unwrap();
        sent.await.unwrap();
    }
}

/// Makes an image with another content have this name.
async fn moved(engine: &DockerEngine, name: &str, mark: &str) -> String {
    let docker = engine.connection().docker().await.unwrap();
    let cmd = Some(vec!["true".to_owned()]);
    let body = ContainerCreateBody { image: Some(support::IMAGE.to_owned()), cmd, ..ContainerCreateBody::default() };
    let from = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap().id;
    let (repo, tag) = name.split_once(':').unwrap();
    let options =
        CommitContainerOptions { container: Some(from.clone()), repo: Some(repo.into()), tag: Some(tag.into()), ..Default::default() };
    let config = ContainerConfig { labels: Some([("mark".to_owned(), mark.to_owned())].into()), ..ContainerConfig::default() };
    docker.commit_container(options, config).await.unwrap();
    docker.remove_container(&from, None::<RemoveContainerOptions>).await.unwrap();
    docker.inspect_image(name).await.unwrap().id.unwrap()
}

/// The images of a project's containers, as the engine has them.
async fn images_of(engine: &DockerEngine, project: &str) -> Vec<String> {
    let docker = engine.connection().docker().await.unwrap();
    let filters = [("label".to_owned(), vec![format!("com.docker.compose.project={project}")])].into();
    let options = ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
    docker.list_containers(Some(options)).await.unwrap().into_iter().filter_map(|container| container.image_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_has_the_very_images_that_its_version_ran_with() {
    let engine = real::engine().await;
    let here = Installation::start().await;
    let name = real::unique("moved");
    let _project = real::Project(name.clone());
    let image = format!("{name}:stable");
    let one = moved(&engine, &image, "one").await;
    let of = |mark: &str| {
        let compose = format!(
            "services:\n  web:\n    image: {image}\n    command: [sleep, '100']\n    stop_grace_period: 0s\n    environment: {{MARK: {mark}}}\n"
        );
        json!({"files": {"compose.yaml": compose}})
    };
    let (seq, _) = here.run("ada", "stack.create", &name, json!({"bundle": of("one")})).await;
    let id = here.id_of(seq).await;
    summary(&here.run("ada", "stack.apply", &name, json!({"version": 1})).await.1);
    assert_eq!(images_of(&engine, &name).await, std::slice::from_ref(&one));

    // The name means something else now, and the next version takes that.
    let two = moved(&engine, &image, "two").await;
    assert_ne!(one, two);
    summary(&here.run("ada", "stack.apply", &name, json!({"bundle": of("two")})).await.1);
    assert_eq!(images_of(&engine, &name).await, std::slice::from_ref(&two));

    // The plan of a rollback has the very image; that of an apply has what the name means now.
    for (target, names_it) in [(PlanTarget::Rollback(1), true), (PlanTarget::Version(1), false)] {
        let question = PlanQuestion { stack_id: Some(id), project: name.clone(), actor: "ada".into(), target };
        let Answer::Ok(plan) = here.plan(&question).await else { panic!("no plan") };
        assert_eq!(serde_json::to_string(&plan).unwrap().contains(&one), names_it, "{plan:#?}");
    }

    let back = here.run("ada", "stack.rollback", &name, json!({"version": 1})).await.1;
    assert_eq!(summary(&back), "containers: 1 replaced");
    assert_eq!(images_of(&engine, &name).await, std::slice::from_ref(&one), "the name still means the other one");
    let question = PlanQuestion { stack_id: Some(id), project: name.clone(), actor: "ada".into(), target: PlanTarget::Version(1) };
    let Answer::Ok(plan) = here.plan(&question).await else { panic!("no plan") };
    assert!(plan.empty, "{plan:#?}");
    for again in ["stack.restart", "stack.stop", "stack.start"] {
        summary(&here.run("ada", again, &name, json!({})).await.1);
    }
    assert_eq!(images_of(&engine, &name).await, std::slice::from_ref(&one));
    assert_eq!(summary(&here.run("ada", "stack.rollback", &name, json!({"version": 1})).await.1), "nothing to do");

    // Another version is free again; and what is gone for good is said before anything is touched.
    summary(&here.run("ada", "stack.apply", &name, json!({"version": 2})).await.1);
    assert_eq!(images_of(&engine, &name).await, std::slice::from_ref(&two));
    let docker = engine.connection().docker().await.unwrap();
    docker.remove_image(&one, None::<RemoveImageOptions>, None).await.unwrap();
    let (_, gone) = here.run("ada", "stack.rollback", &name, json!({"version": 1})).await;
    let why = rejected(&gone);
    assert!(why.contains(&format!("this version ran service web with the image {one} of {image}, which this host has no more")), "{why}");
    assert_eq!(images_of(&engine, &name).await, std::slice::from_ref(&two));
    assert_eq!(summary(&here.run("ada", "stack.apply", &name, json!({"version": 1})).await.1), "containers: 1 replaced");
    here.run("ada", "stack.delete", &name, json!({})).await;
    docker.remove_image(&image, None::<RemoveImageOptions>, None).await.unwrap();
}
