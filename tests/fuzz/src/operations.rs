//! Every operation's extractors, as the api's one list of routes has them: what a change of that list adds to what is read from
//! outside has to be added here, and the fuzzer's seeds beside it.

use axum::Router;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post, put};
use orrery_api::Api;
use orrery_api::auth::{Claim, Client};
use orrery_api::bundles::upload::Files;
use orrery_api::commands::boxes::{self, BoxPath};
use orrery_api::commands::machine_lifecycle::SnapshotPath;
use orrery_api::commands::secrets::{self, SecretPath};
use orrery_api::commands::{Terms, checks};
use orrery_api::extract::{At, Body, Idempotency, IfMatch, Page, Params, wait_time};
use orrery_api::problems::Answer;
use orrery_api::queries::bundles::{BundlePath, Part};
use orrery_api::queries::commands::{CommandPath, Filter, LONGEST_WAIT, Waiting};
use orrery_api::queries::diff::DiffPath;
use orrery_api::queries::named::{NamedPath, cursor_of};
use orrery_api::queries::versions::VersionPath;
use orrery_api::streams::events::After;
use orrery_api::streams::logs::{ContainerPath, Lines};
use orrery_api::streams::sockets::Upgrade;
use orrery_api::uploads::{self, Content, Range, UploadPath};
use orrery_contracts::command::{MachineDelete, MachineShutdown, SnapshotCreate, SnapshotName, Target};
use orrery_contracts::machine::NewBox;
use orrery_contracts::rest::{CheckRequest, DeleteStack, Empty, Login, NewStack, NewVersion, PasswordChange, PlanRequest};
use orrery_contracts::{BundleLimits, Code, Digest, LONGEST_SECRET, Name, NewSecret, NewUpload, SecretName};
use uuid::Uuid;

/// Every operation's extractors, in front of nothing but what reads their parts further.
pub(crate) fn extractors() -> Router<Api> {
    let one = Router::new()
        .route("/stacks", get(page_of_a_list).post(new_stack))
        .route("/users", get(page_of_a_list))
        .route("/plan", post(new_stack))
        .route("/stacks/{id}/status", get(named))
        .route("/stacks/{id}/containers", get(named))
        .route("/stacks/{id}/start", post(named))
        .route("/stacks/{id}/stop", post(named))
        .route("/stacks/{id}/restart", post(named))
        .route("/stacks/{id}/delete", post(delete))
        .route("/stacks/{id}/logs", get(stack_logs))
        .route("/containers/{id}/logs", get(container_logs))
        .route("/commands", get(commands))
        .route("/commands/{id}", get(command))
        .route("/commands/{id}/cancel", post(command))
        .route("/commands/{id}/retry", post(command))
        .route("/bundles", post(bundle_upload))
        .route("/bundles/{digest}", get(bundle))
        .route("/compose/check", post(check))
        .route("/events", get(events))
        .route("/stacks/{id}/sealing-key", get(named))
        .route("/secrets/{id}", get(named))
        .route("/secrets/{id}/{name}", put(new_secret))
        .route("/secrets/{id}/{name}/remove", post(secret))
        .route("/queue", get(nothing))
        .route("/hosts", get(nothing))
        .route("/auth/me", get(nothing))
        .route("/auth/logout", post(empty))
        .route("/auth/login", post(login))
        .route("/auth/password", post(password))
        .merge(versions("/stacks/{id}"))
        .merge(machines());
    Router::new().nest("/api/v1", one).route_layer(middleware::from_fn(claimed))
}

/// What has versions.
fn versions(path: &str) -> Router<Api> {
    let at = |rest: &str| format!("{path}{rest}");
    Router::new()
        .route(path, get(named))
        .route(&at("/versions"), get(page_of_a_list).post(new_version))
        .route(&at("/deploy"), post(new_version))
        .route(&at("/plan"), post(new_version))
        .route(&at("/versions/{version}"), get(version))
        .route(&at("/plan/{version}"), post(plan_of_version))
        .route(&at("/apply/{version}"), post(version))
        .route(&at("/rollback/{version}"), post(version))
        .route(&at("/diff/{a}/{b}"), get(two_versions))
}

fn machines() -> Router<Api> {
    Router::new()
        .route("/machines", get(page_of_a_list).post(new_stack))
        .route("/plan/machine", post(new_stack))
        .merge(versions("/machines/{id}"))
        .route("/machines/{id}/start", post(named))
        .route("/machines/{id}/stop", post(named))
        .route("/machines/{id}/reboot", post(named))
        .route("/machines/{id}/suspend", post(named))
        .route("/machines/{id}/resume", post(named))
        .route("/machines/{id}/figures", get(named))
        .route("/machines/{id}/screenshot.png", get(named))
        .route("/machines/{id}/shutdown", post(shutdown))
        .route("/machines/{id}/delete", post(delete_machine))
        .route("/machines/{id}/snapshots", post(new_snapshot))
        .route("/machines/{id}/snapshots/{name}/revert", post(snapshot))
        .route("/machines/{id}/snapshots/{name}/delete", post(snapshot))
        .route("/machines/{id}/console", get(console))
        .route("/machines/{id}/screen", get(console))
        .route("/boxes", get(page_of_a_list).post(new_box))
        .route("/boxes/{name}/remove", post(one_box))
        .route("/uploads", get(nothing).post(new_upload))
        .route("/uploads/{id}", get(upload).put(bytes_of_an_upload))
        .route("/uploads/{id}/remove", post(upload))
}

/// What the request says of its sender is read before anything else, whoever he turns out to be.
async fn claimed(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let has = |name: HeaderName| parts.headers.contains_key(name);
    match Claim::of(&parts) {
        Ok(claim @ Claim::Token(_)) => {
            assert!(has(AUTHORIZATION) && claim.comes_from_the_page(&parts).is_ok(), "a token is enough");
        }
        Ok(claim @ Claim::Session { .. }) => {
            assert!(has(COOKIE) && !has(AUTHORIZATION), "a cookie is no token");
            let proven = claim.comes_from_the_page(&parts).is_ok();
            assert!(!proven || parts.method.is_safe() || has(ORIGIN), "with a cookie, a change needs the page's own origin");
        }
        Err(refusal) => assert_eq!(refusal.code(), Code::Unauthenticated, "who is nobody is asked who he is"),
    }
    next.run(Request::from_parts(parts, body)).await
}

async fn page_of_a_list(Params(page): Params<Page>) -> Answer<()> {
    Page::limit(page.limit)?;
    page.after.as_deref().map_or(Ok(()), |cursor| cursor_of(cursor).map(drop))
}

async fn new_stack(key: Idempotency, _: Params<Terms>, Body(new): Body<NewStack>) -> Answer<()> {
    means_one_command(&key);
    crate::is_read_back(&new);
    new.bundle.iter().try_for_each(can_be_taken)
}

async fn new_version(key: Idempotency, _: IfMatch, _: Params<Terms>, At(path): At<NamedPath>, Body(new): Body<NewVersion>) -> Answer<()> {
    means_one_command(&key);
    let _ = Target::parse(&path.id);
    crate::is_read_back(&new);
    new.bundle.iter().try_for_each(can_be_taken)
}

async fn named(_: Params<Terms>, At(path): At<NamedPath>, Body(Empty {}): Body<Empty>) {
    let _ = Target::parse(&path.id);
}

async fn version(_: Params<Terms>, At(path): At<VersionPath>, Body(Empty {}): Body<Empty>) {
    let _ = (Target::parse(&path.id), path.version);
}

async fn plan_of_version(At(path): At<VersionPath>, Body(asked): Body<PlanRequest>) {
    let _ = (Target::parse(&path.id), path.version);
    crate::is_read_back(&asked);
}

async fn two_versions(At(path): At<DiffPath>) {
    let _ = (Target::parse(&path.id), path.a, path.b);
}

async fn delete(_: Params<Terms>, _: At<NamedPath>, Body(delete): Body<DeleteStack>) {
    crate::is_read_back(&delete);
}

async fn stack_logs(headers: HeaderMap, _: At<NamedPath>, Params(lines): Params<Lines>) -> Answer<()> {
    lines.question(&headers).map(drop)
}

async fn container_logs(headers: HeaderMap, _: At<ContainerPath>, Params(lines): Params<Lines>) -> Answer<()> {
    lines.question(&headers).map(drop)
}

async fn commands(Params(filter): Params<Filter>) -> Answer<()> {
    filter.bounds().map(drop)
}

async fn command(_: At<CommandPath>, Params(waiting): Params<Waiting>) -> Answer<()> {
    let Some(text) = waiting.wait else { return Ok(()) };
    assert!(wait_time(&text, LONGEST_WAIT)? <= LONGEST_WAIT);
    Ok(())
}

async fn bundle_upload(Files(bundle): Files) -> Answer<()> {
    can_be_taken(&bundle)
}

async fn bundle(At(path): At<BundlePath>, Params(part): Params<Part>) {
    let _ = (path.digest.parse::<Digest>(), part);
}

async fn check(Body(asked): Body<CheckRequest>) -> Answer<()> {
    crate::is_read_back(&asked);
    can_be_taken(&asked.bundle)
}

async fn events(_: Params<After>) {}

async fn shutdown(_: Params<Terms>, _: At<NamedPath>, Body(how): Body<MachineShutdown>) {
    crate::is_read_back(&how);
}

async fn delete_machine(_: Params<Terms>, _: At<NamedPath>, Body(how): Body<MachineDelete>) {
    crate::is_read_back(&how);
}

async fn new_snapshot(key: Idempotency, _: Params<Terms>, _: At<NamedPath>, Body(new): Body<SnapshotCreate>) {
    means_one_command(&key);
    crate::is_read_back(&new);
}

async fn snapshot(_: Params<Terms>, At(path): At<SnapshotPath>, Body(Empty {}): Body<Empty>) {
    let _ = Target::parse(&path.id);
    crate::is_read_back(&SnapshotName { name: path.name });
}

async fn console(_: Client, At(path): At<NamedPath>, _: Upgrade) {
    let _ = Target::parse(&path.id);
}

async fn new_box(key: Idempotency, _: Params<Terms>, Body(new): Body<NewBox>) -> Answer<()> {
    means_one_command(&key);
    crate::is_read_back(&new);
    let (_, asked) = boxes::asked_for(new)?;
    assert!(asked.url.is_some() != asked.upload.is_some(), "a box comes from one place: {asked:?}");
    crate::is_read_back(&asked);
    Ok(())
}

async fn one_box(_: Params<Terms>, At(path): At<BoxPath>, Body(Empty {}): Body<Empty>) {
    let _ = path.name.parse::<Name>();
}

async fn new_secret(key: Idempotency, _: Params<Terms>, At(path): At<SecretPath>, Body(new): Body<NewSecret>) -> Answer<()> {
    means_one_command(&key);
    let (name, value) = secrets::asked_for(&path.name, new)?;
    assert!(!name.as_str().contains('/') && !value.is_empty() && value.len() <= LONGEST_SECRET, "{name}: {} bytes", value.len());
    Ok(())
}

async fn secret(_: Params<Terms>, At(path): At<SecretPath>, Body(Empty {}): Body<Empty>) {
    let _ = path.name.parse::<SecretName>();
}

async fn new_upload(key: Idempotency, Body(new): Body<NewUpload>) -> Answer<()> {
    means_one_command(&key);
    crate::is_read_back(&new);
    let owner: Name = "ada".parse().expect("a name");
    let asked = uploads::asked_for(new, key.command_id(&owner).uuid(), owner)?;
    crate::is_read_back(&asked);
    Ok(())
}

async fn upload(At(path): At<UploadPath>, Body(Empty {}): Body<Empty>) {
    let _ = path.id.parse::<Uuid>();
}

async fn bytes_of_an_upload(_: At<UploadPath>, _: Range, _: Content) {}

async fn nothing() {}

async fn empty(_: Client, Body(Empty {}): Body<Empty>) {}

async fn login(_: Body<Login>) {}

async fn password(_: Body<PasswordChange>) {}

fn means_one_command(key: &Idempotency) {
    let user = "ada".parse().expect("a name");
    if key.is_given() {
        assert_eq!(key.command_id(&user), key.command_id(&user), "a key means one command");
    }
}

fn can_be_taken(bundle: &orrery_contracts::Bundle) -> Answer<()> {
    let limits = BundleLimits::default();
    checks::bundle_can_be_taken(bundle, &limits)?;
    crate::bundle::is_kept_as_it_is(bundle, &limits);
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, StatusCode};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn every_operation_of_the_api_is_fuzzed() {
        let document = serde_json::to_value(orrery_api::openapi::document()).unwrap();
        let router = extractors().with_state(crate::request::state().await);
        let mut seen = 0;
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, _) in operations.as_object().unwrap().iter().filter(|_| path.starts_with("/api/v1/")) {
                // Whatever stands for a variable: the address is known.
                let address: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
                let mut request = Request::new(Body::empty());
                *request.method_mut() = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                *request.uri_mut() = address.join("/").parse().unwrap();
                let Ok(answer) = router.clone().oneshot(request).await;
                let unknown = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&answer.status());
                assert!(!unknown, "{method} {path} is not in the router of the fuzzer");
                seen += 1;
            }
        }
        assert!(seen > 70, "the document has {seen} operations");
    }
}
