//! The variables of a path.
//!
//! A variable that cannot be read is a thing that does not exist.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use orrery_contracts::Code;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// The variables of a path, as a struct with their names.
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for At<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Answer<Self> {
        let read = Path::<T>::from_request_parts(parts, api).await;
        read.map(|Path(value)| Self(value))
            .map_err(|error| Refusal::new(Code::NotFound, format!("the address cannot be read: {}", error.body_text())))
    }
}

impl<T: JsonSchema> OperationInput for At<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Path::<T>::operation_input(ctx, operation);
    }
}
