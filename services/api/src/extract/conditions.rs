//! The headers that make a write safe to repeat and safe against another author: `Idempotency-Key` and `If-Match`.
//!
//! They are only read here; what follows from them is for the commands.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Parameter, ParameterData, ParameterSchemaOrContent, ReferenceOr, SchemaObject};
use axum::extract::FromRequestParts;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use orrery_contracts::{Code, CommandId, Name};
use uuid::Uuid;

use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// The value of `Idempotency-Key`, when there is one.
#[derive(Clone, Debug, Default)]
pub struct Idempotency(Option<String>);

impl Idempotency {
    /// The id of the command: the same for the same user and key, a new one without a key.
    pub fn command_id(&self, user: &Name) -> CommandId {
        match &self.0 {
            Some(key) => CommandId::new(Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_OID, user.as_str().as_bytes()), key.as_bytes())),
            None => CommandId::new(Uuid::now_v7()),
        }
    }

    /// Whether the caller gave a key.
    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }
}

impl FromRequestParts<Api> for Idempotency {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Answer<Self> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        match value.to_str().map(str::trim) {
            Ok(key) if (1..=255).contains(&key.len()) => Ok(Self(Some(key.to_owned()))),
            Ok(_) | Err(_) => Err(Refusal::new(Code::MalformedRequest, "Idempotency-Key: use 1 to 255 printable characters")),
        }
    }
}

/// The version that `If-Match` names, when there is one. `*` is any version.
#[derive(Clone, Copy, Debug, Default)]
pub struct IfMatch(pub Option<u32>);

impl FromRequestParts<Api> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Answer<Self> {
        let Some(value) = parts.headers.get(IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let inner = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let number = inner.and_then(|digits| digits.parse().ok());
        let unreadable = || {
            Refusal::new(
                Code::MalformedRequest,
                format!("If-Match: {text}: write the latest version in quotes, as the ETag of the stack has it"),
            )
        };
        number.map(|number| Self(Some(number))).ok_or_else(unreadable)
    }
}

impl OperationInput for Idempotency {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        header(ctx, operation, "Idempotency-Key", "The same key with the same body answers with the same command");
    }
}

impl OperationInput for IfMatch {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        header(ctx, operation, "If-Match", "The latest version that the author saw, in quotes: the ETag of the stack");
    }
}

/// Describes a header that may be sent.
pub(crate) fn header(ctx: &mut GenContext, operation: &mut Operation, name: &str, description: &str) {
    let schema = ctx.schema.subschema_for::<String>();
    let parameter_data = ParameterData {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: None,
        format: ParameterSchemaOrContent::Schema(SchemaObject { json_schema: schema, external_docs: None, example: None }),
        example: None,
        examples: Default::default(),
        explode: None,
        extensions: Default::default(),
    };
    operation.parameters.push(ReferenceOr::Item(Parameter::Header { parameter_data, style: Default::default() }));
}
