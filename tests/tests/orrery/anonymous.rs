//! Nobody in particular gets nothing: every operation of the OpenAPI document is asked without a session or a token.

use anyhow::{Context as _, ensure};
use orrery_tests::Installation;
use orrery_tests::installation::ADMIN_PASSWORD;
use reqwest::Method;
use serde_json::{Value, json};

/// What answers without a session: signing in, and the description of it all.
const OPEN: [(&str, &str); 2] = [("POST", "/auth/login"), ("GET", "/openapi.json")];

#[tokio::test]
async fn every_operation_refuses_the_anonymous() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let document: Value = orrery.api.anonymous().read("/openapi.json").await?;
    let paths = document.get("paths").and_then(Value::as_object).context("no paths")?;
    let mut asked = 0_usize;
    for (path, operations) in paths {
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        for method in operations.as_object().context("no operations")?.keys().filter(|key| is_method(key)) {
            let method = Method::from_bytes(method.to_uppercase().as_bytes())?;
            if OPEN.contains(&(method.as_str(), path)) || path.starts_with("/healthz") || path.starts_with("/readyz") {
                continue;
            }
            let concrete = fill(path);
            let url = if path == "/metrics" { "!/metrics".to_owned() } else { concrete };
            let anonymous = orrery.api.anonymous();
            let answer = anonymous.send(anonymous.request(method.clone(), &url)).await?;
            ensure!(answer.status == 401, "{method} {path} answered {}: {}", answer.status, answer.body);
            let forged = orrery.api.anonymous().request(method.clone(), &url).bearer_auth("orr_0000000000000000");
            let answer = anonymous.send(forged).await?;
            ensure!(answer.status == 401, "{method} {path} with a forged token answered {}", answer.status);
            asked = asked.saturating_add(1);
        }
    }
    ensure!(asked >= 25, "only {asked} operations are described");
    orrery.end().await
}

#[tokio::test]
async fn health_readiness_and_the_page_answer_everybody_and_metrics_do_not() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let anonymous = orrery.api.anonymous();
    for path in ["!/healthz", "!/readyz", "!/", "/openapi.json"] {
        let answer = anonymous.get(path).await?;
        ensure!(answer.status == 200, "{path} answered {}", answer.status);
    }
    ensure!(anonymous.get("!/metrics").await?.status == 401);
    ensure!(orrery.api.get("!/metrics").await?.status == 200);
    orrery.end().await
}

#[tokio::test]
async fn a_session_works_from_the_page_and_from_nowhere_else() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let anonymous = orrery.api.anonymous();
    let wrong = anonymous.post("/auth/login", json!({"username": "admin", "password": "wrong"})).await?;
    wrong.problem(401, "wrong_credentials")?;
    let right = anonymous.post("/auth/login", json!({"username": "admin", "password": ADMIN_PASSWORD})).await?;
    let cookie = right.header("set-cookie").context("no cookie")?.to_owned();
    for word in ["HttpOnly", "SameSite=Lax"] {
        ensure!(cookie.contains(word), "the cookie lacks {word}: {cookie}");
    }
    right.expect(200)?;
    let session = cookie.split(';').next().unwrap_or_default().to_owned();
    let with = |method, path: &str| anonymous.request(method, path).header("cookie", &session);
    ensure!(anonymous.send(with(Method::GET, "/stacks")).await?.status == 200);

    let body = json!({"name": orrery.name("session"), "bundle": crate::small_stacks::sleepers(&["a"])});
    let bare = with(Method::POST, "/stacks").json(&body);
    anonymous.send(bare).await?.problem(403, "cross_site")?;
    let foreign = with(Method::POST, "/stacks").header("x-orrery-csrf", "1").header("origin", "http://elsewhere.example").json(&body);
    anonymous.send(foreign).await?.problem(403, "cross_site")?;
    let own = with(Method::POST, "/stacks").header("x-orrery-csrf", "1").header("origin", anonymous.origin()).json(&body);
    anonymous.send(own).await?.expect(202)?;

    let out = with(Method::POST, "/auth/logout").header("x-orrery-csrf", "1").header("origin", anonymous.origin());
    let out = anonymous.send(out).await?;
    ensure!((200..300).contains(&out.status), "sign-out answered {}", out.status);
    ensure!(anonymous.send(with(Method::GET, "/stacks")).await?.status == 401, "the session outlives its end");
    orrery.end().await
}

fn is_method(key: &str) -> bool {
    ["get", "post", "put", "patch", "delete"].contains(&key)
}

/// A path with something in the place of each parameter.
fn fill(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "1".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}
