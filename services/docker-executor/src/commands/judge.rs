//! Whether a command fits the world: rights, names, revisions, files, definition, and who holds what it needs. Without
//! any effect; what is wrong from the start is rejected here and holds nobody.

use orrery_contracts::command::{BundleSource, StackAction, Versioning};
use orrery_contracts::{Action, Bundle, Desired as Wanted, Digest, Role, StackHead, StackId, VersionRecord};
use orrery_queue::definitions::{DefinitionError, Draft, must_be_latest};
use orrery_queue::ports::Held;
use orrery_queue::{Accepted, JudgeError};

use super::{DockerExecutor, Job, Ready, Task, judged, of_record, read_definition, reject};
use crate::definition::{Desired, Identity};
use crate::engine::{Class, Engine, EngineError, Scope};
use crate::plan::{Circumstances, plan};
use crate::secrets;

impl<E: Engine> DockerExecutor<E> {
    pub(super) async fn judge_command(&self, command: &Accepted) -> Result<Job, JudgeError> {
        if command.role == Role::Viewer {
            return Err(reject(format!("{} may look and change nothing", command.actor)));
        }
        let action = match &command.message.action {
            Action::Stack(action) => action,
            Action::Machine(_) | Action::Box(_) => return Err(reject("the docker-executor has no machines")),
        };
        if let StackAction::Versioning(Versioning::Create { source, comment }) = action {
            return self.judge_create(command, source, comment).await;
        }
        let head = self.head_of(command).await?;
        let task = match action {
            StackAction::Versioning(versioning) => self.judge_version(command, &head, versioning).await?,
            StackAction::Start => {
                let ready = self.current(command, &head).await?;
                self.nothing_in_the_way(command, &head, &ready).await?;
                Task::Start(ready)
            }
            StackAction::Restart => Task::Restart(self.current(command, &head).await?),
            StackAction::Stop => Task::Stop,
            StackAction::Delete { volumes } => Task::Delete { volumes: *volumes },
            StackAction::SecretPut { .. } | StackAction::SecretRemove { .. } => self.judge_secret(action, command, &head).await?,
        };
        Ok(Job { head, actor: command.actor.clone(), task })
    }

    async fn judge_version(&self, command: &Accepted, head: &StackHead, versioning: &Versioning) -> Result<Task, JudgeError> {
        match versioning {
            Versioning::Create { .. } => Err(reject("a stack is made once")),
            Versioning::Version { source, comment, expected_version } => {
                let draft = self.draft(command, head, source, comment).await?;
                must_be_latest(
                    &head.name,
                    *expected_version,
                    self.definitions.latest_before(head.id.into(), head.latest, command.seq).await?,
                )?;
                Ok(Task::Version(draft))
            }
            Versioning::Apply { version, digest } | Versioning::Rollback { version, digest } => {
                let back = matches!(versioning, Versioning::Rollback { .. });
                let ready = self.version(command, head, *version, digest.as_ref(), back).await?;
                self.nothing_in_the_way(command, head, &ready).await?;
                Ok(Task::Apply { draft: None, ready })
            }
            Versioning::Deploy { source, comment, expected_version } => {
                let draft = self.draft(command, head, source, comment).await?;
                let latest = self.definitions.latest_before(head.id.into(), head.latest, command.seq).await?;
                must_be_latest(&head.name, *expected_version, latest)?;
                let version = latest.saturating_add(1);
                let ready = self.compiled(command, head, version, draft.bundle.clone(), draft.digest.clone())?;
                self.nothing_in_the_way(command, head, &ready).await?;
                Ok(Task::Apply { draft: Some(draft), ready })
            }
        }
    }

    async fn judge_create(&self, command: &Accepted, source: &BundleSource, comment: &str) -> Result<Job, JudgeError> {
        let (owner, name) = command.new_name("stack")?;
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
            locks: std::collections::BTreeMap::new(),
            pinned: false,
            secrets: std::collections::BTreeMap::new(),
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
        let draft = self.definitions.draft(source, comment, &self.limits).await?;
        let identity = Identity { project: head.project.clone(), ..Identity::default() };
        match read_definition(&self.data, &identity, &draft.bundle, &draft.digest, command.role).invalid() {
            Some(problem) => Err(reject(problem)),
            None => Ok(draft),
        }
    }

    async fn current(&self, command: &Accepted, head: &StackHead) -> Result<Ready, JudgeError> {
        let Some(version) = head.current else { return Err(reject(format!("no version of {} was applied yet", head.name))) };
        self.version(command, head, version, None, false).await
    }

    /// A version that is to run; `back` to the images that it ran with.
    async fn version(
        &self,
        command: &Accepted,
        head: &StackHead,
        version: u32,
        digest: Option<&Digest>,
        back: bool,
    ) -> Result<Ready, JudgeError> {
        let record: Option<VersionRecord> = self.definitions.get_version(head.id, version).await.map_err(judged)?;
        let record = record.ok_or_else(|| reject(format!("{} has no version {version}; the latest is {}", head.name, head.latest)))?;
        let (version, found) = of_record(&record);
        if let Some(digest) = digest.filter(|digest| **digest != found) {
            return Err(reject(format!("version {version} of {} has digest {found}, and {digest} was asked for", head.name)));
        }
        let bundle = self.definitions.get_bundle(&found).await.map_err(judged)?;
        let bundle = bundle.ok_or_else(|| reject(format!("the files of version {version} ({found}) are missing")))?;
        let mut ready = self.compiled(command, head, version, bundle, found)?;
        ready.pinned = back || (head.pinned && head.current == Some(version));
        if ready.pinned {
            self.keep_to_lock(&mut ready.desired, head, version).await.map_err(judged)?;
        }
        Ok(ready)
    }

    fn compiled(&self, command: &Accepted, head: &StackHead, version: u32, bundle: Bundle, digest: Digest) -> Result<Ready, JudgeError> {
        let identity = identity(head, version, command.seq);
        let reading = read_definition(&self.data, &identity, &bundle, &digest, command.role);
        let blocked = reading.blocked();
        match reading.desired {
            Some(desired) => Ok(Ready { version, bundle, digest, desired: Box::new(desired), pinned: false }),
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
        let machines = self.machines(&desired).await?;
        let circumstances = Circumstances { converged: head.converged, machines, ..Circumstances::default() };
        match plan(&desired, &observed, &circumstances).refusals.first() {
            Some(refusal) => Err(reject(refusal.message.clone())),
            None => Ok(()),
        }
    }

    /// The ports that machines hold, where the version wants any.
    pub(crate) async fn machines(&self, desired: &Desired) -> Result<Vec<Held>, DefinitionError> {
        let wanted = desired.containers().any(|(_, spec)| !spec.published().is_empty());
        if wanted { self.definitions.ports_of_machines(&self.host).await } else { Ok(Vec::new()) }
    }

    pub(crate) async fn installation(&self) -> Result<uuid::Uuid, JudgeError> {
        let found = self.definitions.installation().await.map_err(judged)?;
        found.map(|installation| installation.id).ok_or_else(|| JudgeError::Transient("the broker is not provisioned yet".into()))
    }
}

/// Whose a version's containers are; the installation is filled in where it is known.
pub(crate) fn identity(head: &StackHead, version: u32, command: u64) -> Identity {
    Identity {
        stack: head.id,
        owner: head.owner.to_string(),
        project: head.project.clone(),
        version,
        command,
        secrets: secrets::versions(head),
        ..Identity::default()
    }
}

/// An engine's error while judging: the command waits for the engine.
fn away(error: EngineError) -> JudgeError {
    match error.class {
        Class::Wait | Class::Retry | Class::Replan => JudgeError::Transient(error.to_string()),
        Class::Refuse => reject(error.to_string()),
    }
}
