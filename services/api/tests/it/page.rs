//! The page's files, and what is said where they are not.

use reqwest::Method;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_with_what_it_needs_to_be_safe_and_quick() {
    let world = World::start().await;
    let (web, nobody) = (world.broker.data().join("web"), world.anonymous());
    let none = nobody.get("/").await.expect(503);
    assert!(none.text.contains("cargo xtask web"), "{}", none.text);
    std::fs::write(web.join("index.html"), "<!doctype html><title>Orrery</title>").unwrap();
    std::fs::write(web.join("assets/app-1f2e3d4c5b6a7988.js"), "plain").unwrap();
    std::fs::write(web.join("assets/app-1f2e3d4c5b6a7988.js.br"), "compressed").unwrap();

    for path in ["/", "/stacks", "/stacks/shop/versions/3", "/index"] {
        let page = nobody.get(path).await.expect(200);
        assert_eq!((page.text.as_str(), page.header("cache-control")), ("<!doctype html><title>Orrery</title>", "no-store"), "{path}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
    let plain = nobody.get("/assets/app-1f2e3d4c5b6a7988.js").await.expect(200);
    assert_eq!((plain.text.as_str(), plain.header("cache-control")), ("plain", "public, max-age=31536000, immutable"));
    let compressed = nobody.clone().with("accept-encoding", "br").get("/assets/app-1f2e3d4c5b6a7988.js").await.expect(200);
    assert_eq!((compressed.text.as_str(), compressed.header("content-encoding")), ("compressed", "br"));
    assert_eq!(nobody.get("/assets/none.js").await.expect(404).code(), "no_such_route");
    assert_eq!(nobody.get("/..%2f..%2fadmin.token").await.expect(404).code(), "no_such_route");
    assert_eq!(nobody.send(Method::POST, "/stacks", None).await.expect(405).code(), "method_not_allowed");
    let explained = nobody.get("/problems/edit_conflict").await.expect(200);
    assert!(explained.text.starts_with("Somebody else saved first\nHTTP 412"), "{}", explained.text);
    assert_eq!(nobody.get("/problems/made_up").await.expect(404).code(), "no_such_route");
    assert_eq!(nobody.get("/healthz").await.expect(200).json["status"], "ok");
}
