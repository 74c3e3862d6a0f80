//! `POST /stacks/{id}/versions`: the next version of a stack.

use axum::extract::State;
use axum::http::header::ETAG;
use orrery_contracts::command::{CommandType, StackAction, VersionCreate, Versioning};
use orrery_contracts::rest::NewVersion;
use orrery_contracts::{Action, Bundle, Code, Problem};

use super::stack_create::comment;
use super::{About, Expected, Order, Subject, Writer, checks, sources};
use crate::extract::{Accepted, At, Body, IfMatch};
use crate::problems::{Answer, Refusal};
use crate::queries::diff;
use crate::queries::line::Line;
use crate::queries::named::{NamedPath, etag};
use crate::state::Api;

/// Makes a version; with `If-Match` only when nobody saved in between.
pub async fn create(
    State(api): State<Api>,
    writer: Writer,
    IfMatch(expected_version): IfMatch,
    At(path): At<NamedPath>,
    Body(new): Body<NewVersion>,
) -> Answer<Accepted> {
    order_version(&api, &writer, &path, new, expected_version, Then::Stays).await
}

/// What becomes of a version that is made.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// Nothing, until somebody applies it.
    Stays,
    /// It is applied by the same command.
    Runs,
}

/// Orders the next version of a stack.
pub(super) async fn order_version(
    api: &Api,
    writer: &Writer,
    path: &NamedPath,
    new: NewVersion,
    expected_version: Option<u32>,
    then: Then,
) -> Answer<Accepted> {
    let bundle = sources::named(api, new.bundle, new.digest.as_ref()).await?;
    let same = |action: &Action| match (then, action) {
        (Then::Stays, Action::Stack(StackAction::Versioning(Versioning::Version { source, .. })))
        | (Then::Runs, Action::Stack(StackAction::Versioning(Versioning::Deploy { source, .. }))) => source.digest() == bundle.digest(),
        _ => false,
    };
    let stack = match writer.subject(api, &path.id, same).await? {
        Subject::Stack(stack) => stack,
        Subject::Repeated(answer) => return Ok(*answer),
    };
    let kind = match then {
        Then::Stays => {
            checks::definition_is_valid(&bundle, &stack.project).await?;
            CommandType::StackVersionCreate
        }
        Then::Runs => {
            checks::definition_can_run(&bundle, &stack.project).await?;
            CommandType::StackDeploy
        }
    };
    let sent = sources::sent(api, bundle).await?;
    let payload = VersionCreate { bundle: sent.bundle, digest: sent.digest, comment: comment(new.comment)?, expected_version };
    let order = Order::new(writer, kind, stack.id.to_string(), payload)?;
    if let Some(before) = order.made_before(api, writer).await? {
        return Ok(before);
    }
    let next = next_version(api, &Line::from(&*stack), expected_version).await?;
    order.place(api, writer, About::stack(&stack, Some(next))).await
}

/// The number of the next version, as it will be if nothing comes between; refused when somebody saved since the author
/// looked.
pub(super) async fn next_version(api: &Api, line: &Line, seen: Option<u32>) -> Answer<u32> {
    let latest = Expected::latest(api, line).await?;
    let last = latest.as_ref().map_or(line.latest, |latest| latest.version);
    match seen.filter(|seen| *seen != last) {
        Some(seen) => Err(saved_in_between(api, line, seen, latest).await),
        None => Ok(last.saturating_add(1)),
    }
}

/// What somebody else saved, against what the author saw.
async fn saved_in_between(api: &Api, line: &Line, seen: u32, latest: Option<Expected>) -> Refusal {
    let last = latest.as_ref().map_or(0, |latest| latest.version);
    let detail = format!("{} has version {last} now; you saw {seen}. Look at the difference, and save again on top of it", line.name);
    let mut problem = Problem::new(Code::EditConflict, detail);
    if let Ok(Some((before, now))) = both(api, line, seen, latest).await {
        problem.diff = diff::between(seen, before, last, now).await.ok().map(Box::new);
    }
    Refusal::of(problem).with_header(ETAG, etag(last))
}

async fn both(api: &Api, line: &Line, seen: u32, latest: Option<Expected>) -> Answer<Option<(Bundle, Bundle)>> {
    let Some(latest) = latest else { return Ok(None) };
    let Some(before) = Expected::find(api, line, seen).await? else { return Ok(None) };
    Ok(Some((before.bundle(api).await?, latest.bundle(api).await?)))
}
