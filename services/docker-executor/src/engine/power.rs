//! Starting and stopping a container, with its hooks.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{InspectContainerOptions, StartContainerOptions, StopContainerOptions};
use orrery_contracts::ProgressLine;

use super::docker::gone;
use super::hooks::{self, Fault, Moment};
use super::listing::found;
use super::observed::State;
use super::{Effect, Say, inspect};

/// How much longer than its grace a stop may take.
const STOP_MARGIN: Duration = Duration::from_secs(30);

/// With its hooks; they run also where the container was found started: whoever asks for that does not know that they have run.
pub(super) async fn start(docker: &Docker, id: &str, say: Say<'_>) -> Result<Effect, Fault> {
    let answer = docker.inspect_container(id, None::<InspectContainerOptions>).await?;
    let label = answer.config.and_then(|config| config.labels).unwrap_or_default();
    let hooks = hooks::of_labels(&label, Moment::PostStart);
    let effect = match inspect::doing(&answer.state.unwrap_or_default()) {
        State::Paused => return Ok(docker.unpause_container(id).await.map(|()| Effect::default())?),
        State::Running if hooks.is_empty() => return Ok(Effect::found()),
        State::Running => Effect::default(),
        State::Created | State::Exited | State::Restarting | State::Dead => {
            docker.start_container(id, None::<StartContainerOptions>).await.map(|()| Effect::default())?
        }
    };
    let log = hooks::run(docker, id, &hooks, Moment::PostStart, say).await?;
    Ok(Effect { log: (!log.is_empty()).then_some(log), ..effect })
}

/// With its hooks, none of which keeps it from being stopped.
pub(super) async fn stop(docker: &Docker, id: &str, grace: Option<Duration>, say: Say<'_>) -> Result<Effect, Error> {
    let log = match found(docker.inspect_container(id, None::<InspectContainerOptions>).await)? {
        Some(there) => last_will(docker, id, there, say).await?,
        None => return Ok(Effect::found()),
    };
    let effect = stopped(docker, id, grace).await?;
    Ok(Effect { log: (!log.is_empty()).then_some(log), ..effect })
}

/// Runs what is to run before a stop, where the container runs.
async fn last_will(docker: &Docker, id: &str, there: ContainerInspectResponse, say: Say<'_>) -> Result<Vec<u8>, Error> {
    let label = there.config.and_then(|config| config.labels).unwrap_or_default();
    let hooks = hooks::of_labels(&label, Moment::PreStop);
    if hooks.is_empty() || inspect::doing(&there.state.unwrap_or_default()) != State::Running {
        return Ok(Vec::new());
    }
    match hooks::run(docker, id, &hooks, Moment::PreStop, say).await {
        Ok(log) => Ok(log),
        Err(Fault::Engine(error)) => Err(error),
        Err(Fault::Hook { message, log }) => {
            tracing::warn!("{message}; the container is stopped all the same");
            say(ProgressLine::text(format!("{message}; the container is stopped all the same")));
            Ok(log)
        }
    }
}

async fn stopped(docker: &Docker, id: &str, grace: Option<Duration>) -> Result<Effect, Error> {
    let seconds = grace.map(|grace| i32::try_from(grace.as_secs().saturating_add(u64::from(grace.subsec_nanos() > 0))).unwrap_or(i32::MAX));
    let patient = docker.clone().with_timeout(grace.unwrap_or(Duration::from_secs(600)).saturating_add(STOP_MARGIN));
    gone(patient.stop_container(id, Some(StopContainerOptions { signal: None, t: seconds })).await)
}
