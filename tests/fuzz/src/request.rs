//! A request to the api as a text: method and address, a line for each header, an empty line, the body. It goes through
//! the extractors of every operation, as if its caller were known, and through the whole service, as somebody unknown.
//!
//! Without a database and a broker: what needs them (sign-in, readiness) is left out, and nobody can prove who he is. What a request
//! says of its sender is read all the same.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body as HttpBody;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use bytes::Bytes;
use orrery_api::{Api, config::Config};
use orrery_contracts::{BundleLimits, Problem};
use orrery_queue::{Broker, BrokerConfig};
use tower::ServiceExt as _;

use crate::operations;

/// What every token of Orrery begins with.
const TOKEN: &[u8] = b"orrery_";
/// Lies beside the folder of the page; no answer may hold it.
const SECRET: &str = "nothing of this is the page's";

/// What must hold of any request.
pub fn run(bytes: &[u8]) {
    let Some(asked) = Asked::read(bytes) else { return };
    DOORS.with(|doors| doors.ask(&asked));
}

thread_local! {
    static DOORS: Doors = Doors::open();
}

/// A request that HTTP can carry.
#[derive(Clone)]
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
            Some(at) => (bytes.get(..at)?, bytes.get(at.checked_add(2)?..)?),
            None => (bytes, &b""[..]),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = lines.next()?;
        let space = first.iter().position(|byte| *byte == b' ')?;
        let method = Method::from_bytes(first.get(..space)?).ok()?;
        let uri = Uri::try_from(first.get(space.checked_add(1)?..)?).ok()?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(line.get(..colon)?).ok()?;
            let value = HeaderValue::from_bytes(line.get(colon.checked_add(1)?..)?.trim_ascii()).ok()?;
            headers.append(name, value);
        }
        Some(Self { method, uri, headers, body: Bytes::copy_from_slice(body) })
    }

    /// The same from somebody of whom no database need be asked: his token is none of Orrery's, and a cookie he has not.
    fn of_nobody(&self) -> Self {
        let Self { method, uri, mut headers, body } = self.clone();
        headers.remove(COOKIE);
        if headers.get_all(AUTHORIZATION).iter().any(|value| value.as_bytes().windows(TOKEN.len()).any(|part| part == TOKEN)) {
            headers.remove(AUTHORIZATION);
        }
        Self { method, uri, headers, body }
    }

    fn request(&self) -> Request<HttpBody> {
        let mut request = Request::new(HttpBody::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Both ways in.
struct Doors {
    runtime: tokio::runtime::Runtime,
    known: Router,
    unknown: Router,
}

impl Doors {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let api = runtime.block_on(state());
        Self { runtime, known: operations::extractors().with_state(api.clone()), unknown: orrery_api::app(api) }
    }

    fn ask(&self, asked: &Asked) {
        let (status, _) = self.answer(&self.known, asked);
        assert!(!status.is_server_error(), "the extractors answer {status}");
        let path = asked.uri.path();
        if ["/api/v1/auth/login", "/readyz"].contains(&path) {
            return;
        }
        let (status, body) = self.answer(&self.unknown, &asked.of_nobody());
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{}", String::from_utf8_lossy(&body));
        assert!(!String::from_utf8_lossy(&body).contains(SECRET), "a file outside of the page's folder was given away");
        if (path == "/api" || path.starts_with("/api/")) && path != "/api/v1/openapi.json" {
            assert_eq!(status, StatusCode::UNAUTHORIZED, "who is nobody learns nothing of {path}");
        }
    }

    fn answer(&self, router: &Router, asked: &Asked) -> (StatusCode, Bytes) {
        let router = router.clone();
        self.runtime.block_on(async move {
            let Ok(response) = router.oneshot(asked.request()).await;
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, 64 << 20).await.expect("an answer has an end");
            if parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json")
                && !parts.headers.contains_key("content-encoding")
            {
                is_a_problem(&parts.status, &body, &asked.method);
            }
            (parts.status, body)
        })
    }
}

fn is_a_problem(status: &StatusCode, body: &[u8], method: &Method) {
    if *method == Method::HEAD {
        return;
    }
    let problem: Problem = serde_json::from_slice(body).expect("a problem can be read");
    assert_eq!(problem.status, status.as_u16());
    assert_eq!(problem.code.status(), status.as_u16());
}

/// A service that knows no database and no broker.
pub(crate) async fn state() -> Api {
    let web_dir = page();
    let limits = BundleLimits { bytes: 256 * 1024, files: 50, file_bytes: 128 * 1024 };
    let settings = |name: &str| match name {
        "ORRERY_DATABASE_URL" => Some("postgres://nobody@127.0.0.1:1/none".to_owned()),
        "ORRERY_WEB_DIR" => Some(web_dir.to_string_lossy().into_owned()),
        _ => None,
    };
    let config = Config { limits, ..Config::from_lookup(settings).expect("a configuration") };
    let nowhere = BrokerConfig { url: "nats://127.0.0.1:1".to_owned(), user: "api".to_owned(), password_file: None, authority: None };
    Api::new(config, Broker::connect(&nowhere).await.expect("a broker that is away")).expect("a state")
}

/// A folder of a page, with a file beside it that is not the page's.
fn page() -> PathBuf {
    let around = std::env::temp_dir().join("orrery-fuzz");
    let folder = around.join("page");
    std::fs::create_dir_all(&folder).expect("a folder");
    let put = |path: &Path, text: &str| std::fs::write(path, text).expect("a file");
    put(&around.join("secret.txt"), SECRET);
    put(&folder.join("index.html"), "<!doctype html>");
    put(&folder.join("app-1f2e3d4c5b6a7988.js"), "start()");
    folder
}
