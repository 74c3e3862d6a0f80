//! Plans: what an apply would do, asked of the executor before anybody applies it. Nothing changes.

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{Machine, NewStack, NewVersion, PlanRequest, Stack};
use orrery_contracts::rpc::{MachinePlanQuestion, PlanQuestion, PlanTarget};
use orrery_contracts::{Bundle, Engine, Plan};

use super::hosts::LOCAL;
use super::line::Line;
use super::named::{self, NamedPath};
use super::versions::VersionPath;
use crate::auth::Principal;
use crate::commands::machine_create::definition_is_valid;
use crate::commands::stack_apply::{can_run, version_of};
use crate::commands::stack_create::stack_name;
use crate::commands::{checks, sources};
use crate::extract::{At, Body};
use crate::problems::Answer;
use crate::state::Api;

/// `POST /stacks/{id}/plan/{version}`: for a version.
pub async fn of_version(
    State(api): State<Api>,
    principal: Principal,
    At(path): At<VersionPath>,
    Body(asked): Body<PlanRequest>,
) -> Answer<Json<Plan>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    let line = Line::from(&stack);
    let version = version_of(&api, &line, path.version).await?;
    can_run(&api, &line, &version).await?;
    let exists = super::versions::find(&api, stack.id, version.version).await?.is_some();
    let target = if exists { stored(&asked, version.version) } else { files(&api, version.bundle(&api).await?).await? };
    let question = PlanQuestion { stack_id: Some(stack.id), project: stack.project, actor: principal.name.to_string(), target };
    ask(&api, &stack.host, &question).await
}

/// `POST /stacks/{id}/plan`: for files that are no version yet.
pub async fn of_files(
    State(api): State<Api>,
    principal: Principal,
    At(path): At<NamedPath>,
    Body(new): Body<NewVersion>,
) -> Answer<Json<Plan>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    let bundle = sources::named(&api, new.bundle, new.digest.as_ref()).await?;
    checks::definition_can_run(&bundle, &stack.project).await?;
    let target = files(&api, bundle).await?;
    let question = PlanQuestion { stack_id: Some(stack.id), project: stack.project, actor: principal.name.to_string(), target };
    ask(&api, &stack.host, &question).await
}

/// `POST /plan`: for a stack that is not made yet.
pub async fn of_new_stack(State(api): State<Api>, principal: Principal, Body(new): Body<NewStack>) -> Answer<Json<Plan>> {
    let name = stack_name(&new.name)?;
    let bundle = sources::named(&api, new.bundle, new.digest.as_ref()).await?;
    checks::definition_can_run(&bundle, name.as_str()).await?;
    let target = files(&api, bundle).await?;
    let question = PlanQuestion { stack_id: None, project: name.to_string(), actor: principal.name.to_string(), target };
    ask(&api, LOCAL, &question).await
}

/// `POST /machines/{id}/plan/{version}`: for a version.
pub async fn of_machine_version(
    State(api): State<Api>,
    principal: Principal,
    At(path): At<VersionPath>,
    Body(asked): Body<PlanRequest>,
) -> Answer<Json<Plan>> {
    let machine: Machine = named::fetch(&api, &principal, &path.id).await?;
    let version = version_of(&api, &Line::from(&machine), path.version).await?;
    let target = if version.is_stored() { stored(&asked, version.version) } else { files(&api, version.bundle(&api).await?).await? };
    ask_of_machine(&api, &principal, Some(&machine), machine.domain.clone(), target).await
}

/// `POST /machines/{id}/plan`: for files that are no version yet.
pub async fn of_machine_files(
    State(api): State<Api>,
    principal: Principal,
    At(path): At<NamedPath>,
    Body(new): Body<NewVersion>,
) -> Answer<Json<Plan>> {
    let machine: Machine = named::fetch(&api, &principal, &path.id).await?;
    let bundle = sources::named(&api, new.bundle, new.digest.as_ref()).await?;
    definition_is_valid(&bundle).await?;
    let target = files(&api, bundle).await?;
    ask_of_machine(&api, &principal, Some(&machine), machine.domain.clone(), target).await
}

/// `POST /plan/machine`: for a machine that is not made yet.
pub async fn of_new_machine(State(api): State<Api>, principal: Principal, Body(new): Body<NewStack>) -> Answer<Json<Plan>> {
    let name = stack_name(&new.name)?;
    let bundle = sources::named(&api, new.bundle, new.digest.as_ref()).await?;
    definition_is_valid(&bundle).await?;
    let target = files(&api, bundle).await?;
    ask_of_machine(&api, &principal, None, name.to_string(), target).await
}

async fn ask_of_machine(
    api: &Api,
    principal: &Principal,
    machine: Option<&Machine>,
    domain: String,
    target: PlanTarget,
) -> Answer<Json<Plan>> {
    let host = machine.map_or(LOCAL, |machine| machine.host.as_str());
    let question = MachinePlanQuestion { machine_id: machine.map(|machine| machine.id), domain, actor: principal.name.to_string(), target };
    api.broker.ask::<_, Plan>(&api.executors, (Engine::Libvirt, host), "plan", &question).await.map(Json)
}

/// A version that lies there.
fn stored(asked: &PlanRequest, version: u32) -> PlanTarget {
    if asked.rollback { PlanTarget::Rollback(version) } else { PlanTarget::Version(version) }
}

async fn files(api: &Api, bundle: Bundle) -> Answer<PlanTarget> {
    let sent = sources::sent(api, bundle).await?;
    match (sent.bundle, sent.digest) {
        (Some(bundle), _) => Ok(PlanTarget::Bundle(bundle)),
        (None, Some(digest)) => Ok(PlanTarget::Upload(digest)),
        (None, None) => Err(crate::problems::Refusal::invalid("there are no files to plan for")),
    }
}

async fn ask(api: &Api, host: &str, question: &PlanQuestion) -> Answer<Json<Plan>> {
    api.broker.ask::<_, Plan>(&api.executors, (Engine::Docker, host), "plan", question).await.map(Json)
}
