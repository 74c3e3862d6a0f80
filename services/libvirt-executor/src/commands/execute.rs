//! Carrying commands of machines out. Effects on libvirt go through [`crate::converge`]; what they changed is told before the end.

use orrery_contracts::{Desired as Wanted, MachineChange, MachineHead, Name};
use orrery_queue::definitions::Draft;
use orrery_queue::ports::PORT_TAKEN;
use orrery_queue::{JudgeError, Run, RunError, StepDone, StepFailure};

use super::heads::told;
use super::{LibvirtExecutor, MachineJob, Ready, Task};
use crate::converge::{self, Apply, NOTHING, Site, lifecycle};
use crate::definition::{Desired, Identity, Record};
use crate::engine::{Hypervisor, Seen};
use crate::forward::{Blind, Unopened, ways};

impl<E: Hypervisor> LibvirtExecutor<E> {
    pub(super) async fn execute_machine(&self, job: MachineJob, run: &Run) -> Result<String, RunError> {
        let MachineJob { head, actor, task } = job;
        let identity = self.whose(&head, run).await?;
        let site = self.site(run);
        match task {
            Task::Create(draft) => self.create(run, head, &actor, &draft).await,
            Task::Version(draft) => {
                let (_, number) = self.new_version(run, head, &actor, &draft).await?;
                Ok(format!("version {number} saved"))
            }
            Task::Apply { draft: None, ready } | Task::Start(ready) => self.apply(run, head, *ready).await,
            Task::Apply { draft: Some(draft), ready } => {
                let (head, number) = self.new_version(run, head, &actor, &draft).await?;
                let summary = self.apply(run, head, *ready).await?;
                Ok(format!("version {number} saved; {summary}"))
            }
            Task::Shutdown { grace } => {
                let summary = lifecycle::shutdown(&site, &identity, grace).await?;
                self.close_doors().await;
                self.wanted(run, head, Wanted::Stopped).await.map(|()| summary)
            }
            Task::Stop => {
                let summary = lifecycle::stop(&site, &identity).await?;
                self.close_doors().await;
                self.wanted(run, head, Wanted::Stopped).await.map(|()| summary)
            }
            Task::Reboot { grace } => lifecycle::reboot(&site, &identity, grace).await,
            Task::Suspend => lifecycle::suspend(&site, &identity).await,
            Task::Resume => lifecycle::resume(&site, &identity).await,
            Task::Snapshot { name, description } => {
                let summary = lifecycle::snapshot(&site, &identity, &name, &description).await?;
                // No event of libvirt's tells of snapshots.
                self.changed.notify_one();
                Ok(summary)
            }
            Task::Revert { name } => {
                let reverted = lifecycle::revert(&site, &identity, &name).await;
                // An earlier run may have done it, whatever keeps this one from doing it again.
                let done = reverted.is_ok() || lifecycle::has_reverted(&site);
                if done && !matches!(reverted, Err(RunError::Stale | RunError::ShuttingDown | RunError::BrokerAway)) {
                    let seen = lifecycle::found(&site, &identity).await?;
                    self.changed.notify_one();
                    self.follow(run, head, seen.as_ref()).await?;
                }
                reverted
            }
            Task::Forget { name } => {
                let summary = lifecycle::forget(&site, &identity, &name).await?;
                self.changed.notify_one();
                Ok(summary)
            }
            Task::Delete { disks, grace } => {
                let summary = lifecycle::delete(&site, &identity, grace, disks).await?;
                self.close_doors().await;
                self.consoles.forget(head.id);
                self.tell(run, &head, MachineChange::Deleted { disks }).await?;
                self.definitions.write_head(&MachineHead { deleted: true, command: run.command().seq, ..head }).await?;
                self.changed.notify_one();
                Ok(summary)
            }
        }
    }

    async fn create(&self, run: &Run, head: MachineHead, author: &Name, draft: &Draft) -> Result<String, RunError> {
        let head = MachineHead { latest: 1, ..head };
        let (name, owner, domain, host) = (head.name.clone(), head.owner.clone(), head.domain.clone(), head.host.clone());
        self.tell(run, &head, MachineChange::Created { name, owner, domain, host }).await?;
        self.write_version(run, &head, 1, author, draft).await?;
        self.definitions.write_head(&head).await?;
        Ok(format!("machine {} made with version 1", head.name))
    }

    async fn new_version(&self, run: &Run, head: MachineHead, author: &Name, draft: &Draft) -> Result<(MachineHead, u32), RunError> {
        let seq = run.command().seq;
        let before = self.definitions.patiently(|| self.definitions.latest_before(head.id.into(), head.latest, seq));
        let number = told(before.await)?.saturating_add(1);
        self.write_version(run, &head, number, author, draft).await?;
        let head = MachineHead { latest: number, command: seq, ..head };
        self.definitions.write_head(&head).await?;
        Ok((head, number))
    }

    async fn apply(&self, run: &Run, head: MachineHead, ready: Ready) -> Result<String, RunError> {
        // An earlier run came to the end of it, and could not say so.
        if head.converged == run.command().seq {
            return Ok("machine applied".to_owned());
        }
        let site = self.site(run);
        let held = self.in_the_way(&ready.desired, ready.old.as_ref()).await;
        let held = told(held)?;
        let apply = Apply { desired: &ready.desired, old: ready.old.as_ref(), before: ready.before.as_ref(), held: &held };
        let summary = converge::apply(&site, &apply, || self.open_doors(&site, &ready.desired)).await?;
        // A first run that found nothing to do has changed nothing that anybody must hear of.
        let known = head.current == Some(ready.version) && head.desired == Wanted::Running;
        if run.run() == 1 && known && summary == NOTHING {
            return Ok(summary);
        }
        let seq = run.command().seq;
        let moved = MachineChange::HeadMoved { current: Some(ready.version), machine: Some(ready.desired.summary()) };
        self.tell(run, &head, moved).await?;
        self.tell(run, &head, MachineChange::DesiredChanged { desired: Wanted::Running }).await?;
        let latest = head.latest.max(ready.version);
        let current = Some(ready.version);
        self.definitions
            .write_head(&MachineHead { latest, current, desired: Wanted::Running, converged: seq, command: seq, ..head })
            .await?;
        self.changed.notify_one();
        Ok(summary)
    }

    /// What a snapshot brings back is the version of its time, running or off as it was then: from now on that is what is wanted.
    async fn follow(&self, run: &Run, head: MachineHead, seen: Option<&Seen>) -> Result<(), RunError> {
        let Some(seen) = seen else { return Ok(()) };
        let current = Record::read(&seen.metadata).map(|record| record.version).or(head.current);
        let desired = if seen.state.is_up() { Wanted::Running } else { Wanted::Stopped };
        let seq = run.command().seq;
        if let Some(version) = current.filter(|version| Some(*version) != head.current || run.run() > 1) {
            let machine = match self.compiled(&head, version, seq).await {
                Ok(compiled) => compiled.as_ref().map(Desired::summary),
                Err(error) => return Err(RunError::failed("definitions", error.to_string())),
            };
            self.tell(run, &head, MachineChange::HeadMoved { current, machine }).await?;
        }
        self.tell(run, &head, MachineChange::DesiredChanged { desired }).await?;
        self.definitions.write_head(&MachineHead { current, desired, command: seq, ..head }).await
    }

    /// The machine runs: the ports of the host lead to it. A port that somebody took meanwhile ends the attempt.
    async fn open_doors(&self, site: &Site<'_, E>, desired: &Desired) -> Result<(), RunError> {
        let own = |unopened: &Unopened| unopened.way.machine == desired.identity.machine;
        let wanted = ways(&desired.machine, desired.identity.machine, desired.domain(), ("", "")).len();
        let open = self.keeper.doors.of(desired.identity.machine).len();
        if wanted == open && (wanted == 0 || self.settled(own).await.is_ok()) {
            return Ok(());
        }
        site.run.step(site.spec("port.open", &desired.identity.domain), |_| self.settled(own)).await.map(drop)
    }

    async fn settled(&self, own: impl Fn(&Unopened) -> bool) -> Result<StepDone, StepFailure> {
        let failed = |blind: Blind| StepFailure::new("engine", format!("the ports cannot be looked after: {blind}"));
        let unopened = self.settle_doors().await.map_err(failed)?;
        match unopened.into_iter().find(own) {
            Some(Unopened { way, why }) => Err(StepFailure::new(PORT_TAKEN, format!("port {} cannot be opened: {why}", way.front))),
            None => {
                self.keeper.observed().await;
                Ok(StepDone::done("the ports lead to the guest"))
            }
        }
    }

    /// The machine does not run: its ports are free before anybody hears that it has ended. Else the next event of libvirt frees them.
    async fn close_doors(&self) {
        match self.settle_doors().await {
            Ok(_) => self.keeper.observed().await,
            Err(blind) => tracing::debug!("ports are left as they are: {blind}"),
        }
    }

    /// Whether the machine should run has changed.
    async fn wanted(&self, run: &Run, head: MachineHead, desired: Wanted) -> Result<(), RunError> {
        if head.current.is_none() {
            return Ok(());
        }
        self.tell(run, &head, MachineChange::DesiredChanged { desired }).await?;
        self.definitions.write_head(&MachineHead { desired, command: run.command().seq, ..head }).await
    }

    async fn whose(&self, head: &MachineHead, run: &Run) -> Result<Identity, RunError> {
        self.known_installation().await?;
        let identity = self.identity(head, head.current.unwrap_or_default(), run.command().seq).await;
        identity.map_err(|error: JudgeError| RunError::failed("definitions", error.to_string()))
    }
}
