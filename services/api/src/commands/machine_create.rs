//! `POST /machines`: a machine and its version 1.

use axum::extract::State;
use orrery_contracts::command::{CommandType, Create};
use orrery_contracts::rest::{Machine, NewStack};
use orrery_contracts::{Bundle, Code, Located, MachineStatus, Name};

use super::checks::located;
use super::stack_create::{comment, stack_name};
use super::{About, Order, Writer, sources};
use crate::auth::Principal;
use crate::extract::{Accepted, Body};
use crate::problems::{Answer, Refusal};
use crate::queries::named;
use crate::state::Api;

/// Makes a machine.
pub async fn create(State(api): State<Api>, writer: Writer, Body(new): Body<NewStack>) -> Answer<Accepted> {
    let name = stack_name(&new.name)?;
    let bundle = sources::named(&api, new.bundle, new.digest.as_ref()).await?;
    definition_is_valid(&bundle).await?;
    let sent = sources::sent(&api, bundle).await?;
    let payload = Create { bundle: sent.bundle, digest: sent.digest, comment: comment(new.comment)? };
    let order = Order::new(&writer, CommandType::MachineCreate, name.as_str(), payload)?;
    if let Some(before) = order.made_before(&api, &writer).await? {
        return Ok(before);
    }
    must_be_free(&api, &writer.principal, &name).await?;
    order.place(&api, &writer, About { name: name.to_string(), version: Some(1), ..About::default() }).await
}

/// Refuses a definition that is no machine's.
///
/// # Errors
/// 422 with located errors.
pub(crate) async fn definition_is_valid(bundle: &Bundle) -> Answer<()> {
    let files = bundle.files.iter().map(|(path, file)| (path.clone(), file.bytes.clone())).collect();
    let read = tokio::task::spawn_blocking(move || orrery_machine::load(&files)).await;
    let outcome = read.map_err(|error| Refusal::internal("reading a definition", &error))?;
    let errors: Vec<Located> = outcome.problems.iter().filter(|problem| problem.blocks()).map(located).collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(Code::InvalidDefinition, format!("the definition has {} error(s)", errors.len())).with_errors(errors))
}

/// Refuses a name that one of the caller's own machines has, unless that one is on its way out.
async fn must_be_free(api: &Api, principal: &Principal, name: &Name) -> Answer<()> {
    crate::consistency::catch_up_with_own_writes(api).await?;
    match named::own::<Machine>(api, principal, name).await? {
        Some(machine) if machine.status != MachineStatus::Deleting => {
            Err(Refusal::new(Code::NameTaken, format!("you have a machine named {name} already ({})", machine.id)))
        }
        Some(_) | None => Ok(()),
    }
}
