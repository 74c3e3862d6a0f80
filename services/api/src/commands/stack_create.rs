//! `POST /stacks`: a stack and its version 1.

use axum::extract::State;
use orrery_contracts::command::{CommandType, Create};
use orrery_contracts::rest::{NewStack, Stack};
use orrery_contracts::{Code, Name};

use super::{About, Order, Writer, checks, sources};
use crate::auth::Principal;
use crate::extract::{Accepted, Body};
use crate::problems::{Answer, Refusal, fault};
use crate::queries::named;
use crate::state::Api;

/// Makes a stack.
pub async fn create(State(api): State<Api>, writer: Writer, Body(new): Body<NewStack>) -> Answer<Accepted> {
    let name = stack_name(&new.name)?;
    let bundle = sources::named(&api, new.bundle, new.digest.as_ref()).await?;
    checks::definition_is_valid(&bundle, name.as_str()).await?;
    let sent = sources::sent(&api, bundle).await?;
    let comment = comment(new.comment)?;
    let payload = Create { bundle: sent.bundle, digest: sent.digest, comment };
    let order = Order::new(&writer, CommandType::StackCreate, name.as_str(), payload)?;
    if let Some(before) = order.made_before(&api, &writer).await? {
        return Ok(before);
    }
    must_be_free(&api, &writer.principal, &name).await?;
    order.place(&api, &writer, About { name: name.to_string(), version: Some(1), ..About::default() }).await
}

/// Reads the name of a stack.
pub(crate) fn stack_name(text: &str) -> Answer<Name> {
    text.parse().map_err(|error: orrery_contracts::InvalidName| {
        Refusal::invalid(format!("name: {error}")).with_errors(vec![fault("name", error.to_string())])
    })
}

/// Reads what an author says.
pub(crate) fn comment(text: Option<String>) -> Answer<Option<String>> {
    match text {
        Some(text) if text.chars().count() > 10_000 => Err(Refusal::invalid("the comment is longer than 10000 characters")),
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

/// Refuses a name that one of the caller's own stacks has, unless that one is on its way out.
async fn must_be_free(api: &Api, principal: &Principal, name: &Name) -> Answer<()> {
    crate::consistency::catch_up_with_own_writes(api).await?;
    match named::own::<Stack>(api, principal, name).await? {
        Some(stack) if stack.status != orrery_contracts::StackStatus::Deleting => {
            Err(Refusal::new(Code::NameTaken, format!("you have a stack named {name} already ({})", stack.id)))
        }
        Some(_) | None => Ok(()),
    }
}
