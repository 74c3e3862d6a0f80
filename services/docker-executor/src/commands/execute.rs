//! Carrying commands out. Effects on the engine go through [`crate::converge`]; what they changed is told before the end.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use orrery_contracts::{Desired as Wanted, Digest, LockOf, StackChange, StackHead};
use orrery_queue::definitions::Draft;
use orrery_queue::{Run, RunError};

use super::judge::identity;
use super::{DockerExecutor, Job, Ready, Task};
use crate::converge::{self, Apply, Site, lifecycle};
use crate::definition::{BuildOrder, Facts};
use crate::engine::{Engine, Scope};
use crate::files::{self, DataDir, FileError};

impl<E: Engine> DockerExecutor<E> {
    pub(super) async fn execute_job(&self, job: Job, run: &Run) -> Result<String, RunError> {
        let Job { head, actor, task } = job;
        match task {
            Task::Create(draft) => self.create(run, head, &actor, &draft).await,
            Task::Version(draft) => {
                let (_, number) = self.new_version(run, head, &actor, &draft).await?;
                Ok(format!("version {number} saved"))
            }
            Task::Apply { draft: None, ready } => self.apply(run, head, ready, true).await,
            Task::Apply { draft: Some(draft), mut ready } => {
                let (head, number) = self.new_version(run, head, &actor, &draft).await?;
                ready.version = number;
                ready.desired.identity.version = number;
                let summary = self.apply(run, head, ready, true).await?;
                Ok(format!("version {number} saved; {summary}"))
            }
            Task::Start(ready) => self.apply(run, head, ready, false).await,
            Task::Restart(ready) => self.restart(run, head, ready).await,
            Task::Stop => self.stop(run, head).await,
            Task::Delete { volumes } => self.delete(run, head, volumes).await,
            Task::Secret(task) => self.change_secret(run, head, &actor, task).await,
        }
    }

    async fn create(&self, run: &Run, head: StackHead, author: &orrery_contracts::Name, draft: &Draft) -> Result<String, RunError> {
        let head = StackHead { latest: 1, ..head };
        let created = StackChange::Created {
            name: head.name.clone(),
            owner: head.owner.clone(),
            project: head.project.clone(),
            host: head.host.clone(),
        };
        self.tell(run, &head, created).await?;
        self.write_version(run, &head, 1, author, draft).await?;
        self.definitions.write_head(&head).await?;
        Ok(format!("stack {} made with version 1", head.name))
    }

    async fn new_version(
        &self,
        run: &Run,
        head: StackHead,
        author: &orrery_contracts::Name,
        draft: &Draft,
    ) -> Result<(StackHead, u32), RunError> {
        let before = self.definitions.patiently(|| self.definitions.latest_before(head.id.into(), head.latest, run.command().seq));
        let latest = before.await.map_err(|error| RunError::failed("definitions", error.to_string()))?;
        let number = latest.saturating_add(1);
        self.write_version(run, &head, number, author, draft).await?;
        let head = StackHead { latest: number, command: run.command().seq, ..head };
        self.definitions.write_head(&head).await?;
        Ok((head, number))
    }

    async fn apply(&self, run: &Run, head: StackHead, mut ready: Ready, refresh: bool) -> Result<String, RunError> {
        self.make_ready(&head, &mut ready).await?;
        let site = Site::new(self.engine.as_ref(), run).await;
        let bundle = ready.bundle.clone();
        let context = move |order: &BuildOrder| -> Bytes { files::archive(&bundle, order) };
        let apply = self.apply_of(&head, &ready, refresh, &context);
        let result = converge::apply(&site, &apply).await;
        self.remember_pulls(site.all_pulled()).await?;
        let summary = result?;
        // A first run that found nothing to do has changed nothing that anybody must hear of.
        let known = head.current == Some(ready.version) && head.desired == Wanted::Running && head.pinned == ready.pinned;
        if !(run.run() == 1 && known && summary == converge::NOTHING) {
            self.converged(run, head, &ready).await?;
        }
        Ok(summary)
    }

    async fn restart(&self, run: &Run, head: StackHead, mut ready: Ready) -> Result<String, RunError> {
        self.make_ready(&head, &mut ready).await?;
        let site = Site::new(self.engine.as_ref(), run).await;
        let bundle = ready.bundle.clone();
        let context = move |order: &BuildOrder| -> Bytes { files::archive(&bundle, order) };
        let apply = self.apply_of(&head, &ready, false, &context);
        let summary = lifecycle::restart(&site, &apply).await?;
        self.converged(run, head, &ready).await?;
        Ok(summary)
    }

    fn apply_of<'a>(
        &self,
        head: &StackHead,
        ready: &'a Ready,
        refresh: bool,
        context: &'a (dyn Fn(&BuildOrder) -> Bytes + Send + Sync),
    ) -> Apply<'a> {
        Apply {
            desired: &ready.desired,
            converged: head.converged,
            should_run: head.desired == Wanted::Running,
            stopped: self.data.stopped(head.id),
            pulled: self.data.pulled(),
            refresh,
            context,
        }
    }

    /// Files where the engine finds them, the installation among the labels, and the values of secrets.
    async fn make_ready(&self, head: &StackHead, ready: &mut Ready) -> Result<(), RunError> {
        self.reveal(head, &mut ready.desired).await?;
        ready.desired.identity.installation = self.known_installation().await?;
        let (data, bundle, digest, desired) = (self.data.clone(), ready.bundle.clone(), ready.digest.clone(), ready.desired.clone());
        self.blocking(move || {
            data.lay_out(&bundle, &digest)?;
            data.prepare(&desired)
        })
        .await
    }

    /// The version runs: the head moves, and everybody hears of it.
    async fn converged(&self, run: &Run, head: StackHead, ready: &Ready) -> Result<(), RunError> {
        let digest = self.remember(head.id, ready).await?;
        let lock = Some(LockOf { digest: digest.clone(), pinned: ready.pinned });
        let moved = StackChange::HeadMoved { current: Some(ready.version), services: ready.desired.expectations(), lock };
        self.tell(run, &head, moved).await?;
        self.tell(run, &head, StackChange::DesiredChanged { desired: Wanted::Running }).await?;
        let seq = run.command().seq;
        let latest = head.latest.max(ready.version);
        let mut locks = head.locks.clone();
        locks.insert(ready.version, digest);
        let (current, desired, pinned) = (Some(ready.version), Wanted::Running, ready.pinned);
        let head = StackHead { latest, current, desired, converged: seq, command: seq, locks, pinned, ..head };
        self.definitions.write_head(&head).await?;
        self.sweep_secrets(ready).await;
        Ok(())
    }

    /// What the containers should be like from now on, so that drift can be told from a change in place; and which images they have, so
    /// that a rollback to this version has the same. Answers the digest of that.
    async fn remember(&self, stack: orrery_contracts::StackId, ready: &Ready) -> Result<Digest, RunError> {
        let observed = self.engine.observe(&Scope::of(&ready.desired).shortly()).await;
        let images = observed.map(|observed| observed.images).unwrap_or_default();
        let facts = ready.desired.containers().map(|(service, spec)| {
            let facts = service.image.among(&images).map_or_else(|| spec.facts.clone(), |image| spec.facts_with(&image.id));
            (spec.name.clone(), facts)
        });
        let expected: BTreeMap<String, Facts> = facts.collect();
        let data = self.data.clone();
        self.blocking(move || {
            data.remember_expected(stack, &expected)?;
            data.remember_stopped(stack, &BTreeSet::new())
        })
        .await?;
        self.put_lock(&ready.desired.lock(&images)).await
    }

    async fn remember_pulls(&self, names: Vec<String>) -> Result<(), RunError> {
        if names.is_empty() {
            return Ok(());
        }
        let data = self.data.clone();
        self.blocking(move || data.remember_pulled(&names)).await
    }

    async fn stop(&self, run: &Run, head: StackHead) -> Result<String, RunError> {
        let identity = self.whose(&head, run).await?;
        let site = Site::new(self.engine.as_ref(), run).await;
        let (ids, summary) = lifecycle::stop(&site, &identity).await?;
        let (data, stack) = (self.data.clone(), head.id);
        self.blocking(move || {
            let all = data.stopped(stack).into_iter().chain(ids).collect();
            data.remember_stopped(stack, &all)
        })
        .await?;
        if head.current.is_some() {
            self.tell(run, &head, StackChange::DesiredChanged { desired: Wanted::Stopped }).await?;
            self.definitions.write_head(&StackHead { desired: Wanted::Stopped, command: run.command().seq, ..head }).await?;
        }
        Ok(summary)
    }

    async fn delete(&self, run: &Run, head: StackHead, volumes: bool) -> Result<String, RunError> {
        let identity = self.whose(&head, run).await?;
        let site = Site::new(self.engine.as_ref(), run).await;
        let summary = lifecycle::delete(&site, &identity, &self.data.stopped(head.id), volumes).await?;
        let mut stays = Vec::new();
        if volumes {
            let (data, stack) = (self.data.clone(), head.id);
            stays.extend(self.blocking(move || data.remove_stack(stack)).await?);
        }
        stays.extend(self.sweep(&head).await);
        self.tell(run, &head, StackChange::Deleted { volumes }).await?;
        self.definitions.write_head(&StackHead { deleted: true, command: run.command().seq, ..head }).await?;
        Ok([summary].into_iter().chain(stays).collect::<Vec<_>>().join("; "))
    }

    /// Work on the disk, off the threads that must not wait.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T, FileError> + Send + 'static) -> Result<T, RunError> {
        let done = self.data.aside(work).await;
        let result = done.map_err(|error| RunError::failed("files", error.to_string()))?;
        result.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            RunError::failed("files", format!("{error}: {cause}"))
        })
    }

    async fn whose(&self, head: &StackHead, run: &Run) -> Result<crate::definition::Identity, RunError> {
        let installation = self.known_installation().await?;
        Ok(crate::definition::Identity { installation, ..identity(head, head.current.unwrap_or_default(), run.command().seq) })
    }
}

/// The data folder, for who only reads it.
impl<E: Engine> DockerExecutor<E> {
    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &DataDir {
        &self.data
    }
}
