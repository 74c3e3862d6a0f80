//! The broker or the database is away: what still works, what is said, and that all of it comes back.

use serde_json::json;

use crate::stacks::bundle;
use crate::support::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_waits_for_the_broker_and_reads_go_on() {
    let mut world = World::start().await;
    let admin = world.admin();
    let new = |name: &str| json!({"name": name, "bundle": bundle("web:1")});
    admin.post("/api/v1/stacks", new("before")).await.expect(202);
    admin.get("/api/v1/stacks/before").await.expect(200);
    world.broker.kill();
    let begun = std::time::Instant::now();
    let away = admin.post("/api/v1/stacks", new("during")).await.expect(503);
    assert_eq!((away.code(), away.header("retry-after")), ("broker_away", "2"));
    assert!(begun.elapsed() > std::time::Duration::from_secs(8), "it was waited for: {:?}", begun.elapsed());
    assert_eq!(admin.get("/api/v1/stacks").await.expect(200).json["items"][0]["name"], "before");
    let ready = world.anonymous().get("/readyz").await.expect(503);
    assert_eq!(ready.json["waiting_for"][0]["what"], "broker");

    let waiting = admin.clone();
    let patient = tokio::spawn(async move { waiting.post("/api/v1/stacks", new("after")).await });
    world.broker.start().await.unwrap();
    let accepted = patient.await.unwrap().expect(202);
    assert_eq!(admin.get("/api/v1/stacks/after").await.expect(200).json["id"], accepted.json["stack_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_every_read_says_so_and_comes_back() {
    let world = World::start().await;
    let admin = world.admin();
    admin.post("/api/v1/stacks", json!({"name": "shop", "bundle": bundle("web:1")})).await.expect(202);
    world.cluster.kill().unwrap();
    let away = admin.get("/api/v1/stacks").await.expect(503);
    assert_eq!((away.code(), away.header("retry-after")), ("database_away", "2"));
    let ready = world.anonymous().get("/readyz").await.expect(503);
    assert!(ready.json["waiting_for"].as_array().unwrap().iter().any(|waiting| waiting["what"] == "database"), "{}", ready.text);
    assert_eq!(world.anonymous().get("/healthz").await.expect(200).json["status"], "ok");
    world.cluster.start_again().unwrap();
    orrery_tests::eventually("the database to be back", SOON, || async {
        let stacks = admin.get("/api/v1/stacks").await;
        Ok((stacks.status == 200 && stacks.json["items"][0]["name"] == "shop").then_some(()))
    })
    .await
    .unwrap();
}
