//! What handlers give back beside plain JSON: a body with headers, and the `202` of an accepted command.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as ApiResponse};
use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use orrery_contracts::rest::Command;

/// An answer with one more header.
pub struct With<T> {
    /// The header's name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
    /// The answer.
    pub answer: T,
}

impl<T: IntoResponse> IntoResponse for With<T> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        response.headers_mut().append(self.name, self.value);
        response
    }
}

impl<T: OperationOutput> OperationOutput for With<T> {
    type Inner = T::Inner;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<ApiResponse> {
        T::operation_response(ctx, operation)
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, ApiResponse)> {
        T::inferred_responses(ctx, operation)
    }
}

/// `202 Accepted`: the command that the broker has, and where to follow it.
pub struct Accepted(pub Command);

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let location = HeaderValue::from_str(&format!("/api/v1/commands/{}", self.0.id));
        let mut response = (StatusCode::ACCEPTED, Json(self.0)).into_response();
        if let Ok(location) = location {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

impl OperationOutput for Accepted {
    type Inner = Command;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<ApiResponse> {
        <Json<Command>>::operation_response(ctx, operation)
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, ApiResponse)> {
        Self::operation_response(ctx, operation).map(|response| (Some(202), response)).into_iter().collect()
    }
}
