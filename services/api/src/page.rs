//! The page's static files: hashed names for ever, `index.html` never kept, compressed copies where they were built, and
//! the page itself for every address that is the page's to route.
//!
//! It must not answer for the API: what is unknown under `/api` is a problem, never the page.

use std::path::Path;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use orrery_contracts::Code;
use tower::ServiceExt as _;
use tower_http::services::ServeDir;

use crate::auth::Principal;
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// What the page may load: its own files, WebAssembly, and pictures in its own style sheets. The editor brings its styles as
/// objects into a shadow root, so that no style element has to be allowed. Attributes are: the browser itself writes one
/// when somebody types over a selection.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; style-src-attr 'unsafe-inline'; \
                      img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");
const KEEP_NOTHING: HeaderValue = HeaderValue::from_static("no-store");

/// Answers whatever no route of the API answers.
pub async fn page(State(api): State<Api>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if is_of_the_api(&path) {
        let (mut parts, body) = request.into_parts();
        if let Err(refusal) = may_know_of(&mut parts, &api).await {
            return refusal.into_response();
        }
        let request = Request::from_parts(parts, body);
        return Refusal::new(
            Code::NoSuchRoute,
            format!("{} {path} is not in this API; /api/v1/openapi.json lists what is", request.method()),
        )
        .into_response();
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let refusal = Refusal::new(Code::MethodNotAllowed, format!("{path} can only be read"));
        return refusal.with_header(ALLOW, HeaderValue::from_static("GET, HEAD")).into_response();
    }
    if let Some(word) = path.strip_prefix("/problems/") {
        return explained(word);
    }
    let is_page = !last_part(&path).contains('.');
    if is_page {
        return index(&api.config.web_dir, request).await;
    }
    if !is_plain(&path) {
        return Refusal::new(Code::NoSuchRoute, "the page has no file of such a name").into_response();
    }
    let mut response = file(&api.config.web_dir, request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return Refusal::new(Code::NoSuchRoute, format!("{path} is not a file of the page")).into_response();
    }
    let keep = if is_hashed(last_part(&path)) { FOR_EVER } else { ASK_EACH_TIME };
    response.headers_mut().insert(CACHE_CONTROL, keep);
    response
}

fn is_of_the_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// Who is nobody learns nothing of the API, not even what it does not have; but that one signs in by POST.
///
/// # Errors
/// 401 for who is nobody.
pub async fn may_know_of(parts: &mut Parts, api: &Api) -> Answer<()> {
    const OPEN: [&str; 2] = ["/api/v1/auth/login", "/api/v1/openapi.json"];
    let path = parts.uri.path();
    if !is_of_the_api(path) || OPEN.contains(&path) {
        return Ok(());
    }
    Principal::from_request_parts(parts, api).await.map(drop)
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Whether the page could have a file of this name: a file system fails at others, and that would look like our failure.
fn is_plain(path: &str) -> bool {
    path.len() <= 255 && path.chars().all(|c| c.is_ascii_alphanumeric() || ['/', '.', '-', '_'].contains(&c))
}

/// Whether a file's name changes with its content: `app-1f2e3d4c5b6a7988.js`, `editor.X7K2P9QD.css`.
fn is_hashed(name: &str) -> bool {
    let hash = |part: &str| part.len() >= 8 && part.chars().all(|c| c.is_ascii_alphanumeric()) && part.chars().any(|c| c.is_ascii_digit());
    name.split(['-', '.', '_']).skip(1).any(hash)
}

/// What a problem's `type` leads to: its code in words, and what to do.
fn explained(word: &str) -> Response {
    let Some(code) = Code::ALL.into_iter().find(|code| code.as_str() == word) else {
        return Refusal::new(Code::NoSuchRoute, format!("{word:?} is not a code of this API")).into_response();
    };
    let text = format!("{}\nHTTP {} · {}\n\n{}\n", code.title(), code.status(), code.as_str(), code.advice());
    ([(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")), (CACHE_CONTROL, ASK_EACH_TIME)], text).into_response()
}

async fn file(folder: &Path, request: Request) -> Response {
    let files = ServeDir::new(folder).precompressed_br().precompressed_gzip().append_index_html_on_directories(false);
    match files.oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

async fn index(folder: &Path, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    // Conditions of the request are about another address.
    for condition in [axum::http::header::IF_MODIFIED_SINCE, axum::http::header::IF_NONE_MATCH, axum::http::header::RANGE] {
        parts.headers.remove(condition);
    }
    parts.uri = axum::http::Uri::from_static("/index.html");
    let mut response = file(folder, Request::from_parts(parts, body)).await;
    if response.status() == StatusCode::NOT_FOUND {
        return not_built(folder);
    }
    response.headers_mut().insert(CACHE_CONTROL, KEEP_NOTHING);
    response
}

fn not_built(folder: &Path) -> Response {
    let text = format!(
        "The page is not built: there is no index.html in {}.\n\nBuild it with `cargo xtask web`, or set ORRERY_WEB_DIR to the folder of a built page.\n\
         The REST API works without it: /api/v1/openapi.json describes it.\n",
        folder.display()
    );
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")), (CACHE_CONTROL, KEEP_NOTHING)];
    (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response()
}

/// Headers that every answer has: nothing of ours is framed, sniffed or told to others.
pub async fn protect(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "DENY");
    set(REFERRER_POLICY, "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(CONTENT_SECURITY_POLICY, if is_api { "default-src 'none'; frame-ancestors 'none'" } else { POLICY });
    if is_api {
        set(CACHE_CONTROL, "no-store");
    }
    response
}

#[cfg(test)]
mod tests {
    use super::{is_hashed, is_plain};

    #[test]
    fn a_name_that_no_file_can_have_is_not_looked_for() {
        for plain in ["/app-1f2e3d4c5b6a7988.js", "/fonts/mono_400.woff2"] {
            assert!(is_plain(plain), "{plain}");
        }
        for strange in ["/a%00.js", "/%2e%2e/secret.txt", &format!("/{}.js", "a".repeat(300))] {
            assert!(!is_plain(strange), "{strange}");
        }
    }

    #[test]
    fn only_names_that_change_with_their_content_are_kept_for_ever() {
        for hashed in ["app-1f2e3d4c5b6a7988.js", "page_bg-0a1b2c3d.wasm", "editor.X7K2P9QD.css"] {
            assert!(is_hashed(hashed), "{hashed}");
        }
        for plain in ["index.html", "favicon.svg", "12345678.js", "manifest.json", "web-components.js"] {
            assert!(!is_hashed(plain), "{plain}");
        }
    }
}
