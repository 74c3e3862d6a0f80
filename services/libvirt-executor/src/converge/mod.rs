//! Carries a plan out, step by step, and brings the old machine back when the new one cannot be had: a failed apply leaves the old
//! machine running. Nothing here deletes a disk but [`lifecycle::delete`], when it is told to.

pub(crate) mod lifecycle;
mod ready;
pub(crate) mod root;
mod site;

use std::path::PathBuf;
use std::time::Duration;

use orrery_contracts::StepOutcome;
use orrery_queue::ports::Held;
use orrery_queue::{RunError, StepState};

use crate::definition::{Desired, Pool, Record};
use crate::engine::{Act, DomainRef, Format, Hypervisor, NewVolume, Scope, Source};
use crate::plan::{self, Circumstances, DomainAction, Todo};

pub(crate) use site::{BROKEN_OFF, Halt, Site};

/// What an apply says that found everything as it should be.
pub(crate) const NOTHING: &str = "nothing to do";
/// How often libvirt may turn out different from what was observed before that is a failure.
const ROUNDS: u32 = 6;
/// The first pause before it is looked at again; each further one is twice as long.
const SETTLING: Duration = Duration::from_millis(100);

/// What an apply works with.
pub(crate) struct Apply<'a> {
    /// What is wanted.
    pub(crate) desired: &'a Desired,
    /// What the domain that is there was made for, when it is known.
    pub(crate) old: Option<&'a Desired>,
    /// What it was made for before this command: what a failure brings back.
    pub(crate) before: Option<&'a Desired>,
    /// Who else holds ports of the host that are wanted.
    pub(crate) held: &'a [Held],
}

/// What happened to the domain so far, and with it what there is to bring back.
#[derive(Clone, Debug, Default)]
struct Done {
    words: Vec<&'static str>,
    touched: bool,
    /// The guest was ended or started.
    disturbed: bool,
    started: bool,
    ran_before: bool,
}

/// Converges to a version; `last` is what remains to be done around the machine once it runs. Answers one line for a person.
///
/// # Errors
/// Why it could not be done; then the old machine runs again, unless the process ends or is stale.
pub(crate) async fn apply<E: Hypervisor, F>(site: &Site<'_, E>, apply: &Apply<'_>, last: impl FnOnce() -> F) -> Result<String, RunError>
where
    F: Future<Output = Result<(), RunError>>,
{
    site.take_up().await?;
    let mut done = Done::before(site);
    let result = match rounds(site, apply, &mut done).await {
        Ok(met) => last().await.map(|()| met),
        Err(error) => Err(error),
    };
    let stays = match result {
        Ok(met) => clear_up(site, &met).await?,
        Err(error @ (RunError::Failed(_) | RunError::Cancelled)) if done.touched => return Err(bring_back(site, apply, &done, error).await),
        Err(error) => return Err(error),
    };
    let made = if done.words.is_empty() { NOTHING.to_owned() } else { format!("machine {}", done.words.join(", ")) };
    Ok(std::iter::once(made).chain(stays).collect::<Vec<_>>().join("; "))
}

impl Done {
    /// What earlier runs of this command have done.
    fn before<E: Hypervisor>(site: &Site<'_, E>) -> Self {
        let made = |action| has_begun(site, action);
        let (ended, started) = (made("machine.shutdown"), made("machine.start"));
        Self { touched: made("machine.define") || started, disturbed: ended || started, ran_before: ended, ..Self::default() }
    }
}

/// Whether an earlier run of this command began such a step.
fn has_begun<E: Hypervisor>(site: &Site<'_, E>, action: &str) -> bool {
    site.run.earlier().iter().any(|step| step.action == action)
}

/// Whether an earlier run of this command started the domain, and did not see it ready.
fn not_seen_ready<E: Hypervisor>(site: &Site<'_, E>) -> bool {
    const TURNS: [&str; 5] = ["machine.start", "machine.resume", ready::WAIT, "machine.shutdown", "machine.destroy"];
    let last = site.run.earlier().iter().rfind(|step| TURNS.contains(&step.action.as_str()));
    last.is_some_and(|step| match step.action.as_str() {
        "machine.start" | "machine.resume" => true,
        // Open, broken off, or failed by a run that did not live to bring the old machine back.
        ready::WAIT => !matches!(step.state, StepState::Ended { outcome: StepOutcome::Done, .. }),
        _ => false,
    })
}

async fn rounds<E: Hypervisor>(site: &Site<'_, E>, apply: &Apply<'_>, done: &mut Done) -> Result<Todo, RunError> {
    for round in 0..ROUNDS {
        let scope = Scope { only: Some(apply.desired.domain().uuid), ..Scope::all(Pool::NAME) };
        let observed = site.observe(&scope).await?;
        let todo = plan::plan(apply.desired, &observed, &Circumstances { old: apply.old.map(|old| &old.machine), held: apply.held });
        if let Some(refusal) = todo.refusals.first() {
            return Err(RunError::failed(refusal.code, refusal.message.clone()));
        }
        if round == 0 && !todo.is_empty() {
            site.show(&todo.shown(apply.desired)).await?;
        }
        if todo.is_met() {
            see_ready(site, apply.desired, done).await?;
            return Ok(todo);
        }
        tracing::debug!(round, action = ?todo.domain, reason = todo.reason, "what is to be done");
        if round == 0 {
            // What runs because an earlier run started it did not run before.
            done.ran_before |=
                !has_begun(site, "machine.start") && observed.domain(apply.desired.domain().uuid).is_some_and(|seen| seen.state.is_up());
        }
        match carry_out(site, apply, &todo, done).await {
            Ok(()) => {}
            Err(Halt::Replan) => tokio::time::sleep(SETTLING * 2_u32.pow(round)).await,
            Err(Halt::Run(error)) => return Err(error),
        }
    }
    Err(RunError::failed("unstable", "libvirt changes while it is being changed: something else works on this machine"))
}

async fn carry_out<E: Hypervisor>(site: &Site<'_, E>, apply: &Apply<'_>, todo: &Todo, done: &mut Done) -> Result<(), Halt> {
    let desired = apply.desired;
    around(site, desired, todo).await?;
    let (domain, name) = (desired.domain(), desired.identity.domain.as_str());
    match todo.domain {
        DomainAction::Keep => see_ready(site, desired, done).await?,
        DomainAction::Start => start(site, desired, done, "started").await?,
        DomainAction::Resume => {
            site.act(name, Act::Resume { domain }).await?;
            done.words.push("resumed");
        }
        DomainAction::Create => {
            done.touched = true;
            define(site, desired).await?;
            start(site, desired, done, "created").await?;
        }
        DomainAction::Redefine => {
            done.touched = true;
            define(site, desired).await?;
            let shares = desired.machine.shares.cpu.filter(|_| todo.changes.iter().any(|change| change.path == "shares.cpu"));
            if let Some(shares) = shares {
                site.act(name, Act::SetShares { domain, shares }).await?;
            }
            done.words.push("updated");
        }
        DomainAction::Restart => {
            (done.touched, done.disturbed) = (true, true);
            site.act(name, Act::Shutdown { domain, grace: desired.machine.stop_grace_period }).await?;
            define(site, desired).await?;
            grow(site, todo).await?;
            start(site, desired, done, "restarted").await?;
        }
    }
    if todo.domain != DomainAction::Restart {
        grow(site, todo).await?;
    }
    if todo.autostart {
        site.act(name, Act::SetAutostart { domain, on: desired.machine.autostart }).await?;
    }
    Ok(())
}

/// What nobody needs any more goes last: until then it is what a failure brings back. The machine is as it should be, so that what does not
/// go now is told, and the next apply's to remove.
async fn clear_up<E: Hypervisor>(site: &Site<'_, E>, met: &Todo) -> Result<Vec<String>, RunError> {
    let release = met.release.iter().map(|(network, one)| {
        let act = Act::Release { network: network.clone(), mac: one.mac.clone() };
        (format!("{} on {network}", one.ip), act)
    });
    let remove = met.stale.iter().map(|volume| {
        let act = Act::RemoveVolume { pool: Pool::NAME.to_owned(), name: volume.clone() };
        (volume.clone(), act)
    });
    let mut stays = Vec::new();
    for (subject, act) in release.chain(remove) {
        match site.act_back(&subject, act).await.map_err(unstable) {
            Ok(_) => {}
            Err(RunError::Failed(failure)) => stays.push(format!("what is not needed any more stays ({})", failure.message)),
            Err(error) => return Err(error),
        }
    }
    Ok(stays)
}

fn unstable(halt: Halt) -> RunError {
    match halt {
        Halt::Run(error) => error,
        Halt::Replan => RunError::failed("unstable", "libvirt has changed meanwhile; try again"),
    }
}

/// What a domain needs around it: pool, networks, volumes, seed, reserved addresses.
async fn around<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired, todo: &Todo) -> Result<(), Halt> {
    if todo.pool {
        site.act(Pool::NAME, pool(site.pool)).await?;
    }
    for name in &todo.networks {
        site.act(name, Act::EnsureNetwork { name: name.clone(), xml: desired.network_xml(name) }).await?;
    }
    for volume in &todo.volumes {
        site.act(&volume.name, Act::CreateVolume(volume.clone())).await?;
    }
    if let Some(root) = desired.root.as_ref().filter(|_| todo.root) {
        let file = |volume: &str| PathBuf::from(site.pool.file(volume));
        let (archive, folder) = (file(&root.archive), file(&root.volume));
        site.run.step(site.spec("root.unpack", &root.volume), |_| root::unpack(archive, folder, root.shift)).await?;
    }
    if let Some(seed) = desired.seed.as_ref().filter(|_| todo.seed) {
        let size = u64::try_from(seed.image.len()).unwrap_or(u64::MAX);
        let (pool, name) = (Pool::NAME.to_owned(), seed.volume.clone());
        let new = NewVolume { pool: pool.clone(), name: name.clone(), capacity: size, format: Format::Raw, backing: None };
        site.act(&name, Act::CreateVolume(new)).await?;
        site.act(&name, Act::Upload { pool, name: name.clone(), source: Source::Bytes(seed.image.clone()), size }).await?;
    }
    for (network, reservation) in &todo.reserve {
        let (network, reservation) = (network.clone(), reservation.clone());
        site.act(&format!("{} on {network}", reservation.ip), Act::Reserve { network, reservation }).await?;
    }
    Ok(())
}

/// The pool that Orrery makes for itself.
pub(crate) fn pool(pool: &Pool) -> Act {
    Act::EnsurePool { name: Pool::NAME.to_owned(), path: pool.path.clone() }
}

async fn grow<E: Hypervisor>(site: &Site<'_, E>, todo: &Todo) -> Result<(), Halt> {
    for (name, capacity) in &todo.grow {
        site.act(name, Act::ResizeVolume { pool: Pool::NAME.to_owned(), name: name.clone(), capacity: *capacity }).await?;
    }
    Ok(())
}

/// Defines the domain, and writes down what libvirt made of it.
async fn define<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired) -> Result<(), Halt> {
    let name = desired.identity.domain.as_str();
    let record = desired.record();
    site.act(name, Act::Define { kind: desired.domain().kind, xml: desired.xml(&record) }).await?;
    taken(site, desired.domain(), name, record, false).await
}

/// What libvirt says now is what we meant.
async fn taken<E: Hypervisor>(site: &Site<'_, E>, domain: DomainRef, name: &str, record: Record, back: bool) -> Result<(), Halt> {
    let scope = Scope { only: Some(domain.uuid), ..Scope::default() };
    let observed = if back { site.observe_regardless(&scope).await } else { site.observe(&scope).await }?;
    let Some(seen) = observed.domain(domain.uuid) else { return Err(Halt::Replan) };
    let json = Record { taken: seen.hash.clone(), ..record }.json();
    let act = Act::SetMetadata { domain, json };
    if back { site.act_back(name, act).await } else { site.act(name, act).await }.map(drop)
}

async fn start<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired, done: &mut Done, word: &'static str) -> Result<(), Halt> {
    (done.touched, done.disturbed) = (true, true);
    ready::start(site, desired).await?;
    done.started = true;
    done.words.push(word);
    Ok(())
}

/// The wait for a domain that an earlier run has started and did not see ready.
async fn see_ready<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired, done: &mut Done) -> Result<(), RunError> {
    if done.started || !not_seen_ready(site) {
        return Ok(());
    }
    ready::again(site, desired).await?;
    done.started = true;
    done.words.push("started");
    Ok(())
}

/// The old machine as it was; answers why that was needed.
async fn bring_back<E: Hypervisor>(site: &Site<'_, E>, apply: &Apply<'_>, done: &Done, error: RunError) -> RunError {
    let back = match apply.before {
        Some(old) => old_machine(site, old, done).await,
        None => forget(site, apply.desired).await,
    };
    match back {
        Ok(()) => error,
        Err(Halt::Run(worse @ (RunError::Stale | RunError::ShuttingDown | RunError::BrokerAway))) => worse,
        Err(Halt::Run(worse)) => {
            RunError::failed("not_brought_back", format!("{error}; and the old machine could not be brought back: {worse}"))
        }
        Err(Halt::Replan) => RunError::failed(
            "not_brought_back",
            format!("{error}; and the old machine could not be brought back: libvirt changes meanwhile"),
        ),
    }
}

async fn old_machine<E: Hypervisor>(site: &Site<'_, E>, old: &Desired, done: &Done) -> Result<(), Halt> {
    let (domain, name) = (old.domain(), old.identity.domain.as_str());
    // A guest that only learned of a new definition runs on.
    if done.disturbed {
        site.act_back(name, Act::Destroy { domain }).await?;
    }
    let record = old.record();
    site.act_back(name, Act::Define { kind: domain.kind, xml: old.xml(&record) }).await?;
    taken(site, domain, name, record, true).await?;
    if done.disturbed && done.ran_before {
        site.act_back(name, Act::Start { domain, paused: false }).await?;
    }
    Ok(())
}

/// A domain that never came to be ready is not kept; its disks are.
async fn forget<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired) -> Result<(), Halt> {
    let (domain, name) = (desired.domain(), desired.identity.domain.as_str());
    site.act_back(name, Act::Destroy { domain }).await?;
    site.act_back(name, Act::Undefine { domain }).await.map(drop)
}
