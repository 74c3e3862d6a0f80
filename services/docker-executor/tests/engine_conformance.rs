//! What convergence relies on in an engine, tried on the one in memory and on the real one: the same suite, so that the
//! first cannot drift from the second.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "support/engine.rs"]
mod real;
mod support;

use std::time::Duration;

use bollard::models::{ContainerUpdateBody, NetworkCreateRequest};
use orrery_docker_executor::definition::identity::{ContainerPlace, Identity};
use orrery_docker_executor::definition::{Desired, Facts};
use orrery_docker_executor::engine::memory::MemoryEngine;
use orrery_docker_executor::engine::{Act, Class, Effect, Engine, EngineError, NewContainer, Outcome, Scope, Seen, State, Until};
use support::{IMAGE, desired, identity, service, with_env, with_port};

async fn act(engine: &impl Engine, act: Act) -> Result<Effect, EngineError> {
    engine.act(&act, &|_| {}).await
}

fn request(desired: &Desired, name: &str) -> NewContainer {
    let (_, spec) = desired.containers().next().unwrap();
    let mut body = spec.body.clone();
    let place = ContainerPlace { service: &spec.service, number: 1, depends_on: "", image_id: "" };
    body.labels = Some(desired.identity.container_labels(None, &spec.facts, &place));
    NewContainer { name: name.to_owned(), platform: String::new(), body, networks: spec.networks.clone() }
}

async fn network(engine: &impl Engine, identity: &Identity) {
    let name = format!("{}_default", identity.project);
    let facts = Facts::default();
    let body = NetworkCreateRequest { name, labels: Some(identity.labels(None, &facts)), ..NetworkCreateRequest::default() };
    let first = act(engine, Act::CreateNetwork(Box::new(body.clone()))).await.unwrap();
    let again = act(engine, Act::CreateNetwork(Box::new(body))).await.unwrap();
    assert!(!first.already && again.already, "a network is made once");
}

/// The whole suite.
async fn conforms(engine: &impl Engine, name: &str, port: u16) {
    let identity = identity(name);
    let web = desired(&identity, vec![with_env(with_port(service("web"), port, 80), "BEHAVE", "runs")]);
    network(engine, &identity).await;
    lives(engine, &web, &format!("{name}-web-1")).await;
    one_name_one_container(engine, &web, &format!("{name}-web-1")).await;
    one_port_one_container(engine, &identity, port).await;
    ends(engine, &identity).await;
    goes(engine, &web).await;
}

async fn lives(engine: &impl Engine, web: &Desired, name: &str) {
    let made = act(engine, Act::Create(Box::new(request(web, name)))).await.unwrap();
    let id = made.id.unwrap();
    let scope = Scope::of(web);
    let seen = |observed: orrery_docker_executor::engine::Observed| observed.containers.into_iter().find(|seen| seen.id == id).unwrap();
    assert_eq!(seen(engine.observe(&scope).await.unwrap()).state, State::Created);
    assert!(!act(engine, Act::Start { id: id.clone() }).await.unwrap().already);
    assert!(act(engine, Act::Start { id: id.clone() }).await.unwrap().already, "started twice is started");
    let stable = Until::Ready { stable: Duration::from_millis(300), may_finish: false };
    assert_eq!(engine.wait(&id, &stable).await.unwrap(), Outcome::Met);
    let now = seen(engine.observe(&scope).await.unwrap());
    assert_eq!((now.state, now.name.as_str(), now.service.as_str(), now.command), (State::Running, name, "web", 1));
    let image = engine.observe(&scope).await.unwrap().images[IMAGE].id.clone();
    let (_, spec) = web.containers().next().unwrap();
    assert_eq!(now.facts.changes_to(&spec.facts_with(&image)), [], "a container is what it was made as");
    let short = seen(engine.observe(&scope.clone().shortly()).await.unwrap());
    assert_eq!(Seen { ports: Vec::new(), ..short }, Seen { ports: Vec::new(), ..now }, "a short look says the same");
    let body = ContainerUpdateBody { memory: Some(64 << 20), memory_swap: Some(128 << 20), ..ContainerUpdateBody::default() };
    act(engine, Act::Update { id: id.clone(), body: Box::new(body) }).await.unwrap();
    assert_eq!(seen(engine.observe(&scope).await.unwrap()).facts.get("mem_limit"), Some(&serde_json::json!(64 << 20)));
}

async fn one_name_one_container(engine: &impl Engine, web: &Desired, name: &str) {
    let again = act(engine, Act::Create(Box::new(request(web, name)))).await.unwrap();
    assert!(again.already, "the same request of the same command finds its own container");
    let mut other = web.clone();
    other.identity.command = 2;
    let error = act(engine, Act::Create(Box::new(request(&other, name)))).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Replan, "name_taken"));
    let aside = act(engine, Act::Create(Box::new(request(&other, &format!("{name}.aside"))))).await.unwrap().id.unwrap();
    let error = act(engine, Act::Rename { id: aside.clone(), to: name.to_owned() }).await.unwrap_err();
    assert_eq!(error.class, Class::Replan);
    act(engine, Act::Rename { id: aside.clone(), to: format!("{name}.else") }).await.unwrap();
    assert!(act(engine, Act::Rename { id: aside.clone(), to: format!("{name}.else") }).await.unwrap().already);
    act(engine, Act::Remove { id: aside, volumes: false }).await.unwrap();
}

async fn one_port_one_container(engine: &impl Engine, identity: &Identity, port: u16) {
    let rival = desired(identity, vec![with_env(with_port(service("rival"), port, 81), "BEHAVE", "runs")]);
    let id = act(engine, Act::Create(Box::new(request(&rival, &format!("{}-rival-1", identity.project))))).await.unwrap().id.unwrap();
    let error = act(engine, Act::Start { id: id.clone() }).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Refuse, "port_taken"), "{error}");
    act(engine, Act::Remove { id, volumes: false }).await.unwrap();
}

async fn ends(engine: &impl Engine, identity: &Identity) {
    for (code, behave) in [(0, "ends:0"), (3, "ends:3")] {
        let mut one = with_env(service(&format!("job{code}")), "BEHAVE", behave);
        one.command = Some(vec!["sh".into(), "-c".into(), format!("echo last words; exit {code}")]);
        let job = desired(identity, vec![one]);
        let id = act(engine, Act::Create(Box::new(request(&job, &format!("{}-job{code}-1", identity.project))))).await.unwrap().id.unwrap();
        act(engine, Act::Start { id: id.clone() }).await.unwrap();
        let outcome = engine.wait(&id, &Until::Finished).await.unwrap();
        assert_eq!(outcome == Outcome::Met, code == 0, "{outcome:?}");
        assert!(String::from_utf8(engine.tail(&id, 10).await).unwrap().contains("last words"));
        for scope in [Scope::of(&job), Scope::of(&job).shortly()] {
            let seen = engine.observe(&scope).await.unwrap().container(&id).cloned().unwrap();
            assert_eq!((seen.state, seen.exit_code), (State::Exited, code));
        }
        act(engine, Act::Remove { id, volumes: false }).await.unwrap();
    }
}

async fn goes(engine: &impl Engine, web: &Desired) {
    let observed = engine.observe(&Scope::of(web)).await.unwrap();
    for seen in &observed.containers {
        act(engine, Act::Stop { id: seen.id.clone(), grace: Some(Duration::ZERO) }).await.unwrap();
        assert!(act(engine, Act::Stop { id: seen.id.clone(), grace: None }).await.is_ok(), "stopped twice is stopped");
        act(engine, Act::Remove { id: seen.id.clone(), volumes: false }).await.unwrap();
        assert!(act(engine, Act::Remove { id: seen.id.clone(), volumes: false }).await.unwrap().already, "what is gone is gone");
        let error = act(engine, Act::Start { id: seen.id.clone() }).await.unwrap_err();
        assert_eq!((error.class, error.code), (Class::Replan, "gone"));
    }
    let name = format!("{}_default", web.identity.project);
    act(engine, Act::RemoveNetwork { name: name.clone() }).await.unwrap();
    assert!(act(engine, Act::RemoveNetwork { name }).await.unwrap().already);
    let after = engine.observe(&Scope::of(web)).await.unwrap();
    assert!(after.containers.is_empty() && after.networks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_engine_in_memory_conforms() {
    conforms(&MemoryEngine::with_images(&[IMAGE]), "memory", 4711).await;
}

#[tokio::test]
async fn the_real_engine_conforms() {
    let engine = real::engine().await;
    let name = real::unique("conform");
    let _project = real::Project(name.clone());
    let port = orrery_nats::port::any().unwrap();
    conforms(&engine, &name, port).await;
}

#[tokio::test]
async fn events_are_followed_on_one_connection_and_tell_what_happens() {
    use orrery_docker_executor::engine::ContainerEvent;
    let engine = real::engine().await;
    let mut events = engine.events().listen();
    let name = real::unique("events");
    let _project = real::Project(name.clone());
    let identity = identity(&name);
    let web = desired(&identity, vec![service("web")]);
    network(&engine, &identity).await;
    let id = act(&engine, Act::Create(Box::new(request(&web, &format!("{name}-web-1"))))).await.unwrap().id.unwrap();
    act(&engine, Act::Start { id: id.clone() }).await.unwrap();
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match tokio::time::timeout_at(until, events.recv()).await.expect("the start is told in time").unwrap() {
            ContainerEvent::Happened { id: whose, action } if whose == id && action == "start" => return,
            ContainerEvent::Happened { .. } | ContainerEvent::Connected => {}
            ContainerEvent::Lost => panic!("the events broke off although the engine is there"),
        }
    }
}
