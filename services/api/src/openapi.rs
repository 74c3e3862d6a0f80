//! The OpenAPI document, made from the very types that handlers take and answer. `docs/openapi.json` is its output, and a
//! test fails when that is stale.

use aide::openapi::{Info, OpenApi, SecurityScheme};
use aide::transform::TransformOpenApi;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::problems::Refusal;
use crate::router;

/// The document as text.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn text() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&document())?;
    text.push('\n');
    Ok(text)
}

/// The document.
pub fn document() -> OpenApi {
    aide::generate::extract_schemas(true);
    aide::generate::infer_responses(true);
    let mut document = OpenApi {
        info: Info {
            title: "Orrery".to_owned(),
            summary: Some("A control plane for containers and machines, with one durable order of changes".to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Info::default()
        },
        ..OpenApi::default()
    };
    let _routes = router::routes().finish_api_with(&mut document, describe);
    document
}

fn describe(api: TransformOpenApi<'_>) -> TransformOpenApi<'_> {
    let bearer = SecurityScheme::Http {
        scheme: "bearer".to_owned(),
        bearer_format: None,
        description: Some("An API token".to_owned()),
        extensions: Default::default(),
    };
    let cookie = SecurityScheme::ApiKey {
        location: aide::openapi::ApiKeyLocation::Cookie,
        name: "orrery_session".to_owned(),
        description: Some(
            "A session, from POST /auth/login. Unsafe methods also need the header X-Orrery-CSRF and an Origin of the page".to_owned(),
        ),
        extensions: Default::default(),
    };
    api.security_scheme("token", bearer).security_scheme("session", cookie).default_response::<Refusal>()
}

/// `GET /openapi.json`.
pub async fn openapi() -> Response {
    match text() {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => Refusal::internal("writing the OpenAPI document", &error).into_response(),
    }
}
