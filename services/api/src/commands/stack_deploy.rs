//! `POST /stacks/{id}/deploy`: the next version and the convergence to it, in one command.

use axum::extract::State;
use orrery_contracts::rest::NewVersion;

use super::Writer;
use super::version_create::{Then, order_version};
use crate::extract::{Accepted, At, Body, IfMatch};
use crate::problems::Answer;
use crate::queries::named::NamedPath;
use crate::state::Api;

/// Makes a version and applies it; with `If-Match` only when nobody saved in between.
pub async fn deploy(
    State(api): State<Api>,
    writer: Writer,
    IfMatch(expected_version): IfMatch,
    At(path): At<NamedPath>,
    Body(new): Body<NewVersion>,
) -> Answer<Accepted> {
    order_version(&api, &writer, &path, new, expected_version, Then::Runs).await
}
