//! Requests to the api: JSON in and out, and problems in their own words.

use std::path::Path;

use anyhow::{Context as _, bail};
use orrery_contracts::Problem;
use orrery_contracts::rest::List;
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A WebSocket of the api's.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where Orrery is, and who asks.
pub(crate) struct Api {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    token: String,
}

impl Api {
    /// # Errors
    /// Without a token, or with an address that is none.
    pub(crate) fn new(url: &str, token_file: Option<&Path>) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        if !(base.starts_with("http://") || base.starts_with("https://")) {
            bail!("{url:?} is no address: it must begin with http:// or https://");
        }
        let token = match token_file {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("the token cannot be read from {}", file.display()))?,
            None => std::env::var("ORRERY_TOKEN").context(
                "there is no token: give the file that holds it with --token-file or ORRERY_TOKEN_FILE, or the token itself in ORRERY_TOKEN",
            )?,
        };
        Ok(Self { http: reqwest::Client::new(), base, token: token.trim().to_owned() })
    }

    /// Reads something.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.answered(self.http.get(format!("{}/api/v1{path}", self.base))).await
    }

    /// Asks for a change.
    pub(crate) async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.answered(self.http.request(method, format!("{}/api/v1{path}", self.base)).json(body)).await
    }

    async fn answered<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let answer = request.bearer_auth(&self.token).send().await;
        let answer = answer.with_context(|| format!("Orrery cannot be reached at {}", self.base))?;
        let status = answer.status();
        let body = answer.bytes().await.with_context(|| format!("the answer of {} broke off", self.base))?;
        if !status.is_success() {
            bail!(refusal(&body).unwrap_or_else(|| format!("{} answers {status}", self.base)));
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{} answers what this client cannot read; is it as old as the server?", self.base))
    }

    /// Reads a list to its end.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let mut page: List<T> = self.read(path).await?;
        let mut all = page.items;
        while let Some(after) = page.next.take() {
            let sign = if path.contains('?') { '&' } else { '?' };
            page = self.read(&format!("{path}{sign}after={}", encode(&after))).await?;
            all.append(&mut page.items);
        }
        Ok(all)
    }

    /// Opens a WebSocket.
    pub(crate) async fn socket(&self, path: &str) -> anyhow::Result<Socket> {
        // `http` becomes `ws`, `https` becomes `wss`.
        let address = format!("ws{}/api/v1{path}", self.base.trim_start_matches("http"));
        let mut request = address.into_client_request().with_context(|| format!("{} is no address", self.base))?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", self.token)).context("the token has letters that no token has")?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => {
                let words = answer.body().as_deref().and_then(refusal);
                bail!(words.unwrap_or_else(|| format!("{} answers {}", self.base, answer.status())))
            }
            Err(error) => Err(error).with_context(|| format!("Orrery cannot be reached at {}", self.base)),
        }
    }
}

/// A refusal in its own words.
fn refusal(body: &[u8]) -> Option<String> {
    let problem: Problem = serde_json::from_slice(body).ok()?;
    Some(if problem.detail.is_empty() { problem.title } else { problem.detail })
}

/// One segment of a path, or one value of a query.
pub(crate) fn encode(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    segment.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_holds_no_slash() {
        assert_eq!(encode("ada/web ü"), "ada%2Fweb%20%C3%BC");
    }

    #[test]
    fn an_address_has_a_scheme() {
        let error = Api::new("localhost:8080", None).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("\"localhost:8080\" is no address: it must begin with http:// or https://"));
    }

    #[test]
    fn a_refusal_speaks_for_itself() {
        let body =
            br#"{"type":"/problems/conflict","title":"Conflict","status":409,"code":"conflict","detail":"web is off: start it first"}"#;
        assert_eq!(refusal(body).as_deref(), Some("web is off: start it first"));
        assert_eq!(refusal(b"<html>"), None);
    }
}
