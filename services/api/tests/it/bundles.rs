//! Uploads: archives in, files and archives out, large ones by digest.

use orrery_api::bundles::sweep::sweep;
use orrery_contracts::{Bundle, Time};
use reqwest::Method;
use serde_json::json;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_becomes_a_bundle_and_an_archive_again() {
    let world = World::start().await;
    let admin = world.admin();
    let bundle: Bundle = serde_json::from_value(json!({"files": {
        "compose.yaml": "services:\n  web:\n    image: web:1\n",
        "run.sh": {"text": "#!/bin/sh\n", "executable": true},
        "logo.png": {"base64": "//8="},
    }}))
    .unwrap();
    let packed = orrery_api::bundles::tar_of(&bundle, "shop").unwrap();
    let uploaded = admin.send(Method::POST, "/api/v1/bundles", Some(("application/x-tar", packed))).await.expect(200);
    insta::assert_json_snapshot!("uploaded", uploaded.shown());
    let digest = bundle.digest();
    assert_eq!(uploaded.json["digest"], digest.as_str());
    let fetched = admin.get(&format!("/api/v1/bundles/{digest}")).await.expect(200);
    assert_eq!(serde_json::from_value::<Bundle>(fetched.json.clone()).unwrap(), bundle);
    let archive = admin.get(&format!("/api/v1/bundles/{digest}?format=tar&name=shop")).await.expect(200);
    assert_eq!(archive.header("content-disposition"), "attachment; filename=\"shop.tar\"");
    assert_eq!(admin.get(&format!("/api/v1/bundles/{digest}?path=run.sh")).await.expect(200).text, "#!/bin/sh\n");
    assert_eq!(admin.get(&format!("/api/v1/bundles/{digest}?path=none")).await.expect(404).code(), "not_found");
    assert_eq!(admin.get(&format!("/api/v1/bundles/{}", "0".repeat(64))).await.expect(404).code(), "not_found");
    let made = admin.post("/api/v1/stacks", json!({"name": "shop", "digest": digest})).await.expect(202);
    assert_eq!(made.json["type"], "stack.create");
    let nonsense = admin.send(Method::POST, "/api/v1/bundles", Some(("application/zip", b"nonsense".to_vec()))).await;
    assert_eq!(nonsense.expect(400).code(), "malformed_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_a_limit_is_told_with_the_limit() {
    let world = World::start().await;
    let admin = world.admin();
    let too_long = json!({"files": {"compose.yaml": "services: {}\n", "big": "x".repeat((1 << 20) + 1)}});
    let refused = admin.post("/api/v1/bundles", too_long).await.expect(413);
    assert_eq!(refused.code(), "too_large");
    assert_eq!(refused.json["errors"][0]["file"], "big");
    assert!(refused.json["errors"][0]["message"].as_str().unwrap().contains("ORRERY_BUNDLE_MAX_FILE_BYTES"));
    let huge = json!({"files": {"compose.yaml": "x".repeat(8 << 20)}});
    assert_eq!(admin.post("/api/v1/bundles", huge).await.expect(413).code(), "too_large");
    let many: serde_json::Map<String, serde_json::Value> = (0..51).map(|n| (format!("f{n}"), json!(""))).collect();
    assert_eq!(admin.post("/api/v1/bundles", json!({"files": many})).await.expect(413).code(), "too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_still_sends() {
    let world = World::start().await;
    let admin = world.admin();
    for _ in 0..20 {
        let huge = json!({"files": {"compose.yaml": "x".repeat(24 << 20)}});
        assert_eq!(admin.post("/api/v1/bundles", huge).await.expect(413).code(), "too_large");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_bundle_travels_by_digest_and_can_be_planned_before_it_exists() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let large = json!({"files": {"compose.yaml": "services:\n  web:\n    image: web:1\n", "data": "x".repeat(700 * 1024)}});
    admin.post("/api/v1/stacks", json!({"name": "shop", "bundle": large})).await.expect(202);
    let body = world.api.broker.command_body(1).await.unwrap().unwrap();
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let bundle: Bundle = serde_json::from_value(large).unwrap();
    assert_eq!(message["payload"], json!({"digest": bundle.digest()}));
    executor.answers("plan", vec![json!({"ok": {"empty": true, "actions": [], "kept": [], "notes": []}})]).await;
    let plan = admin.post_nothing("/api/v1/stacks/shop/plan/1").await.expect(200);
    assert_eq!(plan.json, json!({"empty": true, "actions": [], "kept": [], "notes": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_kept_for_the_command_that_names_it_and_swept_when_there_is_none() {
    let world = World::start().await;
    let admin = world.admin();
    // Small ones travel inside their command.
    let large = "x".repeat(300 * 1024);
    let upload = |text: &str| {
        let compose = format!("services: {{web: {{image: {text}}}}}\n");
        let (admin, files) = (admin.clone(), json!({"files": {"compose.yaml": compose, "data": large}}));
        async move { admin.post("/api/v1/bundles", files).await.expect(200).json["digest"].as_str().unwrap().to_owned() }
    };
    let (named, forgotten) = (upload("a").await, upload("b").await);
    admin.post("/api/v1/stacks", json!({"name": "shop", "digest": named})).await.expect(202);
    admin.get("/api/v1/stacks/shop").await.expect(200);
    let (yesterday, tomorrow) = (in_days(-1), in_days(1));
    assert_eq!(sweep(&world.api, yesterday).await.unwrap(), 0, "what is young stays");
    assert_eq!(sweep(&world.api, tomorrow).await.unwrap(), 1);
    admin.get(&format!("/api/v1/bundles/{named}")).await.expect(200);
    admin.get(&format!("/api/v1/bundles/{forgotten}")).await.expect(404);
    assert_eq!(sweep(&world.api, tomorrow).await.unwrap(), 0);
}

fn in_days(days: i64) -> Time {
    Time::new(time::OffsetDateTime::now_utc() + time::Duration::days(days))
}
