//! The one list of routes, and the layers around all of them.

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with, put_with};
use aide::transform::TransformOperation;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, extract::DefaultBodyLimit};
use orrery_contracts::Code;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};

use crate::auth::{login, logout, me, password_change, users};
use crate::bundles::upload;
use crate::commands::{
    boxes, command_cancel, command_retry, machine_create, machine_lifecycle, machine_versions, secrets, stack_apply, stack_create,
    stack_delete, stack_deploy, stack_restart, stack_rollback, stack_start, stack_stop, version_create,
};
use crate::problems::{self, Refusal};
use crate::queries;
use crate::state::Api;
use crate::streams::{events, logs, sockets};
use crate::{drain, health, openapi, page, uploads};

/// Everything the service answers, for `main` and the tests.
pub fn app(api: Api) -> Router {
    let mut unused = aide::openapi::OpenApi::default();
    let streams = NotForContentType::const_new("text/event-stream");
    let compress = CompressionLayer::new().compress_when(SizeAbove::new(1024).and(NotForContentType::IMAGES).and(streams));
    routes()
        .finish_api(&mut unused)
        .route("/api/v1/openapi.json", get(openapi::openapi))
        .fallback(page::page)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(problems::after_a_panic))
        .layer(middleware::from_fn(drain::refusals))
        .layer(middleware::from_fn(problems::name_the_request))
        .layer(compress)
        .layer(middleware::from_fn(figures))
        .layer(middleware::from_fn(page::protect))
        .with_state(api)
}

/// What OpenAPI describes.
pub fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/healthz", get_with(health::healthz, open("The process lives")))
        .api_route("/readyz", get_with(health::readyz, open("Whether the service can work, and what it waits for")))
        .api_route("/metrics", get_with(health::metrics, says("Figures, in the format of Prometheus")))
        .nest("/api/v1", versioned())
}

fn versioned() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/auth/login", post_with(login::login, open("Sign in; sets the session's cookie")))
        .api_route("/auth/logout", post_with(logout::logout, says("Sign out")))
        .api_route("/auth/me", get_with(me::me, says("Who is signed in")))
        .api_route(
            "/auth/password",
            post_with(password_change::change_password, says("Change one's own password; ends all other sessions")),
        )
        .api_route("/users", get_with(users::users, says("Users, for administrators")))
        .api_route(
            "/stacks",
            get_with(queries::stacks::list, says("Stacks, by name"))
                .post_with(stack_create::create, says("Make a stack and its version 1")),
        )
        .api_route("/stacks/{id}", get_with(queries::stacks::get, says("A stack")))
        .api_route("/stacks/{id}/status", get_with(queries::stacks::status, says("A stack with its containers")))
        .api_route(
            "/stacks/{id}/versions",
            get_with(queries::versions::list, says("Versions, newest first"))
                .post_with(version_create::create, says("Make the next version")),
        )
        .api_route("/stacks/{id}/versions/{version}", get_with(queries::versions::get, says("A version")))
        .api_route("/stacks/{id}/diff/{a}/{b}", get_with(queries::diff::get, says("How two versions differ, file by file")))
        .api_route("/stacks/{id}/plan", post_with(queries::plans::of_files, says("What an apply of these files would do")))
        .api_route("/stacks/{id}/plan/{version}", post_with(queries::plans::of_version, says("What an apply of a version would do")))
        .api_route("/plan", post_with(queries::plans::of_new_stack, says("What an apply of a stack that is not made yet would do")))
        .api_route("/stacks/{id}/apply/{version}", post_with(stack_apply::apply, says("Converge to a version")))
        .api_route("/stacks/{id}/rollback/{version}", post_with(stack_rollback::rollback, says("Converge to an earlier version")))
        .api_route("/stacks/{id}/deploy", post_with(stack_deploy::deploy, says("Make the next version and converge to it")))
        .api_route("/stacks/{id}/start", post_with(stack_start::start, says("Start what is stopped")))
        .api_route("/stacks/{id}/stop", post_with(stack_stop::stop, says("Stop what runs")))
        .api_route("/stacks/{id}/restart", post_with(stack_restart::restart, says("Stop and start")))
        .api_route("/stacks/{id}/delete", post_with(stack_delete::delete, says("Remove the stack; its volumes only when told")))
        .api_route("/stacks/{id}/containers", get_with(queries::containers::list, says("The containers of a stack")))
        .api_route("/secrets/{id}", get_with(queries::secrets::list, says("The secrets of a stack, by name; never their values")))
        .api_route("/secrets/{id}/{name}", put_with(secrets::put, says("Keep a secret for a stack, or its next version")))
        .api_route("/secrets/{id}/{name}/remove", post_with(secrets::remove, says("Forget a secret of a stack")))
        .api_route(
            "/stacks/{id}/sealing-key",
            get_with(queries::secrets::key, says("To what the values of the stack's secrets are sealed")),
        )
        .merge(machines())
        .api_route("/commands", get_with(queries::commands::list, says("Commands, newest first, without plans and steps")))
        .api_route("/commands/{id}", get_with(queries::commands::get, says("A command with its plan and steps")))
        .api_route(
            "/commands/{id}/cancel",
            post_with(command_cancel::cancel, says("Cancel: at once, or between two steps of a command that runs")),
        )
        .api_route("/commands/{id}/retry", post_with(command_retry::retry, says("Put a failed command back, for its next attempt")))
        .api_route("/bundles", post_with(upload::upload, says("Upload files, as JSON or as an archive")))
        .api_route("/bundles/{digest}", get_with(queries::bundles::get, says("Files, one file, an archive of them, or a kept log")))
        .api_route("/compose/check", post_with(queries::compose_check::check, says("What there is to say about a definition")))
        .api_route("/stacks/{id}/logs", get_with(logs::of_stack, says("Lines of all containers of a stack, merged, as server-sent events")))
        .api_route("/containers/{id}/logs", get_with(logs::of_container, says("Lines of a container, as server-sent events")))
        .api_route("/events", get_with(events::events, says("What changes, as server-sent events; resumable")))
        .api_route("/queue", get_with(queries::queue::get, says("The head of the queue, and what holds it")))
        .api_route("/hosts", get_with(queries::hosts::list, says("Hosts, their engines and executors")))
}

fn machines() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route(
            "/machines",
            get_with(queries::machines::list, says("Machines, by name"))
                .post_with(machine_create::create, says("Make a machine and its version 1")),
        )
        .api_route("/machines/{id}", get_with(queries::machines::get, says("A machine")))
        .api_route(
            "/machines/{id}/versions",
            get_with(queries::versions::list_of_machine, says("Versions, newest first"))
                .post_with(machine_versions::create, says("Make the next version")),
        )
        .api_route("/machines/{id}/versions/{version}", get_with(queries::versions::get_of_machine, says("A version")))
        .api_route("/machines/{id}/diff/{a}/{b}", get_with(queries::diff::get_of_machine, says("How two versions differ, file by file")))
        .api_route("/machines/{id}/plan", post_with(queries::plans::of_machine_files, says("What an apply of these files would do")))
        .api_route(
            "/machines/{id}/plan/{version}",
            post_with(queries::plans::of_machine_version, says("What an apply of a version would do")),
        )
        .api_route(
            "/plan/machine",
            post_with(queries::plans::of_new_machine, says("What an apply of a machine that is not made yet would do")),
        )
        .api_route("/machines/{id}/apply/{version}", post_with(machine_versions::apply, says("Converge to a version")))
        .api_route("/machines/{id}/rollback/{version}", post_with(machine_versions::rollback, says("Converge to an earlier version")))
        .api_route("/machines/{id}/deploy", post_with(machine_versions::deploy, says("Make the next version and converge to it")))
        .api_route("/machines/{id}/start", post_with(machine_lifecycle::start, says("Start the guest")))
        .api_route(
            "/machines/{id}/shutdown",
            post_with(machine_lifecycle::shutdown, says("Ask the guest to end; end it when its time is over")),
        )
        .api_route("/machines/{id}/stop", post_with(machine_lifecycle::stop, says("End the guest at once")))
        .api_route("/machines/{id}/reboot", post_with(machine_lifecycle::reboot, says("Have the guest boot again")))
        .api_route("/machines/{id}/suspend", post_with(machine_lifecycle::suspend, says("Have the guest stand still")))
        .api_route("/machines/{id}/resume", post_with(machine_lifecycle::resume, says("Let the guest go on")))
        .api_route("/machines/{id}/delete", post_with(machine_lifecycle::delete, says("Remove the machine; its disks only when told")))
        .api_route("/machines/{id}/snapshots", post_with(machine_lifecycle::snapshot, says("Keep the machine as it is now")))
        .api_route("/machines/{id}/snapshots/{name}/revert", post_with(machine_lifecycle::revert, says("Have the machine be as it was")))
        .api_route("/machines/{id}/snapshots/{name}/delete", post_with(machine_lifecycle::forget, says("Forget a snapshot")))
        .api_route("/machines/{id}/console", get_with(sockets::console, says("The serial console, both ways, as a WebSocket")))
        .api_route("/machines/{id}/screen", get_with(sockets::screen, says("The screen, both ways, as VNC in a WebSocket")))
        .api_route("/machines/{id}/figures", get_with(queries::figures::get, says("What the machine used lately, for charts")))
        .api_route("/machines/{id}/screenshot.png", get_with(queries::screenshots::get, says("What the screen shows now")))
        .api_route(
            "/boxes",
            get_with(queries::boxes::list, says("Boxes, by name")).post_with(boxes::import, says("Bring a box into the pool")),
        )
        .api_route(
            "/uploads",
            get_with(uploads::list, says("Uploads for boxes to come, oldest first"))
                .post_with(uploads::begin, says("Begin to upload a file for a box")),
        )
        .api_route(
            "/uploads/{id}",
            get_with(uploads::get, says("How much of an upload has come"))
                .put_with(uploads::put, says("Bytes of an upload, from the beginning or from where `Content-Range` says")),
        )
        .api_route("/uploads/{id}/remove", post_with(uploads::remove, says("Throw an upload away")))
        .api_route("/boxes/{name}/remove", post_with(boxes::remove, says("Remove a box that no machine uses")))
}

/// An operation that needs a session or a token.
fn says(summary: &'static str) -> impl Fn(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| operation.summary(summary).security_requirement("token").security_requirement("session")
}

/// An operation that answers everybody.
fn open(summary: &'static str) -> impl Fn(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| operation.summary(summary)
}

async fn wrong_method(State(api): State<Api>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Err(refusal) = page::may_know_of(&mut parts, &api).await {
        return refusal.into_response();
    }
    let request = Request::from_parts(parts, body);
    let detail = format!("{} does not take {}", request.uri().path(), request.method());
    Refusal::new(Code::MethodNotAllowed, detail).into_response()
}

/// Counts requests and measures them, by route; streams count when they begin.
async fn figures(request: Request, next: middleware::Next) -> Response {
    let begun = std::time::Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("page", MatchedPath::as_str).to_owned();
    let method = request.method().as_str().to_owned();
    let response = next.run(request).await;
    let labels = [("route", route), ("method", method), ("status", response.status().as_u16().to_string())];
    metrics::histogram!("orrery_api_request_seconds", &labels).record(begun.elapsed().as_secs_f64());
    response
}
