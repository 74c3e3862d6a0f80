//! The document and the service agree: every operation refuses the anonymous and answers nonsense with a problem, and
//! the committed document is the one that the code makes.

use reqwest::Method;
use serde_json::Value;

use crate::support::World;

/// What answers everybody.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/api/v1/auth/login"];

struct Operation {
    method: Method,
    path: String,
    takes_json: bool,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&orrery_api::openapi::text().unwrap()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let takes_json = operation["requestBody"]["content"].get("application/json").is_some();
            // Variables stand for something that could exist.
            let path = path.replace("{version}", "1").replace("{a}", "1").replace("{b}", "1").replace("{digest}", &"a".repeat(64));
            operations.push(Operation { method, path: path.replace("{id}", "shop"), takes_json });
        }
    }
    assert!(operations.len() > 35, "{} operations", operations.len());
    operations
}

#[test]
fn the_committed_document_is_what_the_code_makes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(
        committed == orrery_api::openapi::text().unwrap(),
        "docs/openapi.json is stale: cargo run -p orrery-api -- openapi > docs/openapi.json"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_refuses_the_anonymous_and_answers_nonsense_with_a_problem() {
    let world = World::start().await;
    let (nobody, admin) = (world.anonymous(), world.admin());
    let forger = world.anonymous().with("authorization", "Bearer orrery_made_up").with("cookie", "orrery_session=made_up");
    for Operation { method, path, takes_json } in operations() {
        let open = OPEN.contains(&path.as_str());
        for caller in [&nobody, &forger] {
            let answer = caller.send(method.clone(), &path, None).await;
            assert!(open || (answer.status == 401 && answer.code() == "unauthenticated"), "{method} {path}: {answer:?}");
        }
        let in_address = nobody.send(method.clone(), &format!("{path}?token={}", world.token()), None).await;
        assert!(open || in_address.status == 401, "{method} {path}: a token in the address");
        if takes_json {
            let broken = admin.send(method.clone(), &path, Some(("application/json", b"{\"a\": tru".to_vec()))).await;
            assert_eq!((broken.status, broken.code()), (400, "malformed_request"), "{method} {path}");
            assert_eq!(broken.json["errors"][0]["line"], 1, "{method} {path}");
            let strange = admin.send(method.clone(), &path, Some(("application/json", b"{\"no_such_field\": 1}".to_vec()))).await;
            assert_eq!((strange.status, strange.code()), (422, "invalid_request"), "{method} {path}");
            let other = admin.send(method.clone(), &path, Some(("text/csv", b"a,b".to_vec()))).await;
            assert_eq!((other.status, other.code()), (415, "unsupported_media_type"), "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem_too() {
    let world = World::start().await;
    let admin = world.admin();
    assert_eq!(admin.get("/api/v1/nothing").await.expect(404).code(), "no_such_route");
    assert_eq!(admin.get("/api").await.expect(404).code(), "no_such_route");
    assert_eq!(admin.send(Method::DELETE, "/api/v1/stacks", None).await.expect(405).code(), "method_not_allowed");
    assert_eq!(admin.get("/api/v1/stacks?limt=3").await.expect(400).code(), "malformed_request");
    assert_eq!(admin.get("/api/v1/stacks?limit=501").await.expect(422).code(), "invalid_request");
    assert_eq!(admin.get("/api/v1/stacks/shop/versions/x").await.expect(404).code(), "not_found");
    let missing = admin.get("/api/v1/commands/77").await.expect(404);
    insta::assert_json_snapshot!(missing.shown());
    assert_eq!(world.anonymous().get("/api/v1/openapi.json").await.expect(200).json["openapi"], "3.1.0");
    let nobody = world.anonymous();
    assert_eq!(nobody.get("/metrics").await.expect(401).code(), "unauthenticated");
    assert_eq!(nobody.get("/api/v1/nothing").await.expect(401).code(), "unauthenticated");
    assert_eq!(nobody.send(Method::DELETE, "/api/v1/stacks", None).await.expect(401).code(), "unauthenticated");
    assert_eq!(nobody.get("/api/v1/auth/login").await.expect(405).code(), "method_not_allowed");
}
