//! The commands of stacks: judged against the world without any effect, then executed. What a command changes is written
//! to VERSIONS and HEADS and told as events before its end; whatever this command wrote before counts as written.

mod definition;
mod execute;
mod heads;
mod judge;
mod locks;
mod sweep;
mod target;

use std::sync::Arc;

use orrery_contracts::bundle::BundleLimits;
use orrery_contracts::{Bundle, Digest, Name, StackHead, VersionRecord};
use orrery_queue::definitions::{DefinitionError, Draft};
use orrery_queue::{Accepted, Definitions, Executor, JudgeError, Run, RunError};

use crate::definition::Desired;
use crate::engine::{DockerEngine, Engine};
use crate::files::DataDir;
use crate::secrets::SecretTask;

pub(crate) use definition::severity;
pub use definition::{Reading, read_definition};
pub(crate) use heads::now;
pub(crate) use judge::identity as identity_of;

/// The docker-executor, as the queue knows it. Clones share everything.
#[derive(Debug)]
pub struct DockerExecutor<E = DockerEngine> {
    pub(crate) definitions: Definitions,
    pub(crate) engine: Arc<E>,
    pub(crate) data: DataDir,
    pub(crate) limits: BundleLimits,
    pub(crate) host: String,
}

impl<E: Engine> DockerExecutor<E> {
    /// An executor of this engine.
    #[must_use]
    pub fn new(definitions: Definitions, engine: E, data: DataDir, limits: BundleLimits, host: String) -> Self {
        Self { definitions, engine: Arc::new(engine), data, limits, host }
    }

    /// The name of its host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<E> {
        &self.engine
    }
}

impl<E> Clone for DockerExecutor<E> {
    fn clone(&self) -> Self {
        let Self { definitions, engine, data, limits, host } = self;
        Self { definitions: definitions.clone(), engine: Arc::clone(engine), data: data.clone(), limits: *limits, host: host.clone() }
    }
}

/// What judging found, and executing needs.
pub struct Job {
    pub(crate) head: StackHead,
    pub(crate) actor: Name,
    pub(crate) task: Task,
}

/// A version that is to run, with its files.
pub(crate) struct Ready {
    pub(crate) version: u32,
    pub(crate) bundle: Bundle,
    pub(crate) digest: Digest,
    pub(crate) desired: Box<Desired>,
    /// It keeps to the images that it ran with.
    pub(crate) pinned: bool,
}

pub(crate) enum Task {
    Create(Draft),
    Version(Draft),
    /// Makes the version first where there is a draft.
    Apply {
        draft: Option<Draft>,
        ready: Ready,
    },
    Start(Ready),
    Stop,
    Restart(Ready),
    Delete {
        volumes: bool,
    },
    Secret(SecretTask),
}

impl<E: Engine> Executor for DockerExecutor<E> {
    type Job = Job;

    async fn judge(&self, command: &Accepted) -> Result<Job, JudgeError> {
        self.judge_command(command).await
    }

    async fn execute(&self, job: Job, run: &Run) -> Result<String, RunError> {
        self.execute_job(job, run).await
    }

    fn waiting_for(&self) -> Option<String> {
        self.engine.away()
    }
}

/// A definition error while judging: the broker's absence passes, everything else is told.
pub(crate) fn judged(error: DefinitionError) -> JudgeError {
    error.into()
}

/// A rejection with these words.
pub(crate) fn reject(words: impl Into<String>) -> JudgeError {
    JudgeError::Rejected(orrery_contracts::Rejection(words.into()))
}

/// What a version's record says that a plan needs.
pub(crate) fn of_record(record: &VersionRecord) -> (u32, Digest) {
    (record.version, record.digest.clone())
}
