//! `POST /bundles`: files that are too large for one request with everything else, as JSON or as an archive.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, ReferenceOr, RequestBody, SchemaObject};
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use orrery_contracts::rest::BundleInfo;
use orrery_contracts::{Bundle, Code};

use super::{Kind, longest, unpack};
use crate::auth::Principal;
use crate::commands::checks;
use crate::extract::{Body, read_all};
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// Stores the files and answers their digest, which stands for them in other requests for a day.
pub async fn upload(State(api): State<Api>, principal: Principal, Files(bundle): Files) -> Answer<Json<BundleInfo>> {
    principal.may_write()?;
    checks::bundle_can_be_taken(&bundle, &api.config.limits)?;
    let digest = api.broker.upload(&bundle).await?;
    Ok(Json(BundleInfo { digest, files: bundle.file_list() }))
}

/// A bundle in whatever form it was sent.
pub struct Files(pub Bundle);

impl FromRequest<Api> for Files {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Answer<Self> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let Some(archive) = Kind::of_content_type(&kind) else {
            return match Body::<Bundle>::from_request(request, api).await {
                Ok(Body(bundle)) => Ok(Self(bundle)),
                Err(refusal) if refusal.code() == Code::UnsupportedMediaType => Err(Refusal::new(
                    Code::UnsupportedMediaType,
                    format!("{kind:?} is not read here; send application/json, application/x-tar, application/gzip or application/zip"),
                )),
                Err(refusal) => Err(refusal),
            };
        };
        let limits = api.config.limits;
        let bytes = read_all(request, longest(&limits)).await?;
        let unpacked = tokio::task::spawn_blocking(move || unpack(archive, &bytes, &limits)).await;
        unpacked.map_err(|error| Refusal::internal("unpacking an archive", &error))?.map(Self)
    }
}

impl OperationInput for Files {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let schema = ctx.schema.subschema_for::<Bundle>();
        let json =
            MediaType { schema: Some(SchemaObject { json_schema: schema, external_docs: None, example: None }), ..MediaType::default() };
        let archives = ["application/x-tar", "application/gzip", "application/zip"].map(|kind| (kind.to_owned(), MediaType::default()));
        let content = std::iter::once(("application/json".to_owned(), json)).chain(archives).collect();
        operation.request_body = Some(ReferenceOr::Item(RequestBody { content, required: true, ..RequestBody::default() }));
    }
}
