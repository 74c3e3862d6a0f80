//! Signing in and out, passwords, forgery, and how often one may guess.

use serde_json::json;

use crate::support::{Answer, PASSWORD, World};

async fn sign_in(world: &World, password: &str) -> Answer {
    world.anonymous().post("/api/v1/auth/login", json!({"username": "admin", "password": password})).await
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_for_the_page_alone_and_ends_with_the_password() {
    let world = World::start().await;
    let signed_in = sign_in(&world, PASSWORD).await.expect(200);
    insta::assert_json_snapshot!(signed_in.shown(), {".body.expires_at" => "[time]"});
    let set = signed_in.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/") && !set.contains("Secure"), "{set}");
    let cookie_of_mine = cookie(&signed_in);
    let with_cookie = world.anonymous().with("cookie", &cookie_of_mine);
    assert_eq!(with_cookie.get("/api/v1/auth/me").await.expect(200).json["username"], "admin");

    let forged = with_cookie.clone().with("x-orrery-csrf", "1").with("origin", "http://evil.example");
    assert_eq!(forged.post_nothing("/api/v1/auth/logout").await.expect(403).code(), "cross_site");
    assert_eq!(with_cookie.post_nothing("/api/v1/auth/logout").await.expect(403).code(), "cross_site");
    let listening = with_cookie.clone().with("origin", "http://evil.example");
    assert_eq!(listening.get("/api/v1/events").await.expect(403).code(), "cross_site");

    let other = world.anonymous().on_page(&cookie(&sign_in(&world, PASSWORD).await.expect(200)));
    let page = world.anonymous().on_page(&cookie_of_mine);
    let short = page.post("/api/v1/auth/password", json!({"current": PASSWORD, "new": "too short"})).await;
    assert_eq!(short.expect(422).code(), "invalid_request");
    let wrong = page.post("/api/v1/auth/password", json!({"current": "not this one", "new": "another long password"})).await;
    assert_eq!(wrong.expect(403).code(), "forbidden");
    let first = world.broker.data().join("admin.password");
    std::fs::write(&first, "the first password").unwrap();
    page.post("/api/v1/auth/password", json!({"current": PASSWORD, "new": "another long password"})).await.expect(204);
    assert!(!first.exists(), "the file with the first password is gone");
    assert_eq!(other.get("/api/v1/auth/me").await.expect(401).code(), "unauthenticated");
    page.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(sign_in(&world, PASSWORD).await.expect(401).code(), "wrong_credentials");
    sign_in(&world, "another long password").await.expect(200);

    page.post_nothing("/api/v1/auth/logout").await.expect(204);
    assert_eq!(page.get("/api/v1/auth/me").await.expect(401).code(), "unauthenticated");
    assert_eq!(world.admin().get("/api/v1/users").await.expect(200).json["items"][0]["username"], "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_uses_keeps_no_session_alive() {
    let world = World::start().await;
    let page = world.anonymous().on_page(&cookie(&sign_in(&world, PASSWORD).await.expect(200)));
    let left_alone = "UPDATE auth.sessions SET last_seen_at = now() - interval '11 hours', expires_at = now() + interval '1 hour'";
    sqlx::query(left_alone).execute(&world.api.database).await.unwrap();
    let ends_at = async |caller: &crate::support::Caller| {
        caller.get("/api/v1/auth/me").await.expect(200).json["expires_at"].as_str().unwrap().to_owned()
    };
    let alone = page.clone().with("x-orrery-background", "1");
    let end = ends_at(&alone).await;
    assert_eq!(ends_at(&alone).await, end);
    assert!(ends_at(&page).await > end, "somebody used it");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_is_stopped_and_a_token_is_not() {
    let world = World::start().await;
    for _ in 0..8 {
        assert_eq!(sign_in(&world, "a wrong password").await.expect(401).code(), "wrong_credentials");
    }
    let stopped = sign_in(&world, PASSWORD).await.expect(429);
    assert_eq!((stopped.code(), stopped.header("retry-after")), ("too_many_attempts", "300"));
    world.admin().get("/api/v1/auth/me").await.expect(200);
    let in_address = world.anonymous().get(&format!("/api/v1/auth/me?access_token={}", world.token())).await;
    assert!(in_address.expect(401).json["detail"].as_str().unwrap().contains("in the address"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(world.broker.data().join("admin.token")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
