//! A caller of the api: nobody, a browser with a cookie, or a script with a token; and what he is answered.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

/// Somebody who calls.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    address: String,
    headers: Vec<(String, String)>,
}

/// What he is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The code of the problem that this is.
    pub fn code(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], self.status, "{self:?}");
        self.json["code"].as_str().unwrap()
    }

    /// The same, when the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Status and body, for a snapshot.
    pub fn shown(&self) -> BTreeMap<&'static str, Value> {
        [("status", self.status.into()), ("body", self.json.clone())].into()
    }
}

impl Caller {
    pub fn new(address: &str) -> Self {
        let http = reqwest::Client::builder().no_gzip().build().unwrap();
        Self { http, address: address.to_owned(), headers: Vec::new() }
    }

    pub fn with_token(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// The same caller, who also sends this header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A browser on the page: cookie, origin and the header against forgery.
    pub fn on_page(self, cookie: &str) -> Self {
        let origin = self.address.clone();
        self.with("cookie", cookie).with("origin", &origin).with("x-orrery-csrf", "1")
    }

    /// Where he calls.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What he sends along.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(reqwest::Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::POST, path, Some(("application/json", body.to_string().into_bytes()))).await
    }

    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.send(reqwest::Method::POST, path, None).await
    }

    pub async fn send(&self, method: reqwest::Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Answer {
        let response = self.request(method, path, body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, json }
    }

    /// Sends bytes, and where they belong.
    pub async fn put(&self, path: &str, range: Option<&str>, bytes: Vec<u8>) -> Answer {
        let caller = range.map_or_else(|| self.clone(), |range| self.clone().with("content-range", range));
        caller.send(reqwest::Method::PUT, path, Some(("application/octet-stream", bytes))).await
    }

    /// An answer that is read as it comes.
    pub async fn stream(&self, path: &str) -> reqwest::Response {
        self.request(reqwest::Method::GET, path, None).send().await.unwrap()
    }

    fn request(&self, method: reqwest::Method, path: &str, body: Option<(&str, Vec<u8>)>) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.address));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match body {
            Some((kind, body)) => request.header(CONTENT_TYPE, kind).body(body),
            None => request,
        }
    }
}
