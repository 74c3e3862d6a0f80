//! `POST /stacks/{id}/deploy`: the next version and the convergence to it, in one command.

use axum::extract::State;
use orrery_contracts::Code;
use orrery_contracts::command::{CommandType, StackApply};
use orrery_contracts::rest::NewVersion;

use super::stack_create::comment;
use super::{About, Expected, Order, checks, sources};
use crate::auth::{Client, Principal};
use crate::extract::{Accepted, At, Body, Idempotency};
use crate::problems::{Answer, Refusal};
use crate::queries::stacks;
use crate::state::Api;

/// Makes a version and applies it.
pub async fn deploy(
    State(api): State<Api>,
    principal: Principal,
    client: Client,
    key: Idempotency,
    At(path): At<stacks::StackPath>,
    Body(new): Body<NewVersion>,
) -> Answer<Accepted> {
    principal.may_write()?;
    let stack = stacks::fetch(&api, &principal, &path.id).await?;
    let bundle = sources::named(&api, new.bundle, new.digest.as_ref()).await?;
    if bundle.canonical_bytes().len() > sources::INLINE_BYTES {
        let detail = format!("a deploy carries {} bytes at most; make the version first, then apply it", sources::INLINE_BYTES);
        return Err(Refusal::new(Code::TooLarge, detail));
    }
    checks::definition_can_run(&bundle, &stack.project).await?;
    let payload = StackApply { bundle: Some(bundle), comment: comment(new.comment)?, ..StackApply::default() };
    let order = Order::new(&principal, CommandType::StackApply, stack.id.to_string(), payload)?;
    if let Some(before) = order.made_before(&api, &principal, &key).await? {
        return Ok(before);
    }
    let last = Expected::latest(&api, &stack).await?.map_or(stack.latest_version, |latest| latest.version);
    order.place(&api, &principal, &client, &key, About::stack(&stack, Some(last.saturating_add(1)))).await
}
