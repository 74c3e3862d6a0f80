//! Stacks and versions: what is answered before anything has been carried out, and after.

use orrery_contracts::Bundle;
use serde_json::{Value, json};

use crate::support::World;

pub fn bundle(image: &str) -> Value {
    json!({"files": {"compose.yaml": format!("services:\n  web:\n    image: {image}\n")}})
}

pub fn parsed(bundle: &Value) -> Bundle {
    serde_json::from_value(bundle.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_whose_create_waits_can_be_read_versioned_and_applied() {
    let world = World::start().await;
    let admin = world.admin();
    let accepted = admin.post("/api/v1/stacks", json!({"name": "shop", "bundle": bundle("web:1"), "comment": "first"})).await.expect(202);
    let id = accepted.json["stack_id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.header("location"), format!("/api/v1/commands/{}", accepted.json["id"].as_str().unwrap()));
    insta::assert_json_snapshot!("create_accepted", accepted.shown(), {".body.id" => "[id]", ".body.stack_id" => "[id]", ".body.created_at" => "[time]"});

    let stack = admin.get("/api/v1/stacks/shop").await.expect(200);
    assert_eq!(stack.json["id"], id.as_str());
    insta::assert_json_snapshot!("stack_waits", stack.shown(), {".body.id" => "[id]", ".body.created_at" => "[time]"});
    assert_eq!(admin.get("/api/v1/stacks").await.expect(200).json["items"].as_array().unwrap().len(), 1);
    let command = admin.get(accepted.header("location")).await.expect(200);
    assert_eq!(command.json["stack_id"], id.as_str());
    assert_eq!(admin.get("/api/v1/commands/1").await.expect(200).json, command.json);

    let taken = admin.post("/api/v1/stacks", json!({"name": "shop", "bundle": bundle("web:1")})).await;
    assert_eq!(taken.expect(409).code(), "name_taken");
    let second = admin.post("/api/v1/stacks/shop/versions", json!({"bundle": bundle("web:2")})).await.expect(202);
    assert_eq!(second.json["version"], 2);
    let applied = admin.post_nothing("/api/v1/stacks/shop/apply/2").await.expect(202);
    assert_eq!((&applied.json["type"], &applied.json["version"], &applied.json["target"]), (&json!("stack.apply"), &json!(2), &json!(id)));
    let queued = admin.get("/api/v1/queue").await.expect(200);
    assert_eq!((&queued.json["head"]["seq"], &queued.json["waiting"], &queued.json["held"]), (&json!(1), &json!(2), &json!(false)));
    let diff = admin.get("/api/v1/stacks/shop/diff/1/2").await.expect(200);
    insta::assert_json_snapshot!("diff_of_waiting_versions", diff.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_who_saw_an_older_version_is_told_what_he_would_overwrite() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let first = bundle("web:1");
    let accepted = admin.post("/api/v1/stacks", json!({"name": "shop", "bundle": first})).await.expect(202);
    let id = accepted.json["stack_id"].as_str().unwrap().to_owned();
    executor.creates(1, &id, "shop", &parsed(&first)).await;
    let created = admin.get(&format!("{}?wait=30s", accepted.header("location"))).await.expect(200);
    assert_eq!((&created.json["status"], &created.json["reason"]), (&json!("DONE"), &json!("did it")));
    let stack = admin.get("/api/v1/stacks/shop").await.expect(200);
    assert_eq!((stack.header("etag"), &stack.json["latest_version"], &stack.json["status"]), ("\"1\"", &json!(1), &json!("created")));

    let author = admin.clone().with("if-match", "\"1\"");
    author.post("/api/v1/stacks/shop/versions", json!({"bundle": bundle("web:2")})).await.expect(202);
    let late = author.post("/api/v1/stacks/shop/versions", json!({"bundle": bundle("web:3")})).await.expect(412);
    assert_eq!(late.code(), "edit_conflict");
    insta::assert_json_snapshot!("edit_conflict", late.shown());
    let versions = admin.get("/api/v1/stacks/shop/versions").await.expect(200);
    assert_eq!(versions.json["items"][0]["version"], 1);
    let digest = versions.json["items"][0]["digest"].as_str().unwrap();
    let file = admin.get(&format!("/api/v1/bundles/{digest}?path=compose.yaml")).await.expect(200);
    assert_eq!(file.text, "services:\n  web:\n    image: web:1\n");
    assert_eq!(admin.post_nothing("/api/v1/stacks/shop/apply/7").await.expect(404).code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_request() {
    let world = World::start().await;
    let keyed = world.admin().with("idempotency-key", "monday");
    let body = json!({"name": "shop", "bundle": bundle("web:1")});
    let first = keyed.post("/api/v1/stacks", body.clone()).await.expect(202);
    let again = keyed.post("/api/v1/stacks", body).await.expect(202);
    assert_eq!((&first.json["id"], &first.json["seq"]), (&again.json["id"], &again.json["seq"]));
    let other = keyed.post("/api/v1/stacks", json!({"name": "shop", "bundle": bundle("web:2")})).await;
    assert_eq!(other.expect(422).code(), "idempotency_key_reused");
    let started = keyed.post_nothing("/api/v1/stacks/shop/start").await;
    assert_eq!(started.expect(422).code(), "idempotency_key_reused");
    assert_eq!(world.admin().get("/api/v1/commands").await.json["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_definition_is_told_with_its_place() {
    let world = World::start().await;
    let admin = world.admin();
    let wrong = json!({"files": {"compose.yaml": "services:\n  web:\n    image: x\n    prots: [80]\n"}});
    let refused = admin.post("/api/v1/stacks", json!({"name": "shop", "bundle": wrong})).await.expect(422);
    assert_eq!((refused.code(), &refused.json["errors"][0]["line"]), ("invalid_definition", &json!(4)));
    assert_eq!(refused.json["errors"][0]["file"], "compose.yaml");
    let checked = admin.post("/api/v1/compose/check", json!({"bundle": wrong})).await.expect(200);
    assert_eq!((&checked.json["valid"], &checked.json["errors"]), (&json!(false), &refused.json["errors"]));
    let fine = admin.post("/api/v1/compose/check", json!({"bundle": bundle("web:1"), "project": "shop"})).await.expect(200);
    assert_eq!((&fine.json["valid"], &fine.json["normalized"]["name"]), (&json!(true), &json!("shop")));
    let outside = json!({"files": {"../x": "1", "compose.yaml": "services: {}\n"}});
    assert_eq!(admin.post("/api/v1/stacks", json!({"name": "shop", "bundle": outside})).await.expect(422).code(), "invalid_definition");
    let named = admin.post("/api/v1/stacks", json!({"name": "../shop", "bundle": bundle("web:1")})).await.expect(422);
    assert_eq!((named.code(), &named.json["errors"][0]["path"]), ("invalid_request", &json!("name")));
    assert_eq!(admin.post("/api/v1/stacks", json!({"name": "shop"})).await.expect(422).json["errors"][0]["path"], "bundle");
    let refusal = json!({"files": {"compose.yaml": "services:\n  web:\n    image: x\n    privileged: true\n"}});
    let report = admin.post("/api/v1/compose/check", json!({"bundle": refusal})).await.expect(200);
    if report.json["valid"] == true && report.json["refusals"].as_array().is_some_and(|refusals| !refusals.is_empty()) {
        admin.post("/api/v1/stacks", json!({"name": "kept", "bundle": refusal})).await.expect(202);
        let applied = admin.post_nothing("/api/v1/stacks/kept/apply/1").await.expect(422);
        assert_eq!((applied.code(), &applied.json["errors"]), ("invalid_definition", &report.json["refusals"]));
    }
}
