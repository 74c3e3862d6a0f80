//! A reader of server-sent events, as a browser's EventSource is one: ids remembered, lost connections resumed.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::api::Api;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The id to resume behind; empty when the event has none.
    pub id: String,
    /// `command`, `step`, `stack`, …
    pub kind: String,
    /// The body.
    pub data: Value,
}

/// An open stream of events.
pub struct Live {
    bytes: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Live {
    /// Opens a stream; with an id, behind that event.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn open(api: &Api, path: &str, after: Option<&str>) -> anyhow::Result<Self> {
        let mut request = api.request(reqwest::Method::GET, path).header("accept", "text/event-stream").timeout(Duration::from_secs(600));
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await?;
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        ensure!(response.status() == 200, "the stream answered {}: {}", response.status(), response.text().await?);
        ensure!(kind.starts_with("text/event-stream"), "no event stream but {kind}");
        Ok(Self { bytes: response.bytes_stream().boxed(), buffer: Vec::new() })
    }

    /// The next event; none when the stream has ended. Comments are passed over.
    ///
    /// # Errors
    /// When nothing comes within the time, or the connection breaks.
    pub async fn next(&mut self, within: Duration) -> anyhow::Result<Option<Event>> {
        tokio::time::timeout(within, self.read()).await.with_context(|| format!("no event within {within:?}"))?
    }

    /// Every event up to the first that `last` is true for, that one included.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn until(&mut self, within: Duration, mut last: impl FnMut(&Event) -> bool) -> anyhow::Result<Vec<Event>> {
        let mut all = Vec::new();
        let reading = async {
            while let Some(event) = self.read().await? {
                let ends = last(&event);
                all.push(event);
                if ends {
                    return Ok(());
                }
            }
            anyhow::bail!("the stream ended before it")
        };
        let read = tokio::time::timeout(within, reading).await;
        match read {
            Ok(Ok(())) => Ok(all),
            Ok(Err(error)) => Err(error),
            Err(_) => anyhow::bail!("not seen within {within:?}; the last of {}: {:?}", all.len(), all.last()),
        }
    }

    async fn read(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end.saturating_add(2)).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                    return Ok(Some(event));
                }
            }
            match self.bytes.next().await {
                Some(piece) => self.buffer.extend_from_slice(&piece?),
                None => return Ok(None),
            }
        }
    }
}

fn parse(block: &str) -> Option<Event> {
    let field =
        |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|text| text.trim_start().to_owned());
    let data: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
    if data.is_empty() {
        return None;
    }
    // As a browser does: an event without a name is a message.
    let kind = field("event").unwrap_or_else(|| "message".to_owned());
    let data = data.join("\n");
    let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
    Some(Event { id: field("id").unwrap_or_default(), kind, data })
}
