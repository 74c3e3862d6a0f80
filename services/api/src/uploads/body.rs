//! `PUT /uploads/{id}`: bytes of an upload, from the beginning or from where `Content-Range` says, as `curl -T <file> -C <offset>` sends
//! them. They go on to the executor as they come; more than a piece of them is never here.

use std::time::Duration;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, ReferenceOr, RequestBody};
use axum::Json;
use axum::body::BodyDataStream;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::CONTENT_RANGE;
use axum::http::request::Parts;
use bytes::BytesMut;
use futures::StreamExt as _;
use orrery_contracts::rpc::{Raw, UPLOAD_PIECE, UploadPiece};
use orrery_contracts::{Code, Upload};
use tokio::time::timeout;

use super::{UploadPath, ask, one, placed};
use crate::auth::Principal;
use crate::extract::{At, With};
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// A client that sends nothing for so long has gone.
const SILENCE: Duration = Duration::from_secs(60);

/// Takes bytes until they end; answers how much of the file has come.
pub async fn put(
    State(api): State<Api>,
    principal: Principal,
    At(path): At<UploadPath>,
    range: Range,
    Content(body): Content,
) -> Answer<With<Json<Upload>>> {
    principal.may_write()?;
    let upload = one(&api, &principal, &path.id).await?;
    if let Some(total) = range.total.filter(|total| *total != upload.of.size) {
        let detail = format!("Content-Range: the upload is of {} bytes, and not of {total}: this is another file", upload.of.size);
        return Err(Refusal::invalid(detail));
    }
    if range.first > upload.received {
        let detail = format!("{0} bytes have come, and these begin at {1}: go on at {0}", upload.received, range.first);
        return Err(Refusal::new(Code::Conflict, detail));
    }
    // A task of its own: when the connection breaks, the request ends and what had come is still passed on.
    let writer = Writer { api, at: range.first, waiting: BytesMut::new(), upload };
    let taken = tokio::spawn(writer.take(body)).await;
    taken.map_err(|error| Refusal::internal("taking an upload", &error))?.map(placed)
}

/// Bytes on their way.
struct Writer {
    api: Api,
    at: u64,
    waiting: BytesMut,
    upload: Upload,
}

impl Writer {
    async fn take(mut self, mut body: BodyDataStream) -> Answer<Upload> {
        loop {
            let came = tokio::select! {
                came = timeout(SILENCE, body.next()) => came,
                // What has come stays, and the answer says how much it is.
                () = self.api.ending.cancelled() => return self.flush().await.map(|()| self.upload),
            };
            let broken = match came {
                Ok(Some(Ok(bytes))) => {
                    self.waiting.extend_from_slice(&bytes);
                    while self.waiting.len() >= UPLOAD_PIECE {
                        self.send(UPLOAD_PIECE).await?;
                    }
                    continue;
                }
                Ok(None) => return self.flush().await.map(|()| self.upload),
                Ok(Some(Err(error))) => error.to_string(),
                Err(_) => format!("nothing came for {} s", SILENCE.as_secs()),
            };
            // Whoever goes on later need not send this again.
            self.flush().await?;
            return Err(Refusal::new(Code::MalformedRequest, format!("the body broke off: {broken}; go on at {}", self.upload.received)));
        }
    }

    /// Sends what is left. With nothing to send, what has come may still have to be closed.
    async fn flush(&mut self) -> Answer<()> {
        self.send(self.waiting.len()).await
    }

    async fn send(&mut self, length: usize) -> Answer<()> {
        let bytes = self.waiting.split_to(length).to_vec();
        let piece = UploadPiece { id: self.upload.of.id, at: self.at, bytes: Raw(bytes) };
        self.upload = ask(&self.api, "upload.put", &piece).await?;
        self.at = self.at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        Ok(())
    }
}

/// Where a body belongs: `Content-Range: bytes <first>-<last>/<total>` (RFC 9110, 14.5); without one, at the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    first: u64,
    total: Option<u64>,
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && total.is_none_or(|total| last < total)).then_some(Self { first, total })
    }
}

impl FromRequestParts<Api> for Range {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Answer<Self> {
        let Some(value) = parts.headers.get(CONTENT_RANGE) else { return Ok(Self::default()) };
        let text = value.to_str().unwrap_or_default();
        let unreadable = || Refusal::new(Code::MalformedRequest, format!("Content-Range: {text:?}: write `bytes <first>-<last>/<size>`"));
        Self::read(text).ok_or_else(unreadable)
    }
}

impl OperationInput for Range {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        crate::extract::header(
            ctx,
            operation,
            "Content-Range",
            "Where the bytes belong, as `bytes <first>-<last>/<size>`; at the beginning without one",
        );
    }
}

/// A body that is read as it comes.
pub struct Content(BodyDataStream);

impl FromRequest<Api> for Content {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Api) -> Answer<Self> {
        Ok(Self(request.into_body().into_data_stream()))
    }
}

impl OperationInput for Content {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let content = [("application/octet-stream".to_owned(), MediaType::default())].into_iter().collect();
        operation.request_body = Some(ReferenceOr::Item(RequestBody { content, required: true, ..RequestBody::default() }));
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    #[test]
    fn a_range_says_where_bytes_belong() {
        let range = |text| Range::read(text).map(|range| (range.first, range.total));
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 0-0/*"), Some((0, None)));
        for strange in ["bytes 5-4/10", "bytes 5-10/10", "bytes */10", "lines 1-2/3", "bytes -5/10", "bytes 1-2"] {
            assert_eq!(range(strange), None, "{strange}");
        }
    }
}
