//! Whether a command fits the world: rights, names, revisions, files, definition, boxes. Without any effect; what is wrong from the
//! start is rejected here and holds nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use orrery_contracts::command::{BoxAction, BoxSource, BundleSource, MachineAction, Target, Versioning};
use orrery_contracts::{Action, BoxHead, Bundle, Desired as Wanted, Digest, MachineHead, MachineId, Name, Role, VersionRecord};
use orrery_machine::{Machine, Outcome};
use orrery_queue::definitions::{Draft, must_be_latest};
use orrery_queue::{Accepted, JudgeError};
use uuid::Uuid;

use super::{Import, Job, LibvirtExecutor, MachineJob, Ready, Task, reject};
use crate::definition::{Desired, Host, Identity, Pool, Record, compile};
use crate::engine::{Class, EngineError, Hypervisor, Scope};
use crate::plan;

/// How long a guest may take to end where no definition says it.
const GRACE: Duration = Duration::from_secs(60);

impl<E: Hypervisor> LibvirtExecutor<E> {
    pub(super) async fn judge_command(&self, command: &Accepted) -> Result<Job, JudgeError> {
        if command.role == Role::Viewer {
            return Err(reject(format!("{} may look and change nothing", command.actor)));
        }
        match &command.message.action {
            Action::Machine(action) => self.judge_machine(command, action).await,
            Action::Box(action) => self.judge_box(command, action).await,
            Action::Stack(_) => Err(reject("the libvirt-executor has no stacks")),
        }
    }

    async fn judge_machine(&self, command: &Accepted, action: &MachineAction) -> Result<Job, JudgeError> {
        if let MachineAction::Versioning(Versioning::Create { source, comment }) = action {
            return self.judge_create(command, source, comment).await;
        }
        let head = self.head_of(command).await?;
        let needs_a_guest = !matches!(action, MachineAction::Versioning(_) | MachineAction::Delete { .. });
        if needs_a_guest && head.current.is_none() {
            return Err(never_applied(&head));
        }
        let task = match action {
            MachineAction::Versioning(versioning) => self.judge_version(command, &head, versioning).await?,
            MachineAction::Start => {
                let ready = self.current(command, &head).await?;
                self.ports_are_free(command, &ready).await?;
                Task::Start(Box::new(ready))
            }
            MachineAction::Shutdown { grace_seconds: Some(seconds) } => Task::Shutdown { grace: Duration::from_secs(*seconds) },
            MachineAction::Shutdown { grace_seconds: None } => Task::Shutdown { grace: self.grace(&head).await? },
            MachineAction::Stop => Task::Stop,
            MachineAction::Reboot => Task::Reboot { grace: self.grace(&head).await? },
            MachineAction::Suspend => Task::Suspend,
            MachineAction::Resume => Task::Resume,
            MachineAction::Delete { disks } => Task::Delete { disks: *disks, grace: self.grace(&head).await? },
            MachineAction::SnapshotCreate { name, description } => Task::Snapshot { name: name.clone(), description: description.clone() },
            MachineAction::SnapshotRevert { name } => Task::Revert { name: name.clone() },
            MachineAction::SnapshotDelete { name } => Task::Forget { name: name.clone() },
        };
        Ok(Job::Machine(Box::new(MachineJob { head, actor: command.actor.clone(), task })))
    }

    async fn judge_version(&self, command: &Accepted, head: &MachineHead, versioning: &Versioning) -> Result<Task, JudgeError> {
        match versioning {
            Versioning::Create { .. } => Err(reject("a machine is made once")),
            Versioning::Version { source, comment, expected_version } => {
                let draft = self.draft(source, comment).await?;
                let latest = self.definitions.latest_before(head.id.into(), head.latest, command.seq).await?;
                must_be_latest(&head.name, *expected_version, latest)?;
                Ok(Task::Version(draft))
            }
            Versioning::Apply { version, digest } | Versioning::Rollback { version, digest } => {
                let ready = self.version(command, head, *version, digest.as_ref()).await?;
                self.ports_are_free(command, &ready).await?;
                Ok(Task::Apply { draft: None, ready: Box::new(ready) })
            }
            Versioning::Deploy { source, comment, expected_version } => {
                let draft = self.draft(source, comment).await?;
                let latest = self.definitions.latest_before(head.id.into(), head.latest, command.seq).await?;
                must_be_latest(&head.name, *expected_version, latest)?;
                let ready = self.ready(head, latest.saturating_add(1), &draft.bundle, command.seq).await?;
                self.ports_are_free(command, &ready).await?;
                Ok(Task::Apply { draft: Some(draft), ready: Box::new(ready) })
            }
        }
    }

    /// Ports that somebody holds are told before anything is done; behind a crash the work goes on and finds them itself.
    async fn ports_are_free(&self, command: &Accepted, ready: &Ready) -> Result<(), JudgeError> {
        if command.resumed {
            return Ok(());
        }
        let held = self.in_the_way(&ready.desired, ready.old.as_ref()).await?;
        match plan::ports(&ready.desired, &held).next() {
            Some(refusal) => Err(reject(refusal.message)),
            None => Ok(()),
        }
    }

    async fn judge_create(&self, command: &Accepted, source: &BundleSource, comment: &str) -> Result<Job, JudgeError> {
        let (owner, name) = command.new_name("machine")?;
        let id = MachineId::derive(self.installation().await?, command.seq);
        let heads = self.definitions.machine_heads().await?;
        let live: Vec<MachineHead> = heads.into_iter().map(|kept| kept.value).filter(|head| !head.deleted).collect();
        let draft = self.draft(source, comment).await?;
        if let Some(written) = live.iter().find(|head| head.id == id) {
            let job = MachineJob { head: written.clone(), actor: command.actor.clone(), task: Task::Create(draft) };
            return Ok(Job::Machine(Box::new(job)));
        }
        if live.iter().any(|head| head.owner == owner && head.name == name) {
            return Err(reject(format!("{owner} has a machine {:?} already", name.as_str())));
        }
        let domain = self.free_domain(id, &name, &live).await?;
        let head = MachineHead {
            id,
            name,
            owner,
            domain,
            host: self.host.clone(),
            latest: 0,
            current: None,
            desired: Wanted::Created,
            deleted: false,
            converged: 0,
            command: command.seq,
            created_at: command.accepted_at,
        };
        Ok(Job::Machine(Box::new(MachineJob { head, actor: command.actor.clone(), task: Task::Create(draft) })))
    }

    /// The machine's name, with digits of its id where another domain has it.
    async fn free_domain(&self, id: MachineId, name: &Name, live: &[MachineHead]) -> Result<String, JudgeError> {
        let digits = id.uuid().simple().to_string();
        let unique = format!("{name}-{}", digits.get(..8).unwrap_or(&digits));
        if self.engine.away().is_some() {
            // A definition needs no libvirt; what it has cannot be asked, so the name is one that nobody else can have.
            return Ok(unique);
        }
        let observed = self.engine.observe(&Scope { in_short: true, ..Scope::default() }).await.map_err(away)?;
        let seen: Vec<&str> =
            observed.domains.iter().map(|seen| seen.name.as_str()).chain(observed.others.iter().map(|other| other.name.as_str())).collect();
        let taken = |candidate: &str| live.iter().any(|head| head.domain == candidate) || seen.contains(&candidate);
        if !taken(name.as_str()) {
            return Ok(name.to_string());
        }
        Ok(unique)
    }

    /// The files of a new version: there, within the limits, and a machine.
    async fn draft(&self, source: &BundleSource, comment: &str) -> Result<Draft, JudgeError> {
        let draft = self.definitions.draft(source, comment, &self.limits).await?;
        definition(&draft.bundle)?;
        Ok(draft)
    }

    async fn current(&self, command: &Accepted, head: &MachineHead) -> Result<Ready, JudgeError> {
        let version = head.current.ok_or_else(|| never_applied(head))?;
        self.version(command, head, version, None).await
    }

    async fn version(&self, command: &Accepted, head: &MachineHead, version: u32, digest: Option<&Digest>) -> Result<Ready, JudgeError> {
        let record: Option<VersionRecord> = self.definitions.get_version(head.id, version).await?;
        let record = record.ok_or_else(|| reject(format!("{} has no version {version}; the latest is {}", head.name, head.latest)))?;
        if let Some(digest) = digest.filter(|digest| **digest != record.digest) {
            return Err(reject(format!("version {version} of {} has digest {}, and {digest} was asked for", head.name, record.digest)));
        }
        let bundle = self.bundle(version, &record.digest).await?;
        self.ready(head, version, &bundle, command.seq).await
    }

    async fn bundle(&self, version: u32, digest: &Digest) -> Result<Bundle, JudgeError> {
        let bundle = self.definitions.get_bundle(digest).await?;
        bundle.ok_or_else(|| reject(format!("the files of version {version} ({digest}) are missing")))
    }

    /// What a version wants, and what there is.
    pub(crate) async fn ready(&self, head: &MachineHead, version: u32, bundle: &Bundle, command: u64) -> Result<Ready, JudgeError> {
        let host = self.host_now().await?;
        let boxes = self.boxes().await?;
        let identity = self.identity(head, version, command).await?;
        let compiled = compile(&definition(bundle)?, &identity, &host, &boxes);
        let desired = compiled.map_err(|faults| {
            reject(faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect::<Vec<_>>().join("; "))
        })?;
        let old = self.old(head, &host, &boxes).await?;
        let made_by_it = old.as_ref().is_some_and(|old| old.identity.command == command);
        let before = match head.current {
            Some(current) if made_by_it => self.compiled(head, current, head.converged).await?,
            None if made_by_it => None,
            Some(_) | None => old.clone(),
        };
        Ok(Ready { version, desired, old, before })
    }

    /// What the domain that is there was made for, as its record says.
    pub(crate) async fn old(
        &self,
        head: &MachineHead,
        host: &Host,
        boxes: &BTreeMap<String, BoxHead>,
    ) -> Result<Option<Desired>, JudgeError> {
        let scope = Scope { only: Some(head.id.uuid()), in_short: true, ..Scope::default() };
        let observed = self.engine.observe(&scope).await.map_err(away)?;
        let Some(record) = observed.domain(head.id.uuid()).and_then(|seen| Record::read(&seen.metadata)) else { return Ok(None) };
        let Some(machine) = self.machine(head, record.version).await? else { return Ok(None) };
        let identity = self.identity(head, record.version, record.command).await?;
        Ok(compile(&machine, &identity, host, boxes).ok())
    }

    /// What a version wants on this host; none when that cannot be had here any more.
    pub(super) async fn compiled(&self, head: &MachineHead, version: u32, command: u64) -> Result<Option<Desired>, JudgeError> {
        let Some(machine) = self.machine(head, version).await? else { return Ok(None) };
        let identity = self.identity(head, version, command).await?;
        Ok(compile(&machine, &identity, &self.host_now().await?, &self.boxes().await?).ok())
    }

    /// The definition of a version.
    async fn machine(&self, head: &MachineHead, version: u32) -> Result<Option<Machine>, JudgeError> {
        let Some(record) = self.definitions.get_version(head.id, version).await? else { return Ok(None) };
        definition(&self.bundle(version, &record.digest).await?).map(Some)
    }

    /// How long the guest may take to end, as the version at work says.
    async fn grace(&self, head: &MachineHead) -> Result<Duration, JudgeError> {
        let Some(version) = head.current else { return Ok(GRACE) };
        Ok(self.machine(head, version).await?.map_or(GRACE, |machine| machine.stop_grace_period))
    }

    pub(crate) async fn identity(&self, head: &MachineHead, version: u32, command: u64) -> Result<Identity, JudgeError> {
        let (owner, domain) = (head.owner.to_string(), head.domain.clone());
        Ok(Identity { installation: self.installation().await?, machine: head.id, owner, domain, version, command })
    }

    pub(crate) async fn host_now(&self) -> Result<Host, JudgeError> {
        let capabilities = self.engine.capabilities().await.map_err(away)?;
        let observed = self.engine.observe(&Scope { no_domains: true, ..Scope::all(Pool::NAME) }).await.map_err(away)?;
        let subnets = observed.networks.iter().filter_map(|network| Some((network.name.clone(), *network.subnets.first()?)));
        let subnets = subnets.collect();
        let volumes = observed.volumes.into_iter().map(|volume| (volume.name, volume.format)).collect();
        let libvirt = crate::engine::version_words(capabilities.version);
        let (accelerator, passt) = (capabilities.accelerator, capabilities.passt);
        Ok(Host { pool: self.pool.clone(), accelerator, passt, libvirt, volumes, subnets })
    }

    /// The boxes of this host, by name.
    pub(crate) async fn boxes(&self) -> Result<BTreeMap<String, BoxHead>, JudgeError> {
        let heads = self.definitions.box_heads().await?.into_iter().map(|kept| kept.value);
        Ok(heads.filter(|head| !head.deleted && head.host == self.host).map(|head| (head.name.to_string(), head)).collect())
    }

    pub(crate) async fn installation(&self) -> Result<Uuid, JudgeError> {
        let found = self.definitions.installation().await?;
        found.map(|installation| installation.id).ok_or_else(|| JudgeError::Transient("the broker is not provisioned yet".into()))
    }

    /// The head of the machine that a command is about. One that this very command deleted still counts.
    async fn head_of(&self, command: &Accepted) -> Result<MachineHead, JudgeError> {
        let here = |head: &MachineHead| !head.deleted || head.command == command.seq;
        let found = match &command.message.target {
            Target::Id(id) => self.definitions.machine_head(MachineId::new(*id)).await?.map(|kept| kept.value).filter(here),
            Target::Own(name) => self.named(&command.actor, name, here).await?,
            Target::Of(owner, name) => self.named(owner, name, here).await?,
        };
        match found {
            Some(head) if head.owner == command.actor || command.role == Role::Admin => Ok(head),
            // What is somebody else's is not even said to exist.
            Some(_) | None => Err(reject(format!("there is no machine {:?} of {}", command.message.target.to_string(), command.actor))),
        }
    }

    async fn named(&self, owner: &Name, name: &Name, here: impl Fn(&MachineHead) -> bool) -> Result<Option<MachineHead>, JudgeError> {
        let heads = self.definitions.machine_heads().await?;
        Ok(heads.into_iter().map(|kept| kept.value).find(|head| head.owner == *owner && head.name == *name && here(head)))
    }

    async fn judge_box(&self, command: &Accepted, action: &BoxAction) -> Result<Job, JudgeError> {
        let (Target::Own(name) | Target::Of(_, name)) = &command.message.target else {
            return Err(reject("a box is meant by its name"));
        };
        let found = self.definitions.box_head(name.as_str()).await?.map(|kept| kept.value);
        let there = found.filter(|head| !head.deleted || head.command == command.seq);
        match action {
            BoxAction::Import { source, format, sha256, description } => {
                if there.is_some_and(|head| head.command != command.seq) {
                    return Err(reject(format!("there is a box {name} already; remove it first, or take another name")));
                }
                // Behind a crash it may be a box already, and its upload gone.
                if let BoxSource::Upload(sum) = source
                    && !command.resumed
                    && self.upload(sum).await?.is_none()
                {
                    return Err(reject(format!("there is no upload with SHA-256 {sum}; one that nobody makes a box of is kept for a day")));
                }
                let (owner, name) = (command.actor.clone(), name.clone());
                let (source, format, sha256, description) = (source.clone(), *format, sha256.clone(), description.clone());
                Ok(Job::Import(Box::new(Import { name, owner, source, format, sha256, description })))
            }
            BoxAction::Remove => {
                let head = there.ok_or_else(|| reject(format!("there is no box {name}")))?;
                if head.owner != command.actor && command.role != Role::Admin {
                    return Err(reject(format!("the box {name} was imported by {}", head.owner)));
                }
                let users = self.users_of(&head).await?;
                if !users.is_empty() {
                    return Err(reject(format!("the box {name} is used by {}", users.join(", "))));
                }
                Ok(Job::RemoveBox(Box::new(head)))
            }
        }
    }
}

/// The machine that a bundle defines.
pub(crate) fn definition(bundle: &Bundle) -> Result<Machine, JudgeError> {
    let Outcome { machine, problems, .. } =
        orrery_machine::load(&bundle.files.iter().map(|(path, file)| (path.as_str(), file.bytes.clone())).collect());
    let words = || problems.iter().find(|problem| problem.blocks()).map_or_else(|| "no machine is defined".to_owned(), ToString::to_string);
    machine.ok_or_else(|| reject(words()))
}

/// libvirt's error while judging: the command waits for it.
pub(super) fn away(error: EngineError) -> JudgeError {
    match error.class {
        Class::Wait | Class::Retry | Class::Replan => JudgeError::Transient(error.to_string()),
        Class::Refuse => reject(error.to_string()),
    }
}

fn never_applied(head: &MachineHead) -> JudgeError {
    reject(format!("no version of {} was applied yet", head.name))
}
