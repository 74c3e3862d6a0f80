//! What is done to a machine without a new version: power, snapshots, and its end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use orrery_contracts::StepOutcome;
use orrery_queue::{RunError, StepState};

use super::site::Site;
use super::{root, unstable};
use crate::definition::{Identity, Pool, is_of, is_root, is_seed};
use crate::engine::{Act, DomainRef, Hypervisor, Observed, Scope, Seen, State};

/// Steps of an end that can be taken back, as the step log has them.
const SHUTDOWN: &str = "machine.shutdown";
const START: &str = "machine.start";
/// The step that brings a machine back to a snapshot.
const REVERT: &str = "snapshot.revert";

/// One act on a domain that must be there; `already` says when there is nothing to do.
async fn one<E: Hypervisor>(
    site: &Site<'_, E>,
    identity: &Identity,
    act: impl FnOnce(DomainRef) -> Act,
    already: impl FnOnce(&Seen) -> bool,
    words: &str,
) -> Result<String, RunError> {
    site.take_up().await?;
    let seen = look(site, identity).await?;
    let seen = seen.ok_or_else(|| RunError::failed("no_domain", "the machine has no domain: apply a version first"))?;
    if already(&seen) {
        return Ok(super::NOTHING.to_owned());
    }
    let act = act(seen.domain);
    if is_once(&act) && was_done(site, &act) {
        return Ok(words.to_owned());
    }
    if !seen.state.is_up() && needs_a_guest(&act) {
        return Err(RunError::failed("off", format!("the machine is {}: start it first", seen.state.word())));
    }
    let effect = site.act(&identity.domain, act).await.map_err(unstable)?;
    Ok(std::iter::once(words.to_owned()).chain(effect.warnings).collect::<Vec<_>>().join("; "))
}

/// Whether it is done to a guest that runs.
const fn needs_a_guest(act: &Act) -> bool {
    matches!(act, Act::Reboot { .. } | Act::Suspend { .. } | Act::Resume { .. })
}

/// Whether doing it again does more than doing it once, which no look at the machine tells: what the guest has written since is lost.
const fn is_once(act: &Act) -> bool {
    matches!(act, Act::Reboot { .. } | Act::SnapshotRevert { .. })
}

/// Whether an earlier run has done it, and written so.
fn was_done<E: Hypervisor>(site: &Site<'_, E>, act: &Act) -> bool {
    let done = |state: &StepState| matches!(state, StepState::Ended { outcome: StepOutcome::Done, .. });
    site.run.earlier().iter().any(|step| step.action == act.word() && done(&step.state))
}

/// The machine's domain, when there is one.
async fn look<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity) -> Result<Option<Seen>, RunError> {
    let uuid = identity.machine.uuid();
    let observed = site.observe(&Scope { only: Some(uuid), ..Scope::default() }).await?;
    Ok(observed.domain(uuid).cloned())
}

/// The same of what was done, where a cancel comes too late.
pub(crate) async fn found<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity) -> Result<Option<Seen>, RunError> {
    let uuid = identity.machine.uuid();
    let observed = site.observe_regardless(&Scope { only: Some(uuid), ..Scope::default() }).await?;
    Ok(observed.domain(uuid).cloned())
}

/// Asks the guest to end, and ends it when its time is over.
pub(crate) async fn shutdown<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity, grace: Duration) -> Result<String, RunError> {
    one(site, identity, |domain| Act::Shutdown { domain, grace }, |seen| !seen.state.is_up(), "the guest has ended").await
}

/// Ends the guest at once.
pub(crate) async fn stop<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity) -> Result<String, RunError> {
    one(site, identity, |domain| Act::Destroy { domain }, |seen| !seen.state.is_up(), "the guest was ended").await
}

/// Has the guest boot again; it is made to when its time is over.
pub(crate) async fn reboot<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity, grace: Duration) -> Result<String, RunError> {
    one(site, identity, |domain| Act::Reboot { domain, grace }, |_| false, "the guest boots again").await
}

/// Has the guest stand still.
pub(crate) async fn suspend<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity) -> Result<String, RunError> {
    one(site, identity, |domain| Act::Suspend { domain }, |seen| seen.state == State::Paused, "the guest stands still").await
}

/// Lets the guest go on.
pub(crate) async fn resume<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity) -> Result<String, RunError> {
    one(site, identity, |domain| Act::Resume { domain }, |seen| seen.state == State::Running, "the guest goes on").await
}

/// Keeps the machine as it is now.
pub(crate) async fn snapshot<E: Hypervisor>(
    site: &Site<'_, E>,
    identity: &Identity,
    name: &str,
    description: &str,
) -> Result<String, RunError> {
    let ran = AtomicBool::new(false);
    let act = |domain| {
        let (name, description) = (name.to_owned(), description.to_owned());
        Act::SnapshotCreate { domain, name, description, ran: ran.load(Ordering::Relaxed) }
    };
    let there = |seen: &Seen| {
        ran.store(seen.state == State::Running, Ordering::Relaxed);
        site.run.run() > 1 && seen.snapshots.iter().any(|snapshot| snapshot.name == name)
    };
    let summary = one(site, identity, act, there, &format!("snapshot {name} made")).await?;
    // A daemon that died over it left the guest standing, in a word of its own or in that of somebody's hand.
    let stands = |seen: &Seen| seen.state.is_left_behind(seen.reason) || (ran.load(Ordering::Relaxed) && seen.state == State::Paused);
    if let Some(seen) = found(site, identity).await?.filter(stands) {
        site.act_back(&identity.domain, Act::Resume { domain: seen.domain }).await.map_err(unstable)?;
    }
    Ok(summary)
}

/// Has the machine be as it was.
pub(crate) async fn revert<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity, name: &str) -> Result<String, RunError> {
    let seen = look(site, identity).await?;
    if let Some(seen) = seen.filter(|seen| !seen.snapshots.iter().any(|snapshot| snapshot.name == name)) {
        let there: Vec<&str> = seen.snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        return Err(RunError::failed("no_snapshot", format!("the machine has no snapshot {name:?}; it has {there}")));
    }
    one(site, identity, |domain| Act::SnapshotRevert { domain, name: name.to_owned() }, |_| false, &format!("as at snapshot {name}")).await
}

/// Whether an earlier run has begun to bring the machine back.
pub(crate) fn has_reverted<E: Hypervisor>(site: &Site<'_, E>) -> bool {
    site.run.earlier().iter().any(|step| step.action == REVERT)
}

/// Forgets a snapshot.
pub(crate) async fn forget<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity, name: &str) -> Result<String, RunError> {
    let gone = |seen: &Seen| !seen.snapshots.iter().any(|snapshot| snapshot.name == name);
    one(site, identity, |domain| Act::SnapshotDelete { domain, name: name.to_owned() }, gone, &format!("snapshot {name} forgotten")).await
}

/// Removes the machine; its disks only when told. Until its domain goes, who cancels has it run again; from there on there is no way back.
pub(crate) async fn delete<E: Hypervisor>(
    site: &Site<'_, E>,
    identity: &Identity,
    grace: Duration,
    disks: bool,
) -> Result<String, RunError> {
    site.take_up().await?;
    let goes = goes_already(site);
    match if goes { found(site, identity).await? } else { look(site, identity).await? } {
        Some(seen) if goes => {
            // The host may have started it meanwhile.
            let domain = seen.domain;
            site.act_back(&identity.domain, Act::Destroy { domain }).await.map_err(unstable)?;
            undefine(site, identity, &seen).await?;
        }
        Some(seen) => end(site, identity, &seen, grace).await?,
        None if goes => {}
        None => site.run.checkpoint().await?,
    }
    let observed = site.observe_regardless(&Scope::all(Pool::NAME)).await?;
    release(site, identity, &observed).await?;
    let own: Vec<&str> = observed.volumes.iter().map(|volume| volume.name.as_str()).filter(|name| is_of(identity.machine, name)).collect();
    if !disks {
        // The seed is made anew from the definition whenever it is needed.
        for name in own.iter().filter(|name| is_seed(identity.machine, name)) {
            remove_volume(site, name).await?;
        }
        let kept = own.iter().filter(|name| !is_seed(identity.machine, name)).count();
        let words = if kept == 0 { "no disks".to_owned() } else { format!("{kept} disk(s) stay in the pool") };
        return Ok(format!("machine removed; {words}"));
    }
    for name in &own {
        if is_root(identity.machine, name) {
            let folder = PathBuf::from(site.pool.file(name));
            site.run.step_back(site.spec("root.remove", name), |_| root::remove(folder)).await?;
        } else {
            remove_volume(site, name).await?;
        }
    }
    Ok(format!("machine and {} volume(s) removed", own.len()))
}

/// Whether an earlier run has passed the point behind which the machine only goes. One that could not pass it started the guest again.
fn goes_already<E: Hypervisor>(site: &Site<'_, E>) -> bool {
    site.run.earlier().last().is_some_and(|step| !matches!(step.action.as_str(), SHUTDOWN | START))
}

/// The end of the guest and of its domain. What keeps that from being done has the guest run again.
async fn end<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity, seen: &Seen, grace: Duration) -> Result<(), RunError> {
    let (domain, name) = (seen.domain, identity.domain.as_str());
    let ran = seen.state.is_up() || site.run.earlier().iter().any(|step| step.action == SHUTDOWN);
    let ended = async {
        if seen.state.is_up() {
            site.act(name, Act::Shutdown { domain, grace }).await.map_err(unstable)?;
        }
        site.run.checkpoint().await?;
        undefine(site, identity, seen).await
    };
    let Err(error) = ended.await else { return Ok(()) };
    if ran && matches!(error, RunError::Failed(_) | RunError::Cancelled) {
        site.act_back(name, Act::Start { domain, paused: false }).await.map_err(unstable)?;
    }
    Err(error)
}

async fn undefine<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity, seen: &Seen) -> Result<(), RunError> {
    site.act_back(&identity.domain, Act::Undefine { domain: seen.domain }).await.map(drop).map_err(unstable)
}

async fn remove_volume<E: Hypervisor>(site: &Site<'_, E>, name: &str) -> Result<(), RunError> {
    let act = Act::RemoveVolume { pool: Pool::NAME.to_owned(), name: name.to_owned() };
    site.act_back(name, act).await.map(drop).map_err(unstable)
}

/// Gives the addresses back that were reserved under the domain's name.
async fn release<E: Hypervisor>(site: &Site<'_, E>, identity: &Identity, observed: &Observed) -> Result<(), RunError> {
    for network in &observed.networks {
        for reservation in network.reservations.iter().filter(|reservation| reservation.name == identity.domain) {
            let subject = format!("{} on {}", reservation.ip, network.name);
            let act = Act::Release { network: network.name.clone(), mac: reservation.mac.clone() };
            site.act_back(&subject, act).await.map_err(unstable)?;
        }
    }
    Ok(())
}
