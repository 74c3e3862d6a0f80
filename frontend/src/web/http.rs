//! Requests to the api: JSON in, JSON or a problem out. A 401 ends the session for the whole page, wherever it happens.

use std::cell::Cell;

use js_sys::Uint8Array;
use leptos::prelude::*;
use orrery_contracts::{Code, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, RequestInit, Response};

use super::js::window;
use super::presence;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The api says why.
    Problem(Box<Problem>),
    /// The api cannot be reached, or said what cannot be read.
    Unreachable(String),
    /// Nobody waits for the answer any more.
    Aborted,
}

impl Fault {
    /// What a person reads.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Problem(problem) if problem.detail.is_empty() => problem.title.clone(),
            Self::Problem(problem) => problem.detail.clone(),
            Self::Unreachable(why) => format!("Orrery cannot be reached: {why}"),
            Self::Aborted => String::new(),
        }
    }

    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            Self::Unreachable(_) | Self::Aborted => None,
        }
    }
}

thread_local! {
    static SESSION_ENDED: Cell<Option<Callback<()>>> = const { Cell::new(None) };
}

/// Says whom to tell when a request finds no session.
pub(crate) fn on_session_end(tell: Callback<()>) {
    SESSION_ENDED.set(Some(tell));
}

pub(crate) fn session_ended() {
    if let Some(tell) = SESSION_ENDED.get() {
        tell.run(());
    }
}

/// The address of something in the api.
pub(crate) fn api(path: &str) -> String {
    format!("/api/v1{path}")
}

/// Asks for something.
pub(crate) async fn get<T: DeserializeOwned>(path: &str, signal: Option<&AbortSignal>) -> Result<T, Fault> {
    read(&bytes(path, signal).await?)
}

/// Asks for bytes as they are.
pub(crate) async fn bytes(path: &str, signal: Option<&AbortSignal>) -> Result<Vec<u8>, Fault> {
    let init = RequestInit::new();
    init.set_signal(signal);
    if !presence::somebody_is_here()
        && let Ok(headers) = web_sys::Headers::new()
    {
        // What a page asks while nobody uses it must not keep the session alive.
        let _ = headers.set("X-Orrery-Background", "1");
        init.set_headers(&headers);
    }
    call(&api(path), &init).await
}

/// Asks for a file of the page itself.
pub(crate) async fn file<T: DeserializeOwned>(url: &str) -> Result<T, Fault> {
    read(&call(url, &RequestInit::new()).await?)
}

/// Sends something; `version` goes into `If-Match`.
pub(crate) async fn post<T: DeserializeOwned>(path: &str, body: &impl Serialize, version: Option<u32>) -> Result<T, Fault> {
    let body = serde_json::to_string(body).map_err(|error| Fault::Unreachable(error.to_string()))?;
    read(&send(path, &JsValue::from_str(&body), "application/json", version).await?)
}

/// Sends bytes.
pub(crate) async fn upload<T: DeserializeOwned>(path: &str, kind: &str, body: &[u8]) -> Result<T, Fault> {
    read(&send(path, &Uint8Array::from(body), kind, None).await?)
}

/// Sends something whose answer does not matter.
pub(crate) async fn tell(path: &str, body: &impl Serialize) -> Result<(), Fault> {
    let body = serde_json::to_string(body).map_err(|error| Fault::Unreachable(error.to_string()))?;
    send(path, &JsValue::from_str(&body), "application/json", None).await.map(|_| ())
}

/// Sends a part of a file, and where it belongs in it.
pub(crate) async fn put<T: DeserializeOwned>(path: &str, range: Option<&str>, bytes: &JsValue) -> Result<T, Fault> {
    put_as(path, "application/octet-stream", range, bytes).await
}

/// Puts something in the place of what was there.
pub(crate) async fn replace<T: DeserializeOwned>(path: &str, body: &impl Serialize) -> Result<T, Fault> {
    let body = serde_json::to_string(body).map_err(|error| Fault::Unreachable(error.to_string()))?;
    put_as(path, "application/json", None, &JsValue::from_str(&body)).await
}

async fn put_as<T: DeserializeOwned>(path: &str, kind: &str, range: Option<&str>, bytes: &JsValue) -> Result<T, Fault> {
    let init = RequestInit::new();
    init.set_method("PUT");
    init.set_body(bytes);
    let headers = web_sys::Headers::new().map_err(|_| Fault::Unreachable("no headers".into()))?;
    let all = [("Content-Type", kind), ("X-Orrery-CSRF", "1")];
    for (name, value) in all.into_iter().chain(range.map(|range| ("Content-Range", range))) {
        let _ = headers.set(name, value);
    }
    init.set_headers(&headers);
    read(&call(&api(path), &init).await?)
}

async fn send(path: &str, body: &JsValue, kind: &str, version: Option<u32>) -> Result<Vec<u8>, Fault> {
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body(body);
    let headers = web_sys::Headers::new().map_err(|_| Fault::Unreachable("no headers".into()))?;
    let mut all = vec![("Content-Type", kind.to_owned()), ("X-Orrery-CSRF", "1".to_owned())];
    all.extend(version.map(|version| ("If-Match", format!("\"{version}\""))));
    for (name, value) in all {
        let _ = headers.set(name, &value);
    }
    init.set_headers(&headers);
    call(&api(path), &init).await
}

async fn call(url: &str, init: &RequestInit) -> Result<Vec<u8>, Fault> {
    let answer = JsFuture::from(window().fetch_with_str_and_init(url, init)).await.map_err(broken)?;
    let response: Response = answer.unchecked_into();
    let buffer = response.array_buffer().map_err(broken)?;
    let body = Uint8Array::new(&JsFuture::from(buffer).await.map_err(broken)?).to_vec();
    if response.ok() {
        return Ok(body);
    }
    let problem = serde_json::from_slice::<Problem>(&body);
    match problem {
        Ok(problem) => {
            if problem.code == Code::Unauthenticated {
                session_ended();
            }
            Err(Fault::Problem(Box::new(problem)))
        }
        Err(_) => Err(Fault::Unreachable(format!("HTTP status {}", response.status()))),
    }
}

fn broken(error: JsValue) -> Fault {
    let text = |key: &str| js_sys::Reflect::get(&error, &key.into()).ok().and_then(|value| value.as_string()).unwrap_or_default();
    if text("name") == "AbortError" { Fault::Aborted } else { Fault::Unreachable(text("message")) }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::Unreachable(format!("an answer that cannot be read ({error})")))
}
