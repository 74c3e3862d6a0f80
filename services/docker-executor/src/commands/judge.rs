//! Whether a command fits the world: rights, names, revisions, files, definition, and who holds what it needs. Without
//! any effect; what is wrong from the start is rejected here and holds nobody.

use orrery_contracts::command::BundleSource;
use orrery_contracts::{Action, Bundle, Desired as Wanted, Digest, Role, StackHead, StackId, VersionRecord};
use orrery_queue::{Accepted, JudgeError};

use super::{DockerExecutor, Draft, Job, Ready, Task, judged, of_record, read_definition, reject};
use crate::definition::Identity;
use crate::engine::{Class, Engine, EngineError, Scope};
use crate::plan::{Circumstances, plan};

impl<E: Engine> DockerExecutor<E> {
    pub(super) async fn judge_command(&self, command: &Accepted) -> Result<Job, JudgeError> {
        if command.role == Role::Viewer {
            return Err(reject(format!("{} may look and change nothing", command.actor)));
        }
        if let Action::StackCreate { source, comment } = &command.message.action {
            return self.judge_create(command, source, comment).await;
        }
        let head = self.head_of(command).await?;
        let task = self.judge_task(command, &head).await?;
        Ok(Job { head, actor: command.actor.clone(), task })
    }

    async fn judge_task(&self, command: &Accepted, head: &StackHead) -> Result<Task, JudgeError> {
        match &command.message.action {
            Action::StackCreate { .. } => Err(reject("a stack is made once")),
            Action::StackVersionCreate { source, comment, expected_version } => {
                let draft = self.draft(command, head, source, comment).await?;
                must_be_latest(head, *expected_version, self.latest(head, command.seq).await?)?;
                Ok(Task::Version(draft))
            }
            Action::StackApply { version, digest } | Action::StackRollback { version, digest } => {
                let ready = self.version(command, head, *version, digest.as_ref()).await?;
                self.nothing_in_the_way(command, head, &ready).await?;
                Ok(Task::Apply { draft: None, ready })
            }
            Action::StackDeploy { source, comment, expected_version } => {
                let draft = self.draft(command, head, source, comment).await?;
                let latest = self.latest(head, command.seq).await?;
                must_be_latest(head, *expected_version, latest)?;
                let version = latest.saturating_add(1);
                let ready = self.compiled(command, head, version, draft.bundle.clone(), draft.digest.clone())?;
                self.nothing_in_the_way(command, head, &ready).await?;
                Ok(Task::Apply { draft: Some(draft), ready })
            }
            Action::StackStart => {
                let ready = self.current(command, head).await?;
                self.nothing_in_the_way(command, head, &ready).await?;
                Ok(Task::Start(ready))
            }
            Action::StackRestart => Ok(Task::Restart(self.current(command, head).await?)),
            Action::StackStop => Ok(Task::Stop),
            Action::StackDelete { volumes } => Ok(Task::Delete { volumes: *volumes }),
        }
    }

    async fn judge_create(&self, command: &Accepted, source: &BundleSource, comment: &str) -> Result<Job, JudgeError> {
        let (owner, name) = Self::new_name(command)?;
        let installation = self.definitions.installation().await.map_err(judged)?;
        let installation = installation.ok_or_else(|| JudgeError::Transient("the broker is not provisioned yet".into()))?;
        let id = StackId::derive(installation.id, command.seq);
        let heads = self.definitions.stack_heads().await.map_err(judged)?;
        let live: Vec<StackHead> = heads.into_iter().map(|kept| kept.value).filter(|head| !head.deleted).collect();
        if let Some(written) = live.iter().find(|head| head.id == id) {
            let draft = self.draft(command, written, source, comment).await?;
            return Ok(Job { head: written.clone(), actor: command.actor.clone(), task: Task::Create(draft) });
        }
        if live.iter().any(|head| head.owner == owner && head.name == name) {
            return Err(reject(format!("{owner} has a stack {:?} already", name.as_str())));
        }
        let mut head = StackHead {
            id,
            project: String::new(),
            name,
            owner,
            host: self.host.clone(),
            latest: 0,
            current: None,
            desired: Wanted::Created,
            deleted: false,
            converged: 0,
            command: command.seq,
            created_at: command.accepted_at,
        };
        head.project = self.free_project(&head, installation.id, &live).await?;
        let draft = self.draft(command, &head, source, comment).await?;
        Ok(Job { head, actor: command.actor.clone(), task: Task::Create(draft) })
    }

    /// The stack's name, with digits of its id where another project of the engine or installation has it.
    async fn free_project(&self, head: &StackHead, installation: uuid::Uuid, live: &[StackHead]) -> Result<String, JudgeError> {
        let scope = Scope { identity: Identity { installation, stack: head.id, ..Identity::default() }, ..Scope::default() }.shortly();
        let observed = self.engine.observe(&scope).await.map_err(away)?;
        let taken = |name: &str| {
            live.iter().any(|other| other.project == name) || observed.others.iter().any(|other| other.project.as_deref() == Some(name))
        };
        let name = head.name.as_str();
        if !taken(name) {
            return Ok(name.to_owned());
        }
        let digits = head.id.uuid().simple().to_string();
        let candidates = (0..8).filter_map(|at: usize| digits.get(at.saturating_mul(4)..at.saturating_mul(4).saturating_add(4)));
        let free = candidates.map(|four| format!("{name}-{four}")).find(|candidate| !taken(candidate));
        free.ok_or_else(|| reject(format!("no free Compose project was found for {name:?}")))
    }

    /// The files of a new version: there, within the limits, and Compose.
    async fn draft(&self, command: &Accepted, head: &StackHead, source: &BundleSource, comment: &str) -> Result<Draft, JudgeError> {
        let bundle = match source {
            BundleSource::Inline(bundle) => bundle.clone(),
            BundleSource::Digest(digest) => self.uploaded(digest).await?,
        };
        if let Some(fault) = bundle.faults(&self.limits).first() {
            let path = if fault.path.is_empty() { String::new() } else { format!("{}: ", fault.path) };
            return Err(reject(format!("{path}{}", fault.message)));
        }
        let digest = bundle.digest();
        let identity = Identity { project: head.project.clone(), ..Identity::default() };
        if let Some(problem) = read_definition(&self.data, &identity, &bundle, &digest, command.role).invalid() {
            return Err(reject(problem));
        }
        Ok(Draft { bundle, digest, comment: comment.to_owned() })
    }

    /// An upload by its digest; one that a version uses already is found in BUNDLES.
    pub(crate) async fn uploaded(&self, digest: &Digest) -> Result<Bundle, JudgeError> {
        // The canonical form codes binary files and escapes text, so that it is longer than what it holds.
        let limit = self.limits.bytes.saturating_mul(2).saturating_add(1024 * 1024);
        if let Some(bytes) = self.definitions.get_upload(digest, limit).await.map_err(judged)? {
            return serde_json::from_slice(&bytes).map_err(|error| reject(format!("upload {digest} is no bundle: {error}")));
        }
        let kept = self.definitions.get_bundle(digest).await.map_err(judged)?;
        kept.ok_or_else(|| reject(format!("there is no upload {digest}; uploads are kept for a day: upload the files again")))
    }

    /// The latest version before this command, also where this command wrote one already.
    pub(super) async fn latest(&self, head: &StackHead, seq: u64) -> Result<u32, JudgeError> {
        let mut latest = head.latest;
        if latest > 0 {
            let record = self.definitions.get_version(head.id, latest).await.map_err(judged)?;
            if record.is_some_and(|record| record.command == seq) {
                return Ok(latest.saturating_sub(1));
            }
        }
        // VERSIONS is the truth: a head that was not written in time is behind it.
        loop {
            let next = latest.saturating_add(1);
            match self.definitions.get_version(head.id, next).await.map_err(judged)? {
                Some(record) if record.command != seq => latest = next,
                Some(_) | None => return Ok(latest),
            }
        }
    }

    async fn current(&self, command: &Accepted, head: &StackHead) -> Result<Ready, JudgeError> {
        let Some(version) = head.current else { return Err(reject(format!("no version of {} was applied yet", head.name))) };
        self.version(command, head, version, None).await
    }

    async fn version(&self, command: &Accepted, head: &StackHead, version: u32, digest: Option<&Digest>) -> Result<Ready, JudgeError> {
        let record: Option<VersionRecord> = self.definitions.get_version(head.id, version).await.map_err(judged)?;
        let record = record.ok_or_else(|| reject(format!("{} has no version {version}; the latest is {}", head.name, head.latest)))?;
        let (version, found) = of_record(&record);
        if let Some(digest) = digest.filter(|digest| **digest != found) {
            return Err(reject(format!("version {version} of {} has digest {found}, and {digest} was asked for", head.name)));
        }
        let bundle = self.definitions.get_bundle(&found).await.map_err(judged)?;
        let bundle = bundle.ok_or_else(|| reject(format!("the files of version {version} ({found}) are missing")))?;
        self.compiled(command, head, version, bundle, found)
    }

    fn compiled(&self, command: &Accepted, head: &StackHead, version: u32, bundle: Bundle, digest: Digest) -> Result<Ready, JudgeError> {
        let identity = identity(head, version, command.seq);
        let reading = read_definition(&self.data, &identity, &bundle, &digest, command.role);
        let blocked = reading.blocked();
        match reading.desired {
            Some(desired) => Ok(Ready { version, bundle, digest, desired: Box::new(desired) }),
            None => Err(reject(blocked.unwrap_or_else(|| "the definition cannot be run".to_owned()))),
        }
    }

    /// Conflicts are told before anything is done; behind a crash the work goes on and finds them itself.
    async fn nothing_in_the_way(&self, command: &Accepted, head: &StackHead, ready: &Ready) -> Result<(), JudgeError> {
        if command.resumed {
            return Ok(());
        }
        let mut desired = ready.desired.clone();
        desired.identity.installation = self.installation().await?;
        let observed = self.engine.observe(&Scope::of(&desired).shortly()).await.map_err(away)?;
        let circumstances = Circumstances { converged: head.converged, ..Circumstances::default() };
        match plan(&desired, &observed, &circumstances).refusals.first() {
            Some(refusal) => Err(reject(refusal.message.clone())),
            None => Ok(()),
        }
    }

    pub(crate) async fn installation(&self) -> Result<uuid::Uuid, JudgeError> {
        let found = self.definitions.installation().await.map_err(judged)?;
        found.map(|installation| installation.id).ok_or_else(|| JudgeError::Transient("the broker is not provisioned yet".into()))
    }
}

/// Whose a version's containers are; the installation is filled in where it is known.
pub(crate) fn identity(head: &StackHead, version: u32, command: u64) -> Identity {
    Identity { stack: head.id, owner: head.owner.to_string(), project: head.project.clone(), version, command, ..Identity::default() }
}

/// An engine's error while judging: the command waits for the engine.
/// Refuses a new version when somebody saved since its author looked.
fn must_be_latest(head: &StackHead, expected: Option<u32>, latest: u32) -> Result<(), JudgeError> {
    match expected.filter(|expected| *expected != latest) {
        Some(expected) => Err(reject(format!(
            "somebody else saved first: version {expected} was expected to be the latest of {}, and it is {latest}; look at what changed, and save again",
            head.name
        ))),
        None => Ok(()),
    }
}

fn away(error: EngineError) -> JudgeError {
    match error.class {
        Class::Wait | Class::Retry | Class::Replan => JudgeError::Transient(error.to_string()),
        Class::Refuse => reject(error.to_string()),
    }
}
