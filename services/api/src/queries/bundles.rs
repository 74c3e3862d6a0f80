//! `GET /bundles/{digest}`: the files of a version, one of them, an archive of them, or the kept log of a step.
//!
//! A digest is no secret: what lies under it is shown to whom a version or a command that names it may be shown.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as ApiResponse, SchemaObject};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use orrery_contracts::{Bundle, Digest};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::auth::Principal;
use crate::bundles::tar_of;
use crate::commands::sources::canonical_limit;
use crate::extract::{At, Params};
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// The variable of `/bundles/{digest}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BundlePath {
    /// SHA-256 in 64 lower-case hexadecimal characters.
    pub digest: String,
}

/// What of a bundle is wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// One file, as it is.
    pub path: Option<String>,
    /// `json` (the default) or `tar`.
    pub format: Option<String>,
    /// The folder in the archive, and its name.
    pub name: Option<String>,
}

/// The answer of `GET /bundles/{digest}`, in one of its forms.
pub struct Files(Response);

impl IntoResponse for Files {
    fn into_response(self) -> Response {
        self.0
    }
}

impl OperationOutput for Files {
    type Inner = Bundle;

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<ApiResponse> {
        let schema = ctx.schema.subschema_for::<Bundle>();
        let json =
            MediaType { schema: Some(SchemaObject { json_schema: schema, external_docs: None, example: None }), ..MediaType::default() };
        let others = ["application/x-tar", "application/octet-stream", "text/plain"].map(|kind| (kind.to_owned(), MediaType::default()));
        let content = std::iter::once(("application/json".to_owned(), json)).chain(others).collect();
        Some(ApiResponse {
            description: "The files; an archive of them; one file; or a kept log".to_owned(),
            content,
            ..ApiResponse::default()
        })
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, ApiResponse)> {
        Self::operation_response(ctx, operation).map(|response| (Some(200), response)).into_iter().collect()
    }
}

/// Shows files.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<BundlePath>, Params(part): Params<Part>) -> Answer<Files> {
    let not_found = || Refusal::not_found(format!("the bundle {}", path.digest));
    let digest: Digest = path.digest.parse().map_err(|_| not_found())?;
    let bytes = fetch(&api, &principal, &digest).await?.ok_or_else(not_found)?;
    let Ok(bundle) = serde_json::from_slice::<Bundle>(&bytes) else { return Ok(Files(raw(bytes))) };
    if let Some(wanted) = &part.path {
        let file = bundle.files.get(wanted).ok_or_else(|| Refusal::not_found(format!("the file {wanted:?} of the bundle {digest}")))?;
        return Ok(Files(raw(file.bytes.clone().into())));
    }
    match part.format.as_deref() {
        None | Some("json") => Ok(Files(([(CONTENT_TYPE, "application/json")], bytes).into_response())),
        Some("tar") => archive(&bundle, part.name.as_deref()).map(Files),
        Some(other) => Err(Refusal::invalid(format!("format={other}: use json or tar"))),
    }
}

/// The bytes under a digest, for whom they may be shown; whose they are is part of the statement.
async fn fetch(api: &Api, principal: &Principal, digest: &Digest) -> Answer<Option<Bytes>> {
    let shown = sqlx::query_scalar!(
        r#"SELECT $2::text IS NULL
               OR EXISTS (SELECT FROM read.versions v JOIN read.stacks s ON s.id = v.stack_id WHERE v.digest = $1 AND s.owner = $2)
               OR EXISTS (SELECT FROM read.steps t JOIN read.commands c ON c.seq = t.command LEFT JOIN read.stacks s ON s.id = c.stack_id
                          WHERE t.log = $1 AND (c.actor = $2 OR s.owner = $2)) AS "shown!""#,
        digest.as_str(),
        principal.sees_only()
    )
    .fetch_one(&api.database)
    .await?;
    if !shown {
        return Ok(None);
    }
    api.broker.bytes_of(digest, canonical_limit(api)).await
}

/// Bytes that are never more than shown or saved: no browser runs them.
fn raw(bytes: Bytes) -> Response {
    let kind = if std::str::from_utf8(&bytes).is_ok() { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    ([(CONTENT_TYPE, kind)], bytes).into_response()
}

fn archive(bundle: &Bundle, name: Option<&str>) -> Answer<Response> {
    let name = name.unwrap_or("bundle");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || name.len() > 80 || !name.chars().all(plain) {
        return Err(Refusal::invalid(format!("name={name}: use letters, digits, '-', '_' and '.'")));
    }
    let packed = tar_of(bundle, name).map_err(|error| Refusal::internal("packing an archive", &error))?;
    let disposition =
        HeaderValue::from_str(&format!("attachment; filename=\"{name}.tar\"")).unwrap_or(HeaderValue::from_static("attachment"));
    let headers: [(HeaderName, HeaderValue); 2] =
        [(CONTENT_TYPE, HeaderValue::from_static("application/x-tar")), (CONTENT_DISPOSITION, disposition)];
    Ok((headers, packed).into_response())
}
