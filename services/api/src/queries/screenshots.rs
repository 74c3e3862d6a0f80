//! `GET /machines/{id}/screenshot.png`: what the screen of a machine shows now.

use std::time::Duration;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as ApiResponse};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use orrery_contracts::rest::Machine;
use orrery_contracts::rpc::{MachineQuestion, StreamFrame};
use orrery_contracts::{Code, Engine};
use tokio::time::timeout;

use super::named::{self, NamedPath};
use crate::auth::Principal;
use crate::extract::At;
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// The largest picture, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;
/// How long the executor may take over it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The picture.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<NamedPath>) -> Answer<Png> {
    let machine: Machine = named::fetch(&api, &principal, &path.id).await?;
    let question = MachineQuestion { machine_id: machine.id };
    let mut frames = api.broker.ask_for_frames(&api.executors, (Engine::Libvirt, &machine.host), "screenshot", &question).await?;
    let away = || Refusal::new(Code::ExecutorAway, "the executor did not send the whole picture; ask again");
    let mut picture = BytesMut::new();
    loop {
        match timeout(PATIENCE, frames.next()).await.map_err(|_| away())? {
            Some(StreamFrame::Bytes(piece)) => picture.extend_from_slice(&piece.0),
            Some(StreamFrame::End { problem: None }) => return Ok(Png(picture.freeze())),
            Some(StreamFrame::End { problem: Some(problem) }) => return Err(Refusal::of(problem)),
            Some(StreamFrame::Open { .. } | StreamFrame::Lines(_)) => {}
            None => return Err(away()),
        }
        if picture.len() > LARGEST {
            return Err(Refusal::new(Code::TooLarge, format!("the picture has more than {LARGEST} bytes")));
        }
    }
}

/// A picture.
pub struct Png(Bytes);

impl IntoResponse for Png {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("image/png")), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        (headers, self.0).into_response()
    }
}

impl OperationOutput for Png {
    type Inner = Bytes;

    fn operation_response(_: &mut GenContext, _: &mut Operation) -> Option<ApiResponse> {
        Some(ApiResponse {
            description: "A picture".to_owned(),
            content: [("image/png".to_owned(), MediaType::default())].into_iter().collect(),
            ..ApiResponse::default()
        })
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, ApiResponse)> {
        Self::operation_response(ctx, operation).map(|response| (Some(200), response)).into_iter().collect()
    }
}
