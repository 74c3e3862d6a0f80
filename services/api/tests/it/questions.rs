//! Questions that an executor answers: plans, logs, and what is said when it does not.

use serde_json::json;

use crate::stacks::bundle;
use crate::support::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_the_executors_and_so_is_its_refusal() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let new = json!({"name": "shop", "bundle": bundle("web:1")});
    let begun = std::time::Instant::now();
    let away = admin.post("/api/v1/plan", new.clone()).await.expect(503);
    assert_eq!((away.code(), away.header("retry-after")), ("executor_away", "2"));
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let problem = orrery_contracts::Problem::new(orrery_contracts::Code::Conflict, "port 80 is held by the stack other");
    executor.answers("plan", vec![json!({"err": problem})]).await;
    let refused = admin.post("/api/v1/plan", new).await.expect(409);
    assert_eq!((refused.code(), &refused.json["detail"]), ("conflict", &json!("port 80 is held by the stack other")));
    assert_eq!(refused.json["instance"], "/api/v1/plan");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_logs_come_as_events_until_the_end() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    admin.post("/api/v1/stacks", json!({"name": "shop", "bundle": bundle("web:1")})).await.expect(202);
    let line = json!({"time": "2026-01-02T03:04:05Z", "service": "web", "number": 1, "stream": "stdout", "line": "hello"});
    let frames = vec![
        json!({"open": {"control": "orrery.rpc.docker.local.control.1"}}),
        json!({"lines": [line]}),
        json!({"end": {"problem": null}}),
    ];
    executor.answers("logs", frames).await;
    let answer = admin.get("/api/v1/stacks/shop/logs?follow=true").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    insta::assert_snapshot!("lines", answer.text);
    assert_eq!(admin.get("/api/v1/containers/0123456789ab/logs").await.expect(404).code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_gives_signs_of_life_is_shown_alive() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let before = admin.get("/api/v1/hosts").await.expect(200);
    insta::assert_json_snapshot!("hosts_unheard", before.shown());
    orrery_tests::eventually("the executor to be heard", SOON, || async {
        executor.lives().await;
        let hosts = admin.get("/api/v1/hosts").await.json;
        let docker = hosts["items"].as_array().and_then(|hosts| hosts.iter().find(|host| host["engine"] == "docker")).cloned();
        Ok(docker.filter(|host| host["executor_alive"] == true && host["engine_ready"] == true))
    })
    .await
    .unwrap();
}
