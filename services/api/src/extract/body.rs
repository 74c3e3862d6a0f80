//! A JSON body. No body at all is the same as `{}`, whatever its Content-Type says.
//!
//! What is no JSON answers 400, JSON of another shape 422; both with line and column.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, ReferenceOr, RequestBody, SchemaObject};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use orrery_contracts::{Code, Located, Severity};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// The parsed body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Answer<Self> {
        let headers = request.headers().clone();
        let bytes = read_all(request, api.config.limits.bytes.saturating_mul(2).saturating_add(1 << 20)).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return parse(b"{}").map(Body);
        }
        must_be_json(&headers)?;
        parse(&bytes).map(Body)
    }
}

/// The whole body, unless it is larger than `limit`.
///
/// # Errors
/// 413 when it is larger, 400 when it breaks off.
pub async fn read_all(request: Request, limit: usize) -> Answer<Bytes> {
    let announced = request.headers().get(axum::http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let too_large = || Refusal::new(Code::TooLarge, format!("the body is larger than the {limit} bytes that are read here"));
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    axum::body::to_bytes(request.into_body(), limit).await.map_err(|error| {
        let over = std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("length limit"));
        if over { too_large() } else { Refusal::new(Code::MalformedRequest, format!("the body broke off: {error}")) }
    })
}

fn must_be_json(headers: &HeaderMap) -> Answer<()> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || kind.ends_with("+json") {
        return Ok(());
    }
    Err(Refusal::new(Code::UnsupportedMediaType, format!("{kind:?} is not read here; send application/json")))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        // A strange field may be met before the place where the text stops being JSON; that it is no JSON comes first.
        let broken = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).err();
        let code = if broken.is_some() { Code::MalformedRequest } else { Code::InvalidRequest };
        let error = broken.unwrap_or(error);
        let place = |number: usize| u32::try_from(number).ok().filter(|number| *number > 0);
        let located = Located {
            file: None,
            line: place(error.line()),
            column: place(error.column()),
            path: String::new(),
            message: error.to_string(),
            hint: None,
            severity: Severity::Error,
        };
        Refusal::new(code, format!("the body cannot be read: {error}")).with_errors(vec![located])
    })
}

impl<T: JsonSchema> OperationInput for Body<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let schema = ctx.schema.subschema_for::<T>();
        let media =
            MediaType { schema: Some(SchemaObject { json_schema: schema, external_docs: None, example: None }), ..MediaType::default() };
        operation.request_body = Some(ReferenceOr::Item(RequestBody {
            content: [("application/json".to_owned(), media)].into_iter().collect(),
            ..RequestBody::default()
        }));
    }
}

#[cfg(test)]
mod tests {
    use orrery_contracts::Code;
    use orrery_contracts::rest::DeleteStack;

    #[test]
    fn what_is_no_json_and_what_has_another_shape_are_told_apart() {
        let broken = super::parse::<DeleteStack>(b"{\n \"volumes\": tru").err().unwrap();
        assert_eq!(broken.code(), Code::MalformedRequest);
        assert_eq!(broken.problem().errors[0].line, Some(2));
        let both = super::parse::<DeleteStack>(b"{\"volume\": tru").err().unwrap();
        assert_eq!(both.code(), Code::MalformedRequest);
        let strange = super::parse::<DeleteStack>(b"{\"volume\": true}").err().unwrap();
        assert_eq!(strange.code(), Code::InvalidRequest);
    }
}
