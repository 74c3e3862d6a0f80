//! The hooks of a container: commands that run in it after its start and before its stop (Compose specification, services,
//! `post_start` and `pre_stop`). Which they are stands in a label of the container, so that they run whoever starts or stops it here, and
//! when its definition cannot be read any more.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures::StreamExt;
use orrery_compose::model::Hook;
use orrery_contracts::ProgressLine;

use super::Say;
use super::error::{BuildLog, Class, EngineError};
use crate::definition::Facts;
use crate::definition::facts::{POST_START, PRE_STOP};
use crate::definition::identity as labels;

/// How long one hook may take: a command of the queue does not wait for ever.
const LIMIT: Duration = Duration::from_secs(600);
/// How much of a hook's output is kept.
const LOG_LIMIT: usize = 256 * 1024;

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// After the start.
    PostStart,
    /// Before the stop.
    PreStop,
}

impl Moment {
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::PostStart => POST_START,
            Self::PreStop => PRE_STOP,
        }
    }
}

/// The hooks that a container's labels say.
pub(crate) fn of_labels(label: &HashMap<String, String>, moment: Moment) -> Vec<Hook> {
    label.get(labels::FACTS).and_then(|text| Facts::from_label(text)).map(|facts| of_facts(&facts, moment)).unwrap_or_default()
}

/// The hooks among the facts of a container.
pub(crate) fn of_facts(facts: &Facts, moment: Moment) -> Vec<Hook> {
    facts.get(moment.key()).and_then(|hooks| serde_json::from_value(hooks.clone()).ok()).unwrap_or_default()
}

/// Runs hooks one after another, and tells what they write.
pub(super) async fn run(docker: &Docker, id: &str, hooks: &[Hook], moment: Moment, say: Say<'_>) -> Result<Vec<u8>, Fault> {
    let mut log = Vec::new();
    for hook in hooks {
        let said = format!("{}: {}\n", moment.key(), hook.command.join(" "));
        say(ProgressLine::text(said.trim()));
        keep(&mut log, said.as_bytes());
        let ended = tokio::time::timeout(LIMIT, one(docker, id, hook, &mut log, say)).await;
        let why = match ended {
            Ok(code) => match code? {
                0 => continue,
                code => format!("ended with exit code {code}"),
            },
            Err(_) => format!("did not end within {} s", LIMIT.as_secs()),
        };
        let message = format!("the {} hook `{}` {why}", moment.key(), hook.command.join(" "));
        return Err(Fault::Hook { message, log });
    }
    Ok(log)
}

/// Why hooks did not do their work.
#[derive(Debug)]
pub(super) enum Fault {
    /// The engine did not carry them out.
    Engine(Error),
    /// One of them failed.
    Hook { message: String, log: Vec<u8> },
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl Fault {
    /// The error of a step.
    pub(super) fn into_error(self, of_engine: impl FnOnce(Error) -> EngineError) -> EngineError {
        match self {
            Self::Engine(error) => of_engine(error),
            Self::Hook { message, log } => {
                EngineError { class: Class::Refuse, code: "hook_failed", message, source: Some(Box::new(BuildLog(log))) }
            }
        }
    }
}

/// Runs one hook to its end; answers its exit code.
async fn one(docker: &Docker, id: &str, hook: &Hook, log: &mut Vec<u8>, say: Say<'_>) -> Result<i64, Error> {
    let line = |(name, value): (&String, &Option<String>)| format!("{name}={}", value.as_deref().unwrap_or_default());
    let order = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(hook.command.clone()),
        env: Some(hook.environment.iter().map(line).collect()),
        privileged: Some(hook.privileged),
        user: hook.user.clone(),
        working_dir: hook.working_dir.clone(),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec(id, order).await?.id;
    if let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec, None).await? {
        while let Some(part) = output.next().await {
            tell(part?, log, say);
        }
    }
    Ok(docker.inspect_exec(&exec).await?.exit_code.unwrap_or(-1))
}

fn tell(part: LogOutput, log: &mut Vec<u8>, say: Say<'_>) {
    let bytes = part.into_bytes();
    keep(log, &bytes);
    for line in String::from_utf8_lossy(&bytes).lines().filter(|line| !line.trim().is_empty()) {
        say(ProgressLine::text(line));
    }
}

fn keep(log: &mut Vec<u8>, bytes: &[u8]) {
    if log.len().saturating_add(bytes.len()) <= LOG_LIMIT {
        log.extend_from_slice(bytes);
    }
}
