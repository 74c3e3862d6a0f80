//! The pipe between whoever makes events and the connection that takes them: short, and cut when it stays full.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as ApiResponse};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;

use super::KEEP_ALIVE;

/// How many events may wait for a reader.
const LENGTH: usize = 128;
/// How long a full pipe is waited for before its reader counts as gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// The end that events are put into.
pub(super) struct Inlet(mpsc::Sender<Event>);

impl Inlet {
    /// Puts an event in; false when nobody reads any more.
    pub(super) async fn put(&self, event: Event) -> bool {
        self.0.send_timeout(event, PATIENCE).await.is_ok()
    }

    /// Resolves when the reader has gone.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// The answer that carries the events.
pub struct Events(BoxStream<'static, Event>);

impl Events {
    /// These events, each made when the connection takes it.
    pub(super) fn new(events: impl Stream<Item = Event> + Send + 'static) -> Self {
        Self(events.boxed())
    }
}

/// A new pipe.
pub(super) fn pipe() -> (Inlet, Events) {
    let (sender, mut receiver) = mpsc::channel(LENGTH);
    (Inlet(sender), Events::new(stream::poll_fn(move |context| receiver.poll_recv(context))))
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context).map(|event| event.map(Ok))
    }
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let mut response = Sse::new(self).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // A reverse proxy must pass events on as they come.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response
    }
}

impl OperationOutput for Events {
    type Inner = String;

    fn operation_response(_: &mut GenContext, _: &mut Operation) -> Option<ApiResponse> {
        Some(ApiResponse {
            description: "Server-sent events".to_owned(),
            content: [("text/event-stream".to_owned(), MediaType::default())].into_iter().collect(),
            ..ApiResponse::default()
        })
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, ApiResponse)> {
        Self::operation_response(ctx, operation).map(|response| (Some(200), response)).into_iter().collect()
    }
}
