//! What a refusal leaves unread of a body is read and dropped before the answer goes out: a connection that is closed over
//! bytes on their way tells the client "broken pipe" in place of the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;

/// The most that is read in vain; a client that sends more is cut off.
const MOST: usize = 64 << 20;
/// The longest that a client may take for it.
const LONGEST: Duration = Duration::from_secs(10);

/// A body that two hold: who answers, and who reads what is left.
#[derive(Clone)]
struct Shared(Arc<Mutex<Held>>);

struct Held {
    body: Body,
    /// Whether anybody has begun to read it.
    begun: bool,
}

impl Shared {
    fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Held { body, begun: false })))
    }

    fn with<T>(&self, read: impl FnOnce(&mut Held) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        self.with(|held| {
            held.begun = true;
            Pin::new(&mut held.body).poll_frame(cx)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.with(|held| held.body.is_end_stream())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.with(|held| held.body.size_hint())
    }
}

/// The layer.
pub(crate) async fn refusals(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Such a client sends nothing before it was told to go on.
    let asks_first = request.headers().contains_key(EXPECT);
    let (parts, body) = request.into_parts();
    let shared = Shared::new(body);
    let response = next.run(Request::from_parts(parts, Body::new(shared.clone()))).await;
    let unasked = asks_first && !shared.with(|held| held.begun);
    if !response.status().is_success() && !unasked && !shared.is_end_stream() {
        let _ = tokio::time::timeout(LONGEST, rest_of(Body::new(shared))).await;
    }
    response
}

async fn rest_of(body: Body) {
    let mut frames = body.into_data_stream();
    let mut read = 0_usize;
    while let Some(Ok(bytes)) = frames.next().await {
        read = read.saturating_add(bytes.len());
        if read > MOST {
            return;
        }
    }
}
