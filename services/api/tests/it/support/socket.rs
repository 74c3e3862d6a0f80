//! A WebSocket of a caller's.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Answer, Caller, SOON};

/// How long a close may take: an executor that says nothing more is waited for.
const CLOSES: Duration = Duration::from_secs(90);

pub struct Socket(WebSocketStream<TcpStream>);

impl Caller {
    /// Opens a WebSocket, or is refused.
    pub async fn socket(&self, path: &str) -> Result<Socket, Answer> {
        let address = self.address().trim_start_matches("http://").to_owned();
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in self.headers() {
            let (name, value) = (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
            request.headers_mut().insert(name, value);
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(Error::Http(response)) => {
                let (parts, body) = response.into_parts();
                let text = String::from_utf8(body.unwrap_or_default()).unwrap();
                let json = serde_json::from_str(&text).unwrap_or_default();
                Err(Answer { status: parts.status.as_u16(), headers: parts.headers, text, json })
            }
            Err(other) => panic!("{other}"),
        }
    }
}

impl Socket {
    pub async fn say(&mut self, text: &str) {
        self.0.send(Message::binary(text.as_bytes().to_vec())).await.unwrap();
    }

    /// The next that is said, after the empty message with which it begins.
    pub async fn hear(&mut self) -> String {
        loop {
            match timeout(SOON, self.0.next()).await.expect("something is said").unwrap().unwrap() {
                Message::Binary(bytes) if bytes.is_empty() => {}
                Message::Binary(bytes) => return String::from_utf8(bytes.into()).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Text(_) | Message::Close(_) | Message::Frame(_)) => panic!("{other:?}"),
            }
        }
    }

    /// How it is closed: code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match timeout(CLOSES, self.0.next()).await.expect("it is closed").unwrap().unwrap() {
                Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Text(_) | Message::Close(None) | Message::Frame(_)) => panic!("{other:?}"),
            }
        }
    }
}
