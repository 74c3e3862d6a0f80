//! Proof that a request with a cookie comes from the page and not from another site in the same browser.
//!
//! Unsafe methods need the header `X-Orrery-CSRF` and an `Origin` of our own; a safe one (an event stream, say) must not
//! have a foreign `Origin`. A WebSocket is no safe method whatever its first request says, and a browser gives it no headers of the
//! page's own: it needs an `Origin` of our own.

use axum::http::header::{HOST, ORIGIN, UPGRADE};
use axum::http::{HeaderMap, Method};
use orrery_contracts::Code;

use crate::problems::{Answer, Refusal};

/// The header that another site cannot send without being asked for leave.
pub(crate) const CSRF_HEADER: &str = "x-orrery-csrf";

/// Refuses what another site may have caused.
pub(crate) fn must_be_the_page(method: &Method, headers: &HeaderMap) -> Answer<()> {
    let origin = headers.get(ORIGIN).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(origin) = origin.filter(|origin| !is_own(origin, headers)) {
        return Err(cross_site(format!("the origin {origin} is not this page")));
    }
    if method.is_safe() && !headers.contains_key(UPGRADE) {
        return Ok(());
    }
    if origin.is_none() {
        let detail = "with a cookie, a change or a WebSocket needs the Origin that a browser sends; scripts use a token";
        return Err(cross_site(detail.to_owned()));
    }
    if !method.is_safe() && !headers.contains_key(CSRF_HEADER) {
        return Err(cross_site("with a cookie, a change needs the header X-Orrery-CSRF".to_owned()));
    }
    Ok(())
}

/// Signing in sets a cookie, so another site must not be able to do it either.
pub(crate) fn must_not_be_foreign(headers: &HeaderMap) -> Answer<()> {
    match headers.get(ORIGIN).map(|value| value.to_str().unwrap_or("unreadable")) {
        Some(origin) if !is_own(origin, headers) => Err(cross_site(format!("the origin {origin} is not this page"))),
        Some(_) | None => Ok(()),
    }
}

fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    !host.is_empty() && authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn cross_site(detail: String) -> Refusal {
    Refusal::new(Code::CrossSite, detail)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Method};

    fn judged(method: &Method, headers: &[(&'static str, &'static str)]) -> bool {
        let headers: HeaderMap = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        super::must_be_the_page(method, &headers).is_ok()
    }

    #[test]
    fn a_change_with_a_cookie_needs_the_header_and_our_own_origin() {
        let host = ("host", "orrery.example:8080");
        let own = ("origin", "http://orrery.example:8080");
        let foreign = ("origin", "http://orrery.example.evil:8080");
        let csrf = ("x-orrery-csrf", "1");
        assert!(judged(&Method::POST, &[host, own, csrf]));
        assert!(!judged(&Method::POST, &[host, own]));
        assert!(!judged(&Method::POST, &[host, csrf]));
        assert!(!judged(&Method::POST, &[host, foreign, csrf]));
        assert!(!judged(&Method::POST, &[host, ("origin", "null"), csrf]));
        assert!(judged(&Method::GET, &[host]));
        assert!(!judged(&Method::GET, &[host, foreign]));
    }

    #[test]
    fn a_websocket_with_a_cookie_needs_our_own_origin() {
        let (host, socket) = (("host", "orrery.example"), ("upgrade", "websocket"));
        assert!(judged(&Method::GET, &[host, socket, ("origin", "https://orrery.example")]));
        assert!(!judged(&Method::GET, &[host, socket]));
        assert!(!judged(&Method::GET, &[host, socket, ("origin", "https://orrery.example.evil")]));
    }
}
