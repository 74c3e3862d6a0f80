//! The commands of machines and boxes: judged against the world without any effect, then executed. What a command changes is
//! written to VERSIONS and HEADS and told as events before its end; whatever this command wrote before counts as written.

mod arrival;
mod boxes;
mod execute;
mod heads;
mod judge;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use orrery_contracts::command::{BoxFormat, BoxSource};
use orrery_contracts::{BoxHead, BundleLimits, Digest, MachineHead, Name, Rejection};
use orrery_queue::definitions::Draft;
use orrery_queue::{Accepted, Definitions, Executor, JudgeError, Run, RunError};
use tokio::sync::watch;

use crate::console::Consoles;
use crate::converge::Site;
use crate::definition::{Desired, Pool};
use crate::engine::{DomainRef, Hypervisor};
use crate::forward::Keeper;
use crate::uploads::Uploads;

pub(crate) use heads::now;
pub(crate) use judge::definition;

/// The libvirt-executor, as the queue knows it. Clones share everything.
#[derive(Debug)]
pub struct LibvirtExecutor<E> {
    pub(crate) definitions: Definitions,
    pub(crate) engine: Arc<E>,
    pub(crate) limits: BundleLimits,
    pub(crate) host: String,
    pub(crate) pool: Pool,
    /// Where downloads lie until they are in the pool.
    pub(crate) downloads: PathBuf,
    /// What people have uploaded for boxes to come.
    pub(crate) uploads: Arc<Uploads>,
    /// Told whenever something has changed that no event of libvirt tells: what boxes there are, what ports lead to machines.
    pub(crate) changed: Arc<tokio::sync::Notify>,
    /// The ports of the host that lead to machines.
    pub(crate) keeper: Arc<Keeper>,
    /// The consoles that somebody looks at.
    pub(crate) consoles: Arc<Consoles>,
    /// Held while a command is carried out.
    pub(crate) in_hand: Arc<tokio::sync::Mutex<()>>,
    /// The domains of machines that run, as they were seen last.
    pub(crate) running: Arc<watch::Sender<Vec<DomainRef>>>,
}

impl<E> LibvirtExecutor<E> {
    /// An executor of this host, on an engine with its pool, that keeps what it needs for itself in a folder.
    #[must_use]
    pub fn new(definitions: Definitions, engine: Arc<E>, pool: Pool, data_dir: &Path, limits: BundleLimits, host: String) -> Self {
        Self {
            definitions,
            engine,
            limits,
            host,
            pool,
            downloads: data_dir.join("downloads"),
            uploads: Arc::new(Uploads::from_env(data_dir.join("uploads"))),
            changed: Arc::default(),
            keeper: Arc::default(),
            consoles: Arc::default(),
            in_hand: Arc::default(),
            running: Arc::default(),
        }
    }

    /// Where a run of a command works.
    fn site<'a>(&'a self, run: &'a Run) -> Site<'a, E>
    where
        E: Hypervisor,
    {
        Site::new(self.engine.as_ref(), &self.consoles, &self.pool, run)
    }
}

impl<E> Clone for LibvirtExecutor<E> {
    fn clone(&self) -> Self {
        Self {
            definitions: self.definitions.clone(),
            engine: Arc::clone(&self.engine),
            limits: self.limits,
            host: self.host.clone(),
            pool: self.pool.clone(),
            downloads: self.downloads.clone(),
            uploads: Arc::clone(&self.uploads),
            changed: Arc::clone(&self.changed),
            keeper: Arc::clone(&self.keeper),
            consoles: Arc::clone(&self.consoles),
            in_hand: Arc::clone(&self.in_hand),
            running: Arc::clone(&self.running),
        }
    }
}

/// What judging found, and executing needs.
pub enum Job {
    /// Of a machine.
    Machine(Box<MachineJob>),
    /// Of a box that is to be imported.
    Import(Box<Import>),
    /// Of a box that is to be removed.
    RemoveBox(Box<BoxHead>),
}

/// What is to be done with a machine.
pub struct MachineJob {
    pub(crate) head: MachineHead,
    pub(crate) actor: Name,
    pub(crate) task: Task,
}

/// A box on its way.
pub struct Import {
    pub(crate) name: Name,
    pub(crate) owner: Name,
    pub(crate) source: BoxSource,
    pub(crate) format: Option<BoxFormat>,
    pub(crate) sha256: Option<Digest>,
    pub(crate) description: String,
}

/// A version that is to be converged to.
pub(crate) struct Ready {
    pub(crate) version: u32,
    pub(crate) desired: Desired,
    /// What the domain that is there was made for.
    pub(crate) old: Option<Desired>,
    /// What it was made for before this command: other than `old` where an earlier run of it has made the domain anew.
    pub(crate) before: Option<Desired>,
}

pub(crate) enum Task {
    Create(Draft),
    Version(Draft),
    /// Makes the version first where there is a draft.
    Apply {
        draft: Option<Draft>,
        ready: Box<Ready>,
    },
    Start(Box<Ready>),
    Shutdown {
        grace: Duration,
    },
    Stop,
    Reboot {
        grace: Duration,
    },
    Suspend,
    Resume,
    Delete {
        disks: bool,
        grace: Duration,
    },
    Snapshot {
        name: String,
        description: String,
    },
    Revert {
        name: String,
    },
    Forget {
        name: String,
    },
}

impl<E: Hypervisor> Executor for LibvirtExecutor<E> {
    type Job = Job;

    async fn judge(&self, command: &Accepted) -> Result<Job, JudgeError> {
        self.judge_command(command).await
    }

    async fn execute(&self, job: Job, run: &Run) -> Result<String, RunError> {
        let _in_hand = self.in_hand.lock().await;
        match job {
            Job::Machine(job) => self.execute_machine(*job, run).await,
            Job::Import(import) => self.import(*import, run).await,
            Job::RemoveBox(head) => self.remove_box(*head, run).await,
        }
    }

    fn waiting_for(&self) -> Option<String> {
        self.engine.away()
    }
}

/// A rejection with these words.
pub(crate) fn reject(words: impl Into<String>) -> JudgeError {
    JudgeError::Rejected(Rejection(words.into()))
}
