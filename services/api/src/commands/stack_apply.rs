//! `POST /stacks/{id}/apply/{version}`: converge to a version.

use axum::extract::State;
use orrery_contracts::command::{Apply, CommandType, StackAction, Versioning};
use orrery_contracts::rest::Empty;
use orrery_contracts::{Action, Versioned};

use super::{About, Expected, Order, Subject, Writer, checks};
use crate::extract::{Accepted, At, Body};
use crate::problems::{Answer, Refusal};
use crate::queries::line::Line;
use crate::queries::versions::{self, VersionPath};
use crate::state::Api;

/// Applies a version.
pub async fn apply(State(api): State<Api>, writer: Writer, At(path): At<VersionPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    let same = |action: &Action| matches!(action, Action::Stack(StackAction::Versioning(Versioning::Apply { version, .. })) if *version == path.version);
    let stack = match writer.subject(&api, &path.id, same).await? {
        Subject::Stack(stack) => stack,
        Subject::Repeated(answer) => return Ok(*answer),
    };
    let version = version_of(&api, &Line::from(&*stack), path.version).await?;
    let payload = Apply { version: Some(version.version), digest: Some(version.digest.clone()), ..Apply::default() };
    let order = Order::new(&writer, CommandType::StackApply, stack.id.to_string(), payload)?;
    if let Some(before) = order.made_before(&api, &writer).await? {
        return Ok(before);
    }
    can_run(&api, &Line::from(&*stack), &version).await?;
    order.place(&api, &writer, About::stack(&stack, Some(version.version))).await
}

/// A version that exists or that a waiting command will make.
pub(crate) async fn version_of(api: &Api, line: &Line, version: u32) -> Answer<Expected> {
    if let Some(found) = Expected::find(api, line, version).await? {
        return Ok(found);
    }
    // It may have been made this very moment.
    let found = versions::of(api, line, version).await?;
    let expected = Expected::find(api, line, found.version).await?;
    expected.ok_or_else(|| Refusal::not_found(format!("version {version} of {}", line.words())))
}

/// Refuses a version whose definition Orrery does not run.
pub(crate) async fn can_run(api: &Api, line: &Line, version: &Expected) -> Answer<()> {
    match line.of {
        Versioned::Stack(_) if version.is_stored() => checks::stored_definition_can_run(api, &version.digest, &line.project).await,
        Versioned::Stack(_) => checks::definition_can_run(&version.bundle(api).await?, &line.project).await,
        // A machine's definition was checked when its version was made, and there is no other rule.
        Versioned::Machine(_) => Ok(()),
    }
}
