//! Commands on their way: waiting for their end, cancel and retry in every state, lists and filters.

use orrery_contracts::Change;
use serde_json::json;

use crate::stacks::{bundle, parsed};
use crate::support::World;

async fn create(world: &World, name: &str) -> (u64, String) {
    let accepted = world.admin().post("/api/v1/stacks", json!({"name": name, "bundle": bundle("web:1")})).await.expect(202);
    (accepted.json["seq"].as_u64().unwrap(), accepted.json["stack_id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_waits_is_cancelled_at_once_and_only_once() {
    let world = World::start().await;
    let admin = world.admin();
    let (seq, _) = create(&world, "shop").await;
    let cancelled = admin.post_nothing(&format!("/api/v1/commands/{seq}/cancel")).await.expect(202);
    assert_eq!((&cancelled.json["status"], &cancelled.json["reason"]), (&json!("CANCELLED"), &json!("cancelled by admin")));
    assert!(cancelled.json["ended_at"].is_string());
    let again = admin.post_nothing(&format!("/api/v1/commands/{seq}/cancel")).await.expect(409);
    assert_eq!((again.code(), &again.json["detail"]), ("conflict", &json!("command 1 is CANCELLED and cannot be cancelled")));
    assert_eq!(admin.post_nothing(&format!("/api/v1/commands/{seq}/retry")).await.expect(409).code(), "conflict");
    assert_eq!(admin.get("/api/v1/stacks/shop").await.expect(404).code(), "not_found");
    assert_eq!(admin.get("/api/v1/queue").await.expect(200).json["head"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_command_holds_the_queue_and_is_retried_or_cancelled() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let (seq, _) = create(&world, "shop").await;
    executor.runs(seq, 1).await;
    executor.steps(seq, 1).await;
    executor.fails(seq, 1).await;
    let failed = admin.get(&format!("/api/v1/commands/{seq}?wait=30s")).await.expect(200);
    insta::assert_json_snapshot!("failed", failed.shown(), {
        ".body.id" => "[id]", ".body.stack_id" => "[id]", ".body.created_at" => "[time]", ".body.started_at" => "[time]",
        ".body.steps[].started_at" => "[time]", ".body.steps[].ended_at" => "[time]",
    });
    let queue = admin.get("/api/v1/queue").await.expect(200);
    assert_eq!((&queue.json["held"], &queue.json["head"]["seq"]), (&json!(true), &json!(seq)));
    assert_eq!(queue.json["head"]["error"]["message"], "web did not become healthy");
    let ready = world.anonymous().get("/readyz").await.expect(200);
    assert!(ready.json["waiting_for"].as_array().unwrap().iter().any(|waiting| waiting["what"] == "queue"), "{}", ready.text);

    let retried = admin.post_nothing(&format!("/api/v1/commands/{seq}/retry")).await.expect(202);
    assert_eq!((&retried.json["status"], &retried.json["attempt"]), (&json!("PENDING"), &json!(2)));
    assert_eq!(retried.json["steps"], json!([]), "only steps of the present attempt count");
    assert_eq!(admin.post_nothing(&format!("/api/v1/commands/{seq}/retry")).await.expect(409).code(), "conflict");
    executor.runs(seq, 2).await;
    executor.fails(seq, 2).await;
    admin.get(&format!("/api/v1/commands/{seq}?wait=30s")).await.expect(200);
    let cancelled = admin.post_nothing(&format!("/api/v1/commands/{seq}/cancel")).await.expect(202);
    assert_eq!((&cancelled.json["status"], &cancelled.json["error"]["code"]), (&json!("CANCELLED"), &json!("unhealthy")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_command_is_asked_to_stop_and_a_done_that_comes_first_wins() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let (seq, _) = create(&world, "shop").await;
    executor.runs(seq, 1).await;
    let asked = admin.post_nothing(&format!("/api/v1/commands/{seq}/cancel")).await.expect(202);
    assert_eq!((&asked.json["status"], &asked.json["cancel_requested"]), (&json!("RUNNING"), &json!(true)));
    let again = admin.post_nothing(&format!("/api/v1/commands/{seq}/cancel")).await.expect(202);
    assert_eq!(again.json["status"], "RUNNING", "asking twice asks once");
    let waiting = admin.clone();
    let waited = tokio::spawn(async move { waiting.get(&format!("/api/v1/commands/{seq}?wait=30s")).await });
    executor.done(seq).await;
    assert_eq!(waited.await.unwrap().expect(200).json["status"], "DONE");
    let late = admin.post_nothing(&format!("/api/v1/commands/{seq}/cancel")).await.expect(409);
    assert_eq!(late.json["detail"], "command 1 is DONE and cannot be cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_over_answers_what_is_known_then() {
    let world = World::start().await;
    let (seq, _) = create(&world, "shop").await;
    let begun = std::time::Instant::now();
    let waited = world.admin().get(&format!("/api/v1/commands/{seq}?wait=700ms")).await.expect(200);
    assert_eq!(waited.json["status"], "PENDING");
    assert!(begun.elapsed() >= std::time::Duration::from_millis(700), "{:?}", begun.elapsed());
    assert_eq!(world.admin().get(&format!("/api/v1/commands/{seq}?wait=soon")).await.expect(422).code(), "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages_and_filters() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    for name in ["a", "b", "c"] {
        create(&world, name).await;
    }
    executor.moves(1, 1, 0, Change::Cancelled { reason: "rejected: not today".to_owned() }).await;
    admin.get("/api/v1/commands/1?wait=30s").await.expect(200);
    let seqs =
        |json: &serde_json::Value| json["items"].as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect::<Vec<_>>();
    let first = admin.get("/api/v1/commands?limit=2").await.expect(200);
    assert_eq!(seqs(&first.json), [3, 2]);
    let next = first.json["next"].as_str().unwrap();
    let second = admin.get(&format!("/api/v1/commands?limit=2&after={next}")).await.expect(200);
    assert_eq!((seqs(&second.json), &second.json["next"]), (vec![1], &json!(null)));
    assert_eq!(seqs(&admin.get("/api/v1/commands?status=PENDING,RUNNING").await.expect(200).json), [3, 2]);
    assert_eq!(seqs(&admin.get("/api/v1/commands?stack_id=b").await.expect(200).json), [2]);
    assert_eq!(admin.get("/api/v1/commands?status=LOST").await.expect(422).code(), "invalid_request");
    let names = |json: &serde_json::Value| {
        json["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let stacks = admin.get("/api/v1/stacks?limit=1").await.expect(200);
    assert_eq!(names(&stacks.json), ["b"], "a rejected create leaves no stack");
    let next = stacks.json["next"].as_str().unwrap();
    assert_eq!(names(&admin.get(&format!("/api/v1/stacks?limit=1&after={next}")).await.expect(200).json), ["c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_is_repeated_with_its_key_answers_the_same_command() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let (seq, id) = create(&world, "shop").await;
    executor.creates(seq, &id, "shop", &parsed(&bundle("web:1"))).await;
    let keyed = admin.clone().with("idempotency-key", "away with it");
    let first = keyed.post("/api/v1/stacks/shop/delete", json!({"volumes": true})).await.expect(202);
    let seq = first.json["seq"].as_u64().unwrap();
    executor.runs(seq, 1).await;
    executor.tells(seq, id.parse().unwrap(), orrery_contracts::StackChange::Deleted { volumes: true }).await;
    executor.done(seq).await;
    assert_eq!(admin.get(&format!("/api/v1/commands/{seq}?wait=30s")).await.expect(200).json["status"], "DONE");
    admin.get("/api/v1/stacks/shop").await.expect(404);
    let again = keyed.post("/api/v1/stacks/shop/delete", json!({"volumes": true})).await.expect(202);
    assert_eq!((&again.json["seq"], &again.json["status"]), (&json!(seq), &json!("DONE")));
    assert_eq!(keyed.post("/api/v1/stacks/shop/delete", json!({})).await.expect(422).code(), "idempotency_key_reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_request_alone_also_when_its_stack_is_gone() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let (seq, id) = create(&world, "shop").await;
    executor.creates(seq, &id, "shop", &parsed(&bundle("web:1"))).await;
    let keyed = admin.clone().with("idempotency-key", "round and round");
    let stop = keyed.post_nothing("/api/v1/stacks/shop/stop").await.expect(202);
    assert_eq!(keyed.post_nothing("/api/v1/stacks/shop/start").await.expect(422).code(), "idempotency_key_reused");
    assert_eq!(keyed.post_nothing("/api/v1/stacks/shop/stop?on_failure=release").await.expect(422).code(), "idempotency_key_reused");
    let stop_seq = stop.json["seq"].as_u64().unwrap();
    executor.runs(stop_seq, 1).await;
    executor.tells(stop_seq, id.parse().unwrap(), orrery_contracts::StackChange::Deleted { volumes: false }).await;
    executor.done(stop_seq).await;
    admin.get(&format!("/api/v1/commands/{stop_seq}?wait=30s")).await.expect(200);
    admin.get("/api/v1/stacks/shop").await.expect(404);
    assert_eq!(keyed.post_nothing("/api/v1/stacks/shop/stop").await.expect(202).json["seq"], stop_seq);
    assert_eq!(keyed.post_nothing("/api/v1/stacks/shop/restart").await.expect(422).code(), "idempotency_key_reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terms_of_a_command_travel_with_it() {
    let world = World::start().await;
    let admin = world.admin();
    let (_, id) = create(&world, "shop").await;
    let applied = admin.post_nothing("/api/v1/stacks/shop/apply/1?on_failure=release&deadline_seconds=90").await.expect(202);
    assert_eq!(applied.json["on_failure"], "release");
    let body = world.api.broker.command_body(applied.json["seq"].as_u64().unwrap()).await.unwrap().unwrap();
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&message["on_failure"], &message["deadline_seconds"], &message["target"]), (&json!("release"), &json!(90), &json!(id)));
    assert_eq!(admin.post_nothing("/api/v1/stacks/shop/stop?on_failure=shrug").await.expect(400).code(), "malformed_request");
    assert_eq!(admin.post_nothing("/api/v1/stacks/shop/stop?deadline_seconds=0").await.expect(422).code(), "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_is_one_command_of_any_size_and_knows_what_its_author_saw() {
    let world = World::start().await;
    let admin = world.admin();
    create(&world, "shop").await;
    let small =
        admin.clone().with("if-match", "\"1\"").post("/api/v1/stacks/shop/deploy", json!({"bundle": bundle("web:2")})).await.expect(202);
    assert_eq!((&small.json["type"], &small.json["version"]), (&json!("stack.deploy"), &json!(2)));
    let late = admin.clone().with("if-match", "\"1\"").post("/api/v1/stacks/shop/deploy", json!({"bundle": bundle("web:3")})).await;
    assert_eq!(late.expect(412).code(), "edit_conflict");
    let mut large = bundle("web:3");
    large["files"]["data"] = json!("x".repeat(300 * 1024));
    let large = admin.post("/api/v1/stacks/shop/deploy", json!({"bundle": large})).await.expect(202);
    assert_eq!(large.json["version"], 3);
    let body = world.api.broker.command_body(large.json["seq"].as_u64().unwrap()).await.unwrap().unwrap();
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(message["payload"]["digest"].is_string() && message["payload"].get("bundle").is_none(), "{message}");
}
