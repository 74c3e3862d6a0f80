//! `PUT /secrets/{id}/{name}` and `POST /secrets/{id}/{name}/remove`: one command each. A value is sealed here, before anything else sees
//! it, and never shown again.

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orrery_contracts::command::{CommandType, SecretPut, SecretRemove, StackAction};
use orrery_contracts::rest::{Empty, Stack};
use orrery_contracts::{Action, LONGEST_SECRET, NewSecret, SecretName};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{About, Order, Subject, Writer};
use crate::extract::{Accepted, At, Body};
use crate::problems::{Answer, Refusal, fault};
use crate::queries::secrets::sealing_key;
use crate::state::Api;

/// The variables of `/secrets/{id}/{name}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SecretPath {
    /// A stack's id, its name, or `owner/name` (percent-encoded).
    pub id: String,
    /// The secret's name.
    pub name: String,
}

/// Keeps a secret for a stack, or its next version.
pub async fn put(State(api): State<Api>, writer: Writer, At(path): At<SecretPath>, Body(new): Body<NewSecret>) -> Answer<Accepted> {
    let (name, value) = asked_for(&path.name, new)?;
    let same = |action: &Action| matches!(action, Action::Stack(StackAction::SecretPut { name: before, .. }) if *before == name);
    // No two boxes are alike, so that a repeated request is known by its key and its name.
    if let Some(answer) = writer.made_before(&api, same).await? {
        return Ok(*answer);
    }
    let stack = match writer.subject(&api, &path.id, same).await? {
        Subject::Stack(stack) => stack,
        Subject::Repeated(answer) => return Ok(*answer),
    };
    let key = sealing_key(&api, &stack).await?;
    let sealed = orrery_sealing::seal(&key, &value).map_err(|error| Refusal::internal("sealing a value", &error))?;
    place(&api, &writer, &stack, CommandType::StackSecretPut, SecretPut { name, sealed }).await
}

/// Forgets a secret.
pub async fn remove(State(api): State<Api>, writer: Writer, At(path): At<SecretPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    let name = name_of(&path.name)?;
    let same = |action: &Action| matches!(action, Action::Stack(StackAction::SecretRemove { name: before }) if *before == name);
    let stack = match writer.subject(&api, &path.id, same).await? {
        Subject::Stack(stack) => stack,
        Subject::Repeated(answer) => return Ok(*answer),
    };
    place(&api, &writer, &stack, CommandType::StackSecretRemove, SecretRemove { name }).await
}

async fn place<P: serde::Serialize>(api: &Api, writer: &Writer, stack: &Stack, kind: CommandType, payload: P) -> Answer<Accepted> {
    let order = Order::new(writer, kind, stack.id.to_string(), payload)?;
    order.place(api, writer, About::stack(stack, None)).await
}

/// What a request wants to have kept, and under which name.
///
/// # Errors
/// When it is no name, or no value.
pub fn asked_for(name: &str, new: NewSecret) -> Answer<(SecretName, Vec<u8>)> {
    Ok((name_of(name)?, value_of(new)?))
}

fn name_of(name: &str) -> Answer<SecretName> {
    name.parse().map_err(|error: orrery_contracts::InvalidName| {
        Refusal::invalid("this cannot be the name of a secret").with_errors(vec![fault("name", error.to_string())])
    })
}

fn value_of(new: NewSecret) -> Answer<Vec<u8>> {
    let wrong = |path: &str, message: &str| Refusal::invalid("the value cannot be taken").with_errors(vec![fault(path, message)]);
    let value = match (new.value, new.base64) {
        (Some(value), None) => value.into_bytes(),
        (None, Some(text)) => STANDARD.decode(text.trim()).map_err(|_| wrong("base64", "this is no base64"))?,
        (Some(_), Some(_)) => return Err(wrong("base64", "give either value or base64, not both")),
        (None, None) => return Err(wrong("value", "missing; give it as text, or as base64 where it is no text")),
    };
    match value.len() {
        0 => Err(wrong("value", "an empty value is none; remove the secret instead")),
        length if length > LONGEST_SECRET => Err(wrong("value", &format!("it has {length} bytes; {LONGEST_SECRET} is the most"))),
        _ => Ok(value),
    }
}
