//! `POST /machines/{id}/versions | deploy | apply/{version} | rollback/{version}`: versions of a machine, made and converged to.

use axum::extract::State;
use orrery_contracts::Action;
use orrery_contracts::command::{Apply, CommandType, MachineAction, Rollback, VersionCreate, Versioning};
use orrery_contracts::rest::{Empty, NewVersion};

use super::machine_create::definition_is_valid;
use super::stack_apply::version_of;
use super::stack_create::comment;
use super::version_create::next_version;
use super::{About, MachineSubject, Order, Writer, sources};
use crate::extract::{Accepted, At, Body, IfMatch};
use crate::problems::Answer;
use crate::queries::line::Line;
use crate::queries::named::NamedPath;
use crate::queries::versions::VersionPath;
use crate::state::Api;

/// Makes a version; with `If-Match` only when nobody saved in between.
pub async fn create(
    State(api): State<Api>,
    writer: Writer,
    IfMatch(expected): IfMatch,
    At(path): At<NamedPath>,
    Body(new): Body<NewVersion>,
) -> Answer<Accepted> {
    order_version(&api, &writer, &path, new, expected, CommandType::MachineVersionCreate).await
}

/// Makes a version and applies it; with `If-Match` only when nobody saved in between.
pub async fn deploy(
    State(api): State<Api>,
    writer: Writer,
    IfMatch(expected): IfMatch,
    At(path): At<NamedPath>,
    Body(new): Body<NewVersion>,
) -> Answer<Accepted> {
    order_version(&api, &writer, &path, new, expected, CommandType::MachineDeploy).await
}

async fn order_version(
    api: &Api,
    writer: &Writer,
    path: &NamedPath,
    new: NewVersion,
    expected_version: Option<u32>,
    kind: CommandType,
) -> Answer<Accepted> {
    let bundle = sources::named(api, new.bundle, new.digest.as_ref()).await?;
    let digest = bundle.digest();
    let same =
        |action: &Action| action.command_type() == kind && action.clone().into_source().is_some_and(|source| source.digest() == digest);
    let machine = match writer.machine(api, &path.id, same).await? {
        MachineSubject::Machine(machine) => machine,
        MachineSubject::Repeated(answer) => return Ok(*answer),
    };
    definition_is_valid(&bundle).await?;
    let sent = sources::sent(api, bundle).await?;
    let payload = VersionCreate { bundle: sent.bundle, digest: sent.digest, comment: comment(new.comment)?, expected_version };
    let order = Order::new(writer, kind, machine.id.to_string(), payload)?;
    if let Some(before) = order.made_before(api, writer).await? {
        return Ok(before);
    }
    let next = next_version(api, &Line::from(&*machine), expected_version).await?;
    order.place(api, writer, About::machine(&machine, Some(next))).await
}

/// Applies a version.
pub async fn apply(State(api): State<Api>, writer: Writer, At(path): At<VersionPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    converge(&api, &writer, &path, CommandType::MachineApply).await
}

/// Rolls back: converges to an earlier version; no version is made.
pub async fn rollback(State(api): State<Api>, writer: Writer, At(path): At<VersionPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    converge(&api, &writer, &path, CommandType::MachineRollback).await
}

async fn converge(api: &Api, writer: &Writer, path: &VersionPath, kind: CommandType) -> Answer<Accepted> {
    let same = |action: &Action| match action {
        Action::Machine(MachineAction::Versioning(Versioning::Apply { version, .. } | Versioning::Rollback { version, .. })) => {
            action.command_type() == kind && *version == path.version
        }
        Action::Machine(_) | Action::Stack(_) | Action::Box(_) => false,
    };
    let machine = match writer.machine(api, &path.id, same).await? {
        MachineSubject::Machine(machine) => machine,
        MachineSubject::Repeated(answer) => return Ok(*answer),
    };
    let expected = version_of(api, &Line::from(&*machine), path.version).await?;
    let (version, digest) = (expected.version, Some(expected.digest));
    let order = if kind == CommandType::MachineApply {
        Order::new(writer, kind, machine.id.to_string(), Apply { version: Some(version), digest, ..Apply::default() })?
    } else {
        Order::new(writer, kind, machine.id.to_string(), Rollback { version, digest })?
    };
    order.place(api, writer, About::machine(&machine, Some(version))).await
}
