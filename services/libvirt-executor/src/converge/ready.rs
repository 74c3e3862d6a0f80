//! The start of a domain, and the wait for what its definition calls ready.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use orrery_machine::model::Condition;
use orrery_queue::{RunError, StepDone, StepFailure};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::site::{Halt, Site};
use crate::console::Viewer;
use crate::definition::Desired;
use crate::engine::{Act, Hypervisor, Kind, Outcome, Scope, Until};

/// Between two tries of a port that does not answer yet.
const AGAIN: Duration = Duration::from_millis(250);
/// How long one try may take.
const TRY: Duration = Duration::from_secs(3);
/// How much of what a console says is kept for an error, in characters.
const LAST_WORDS: usize = 2000;

/// The step that waits, in the step log.
pub(super) const WAIT: &str = "machine.wait";
const BROKEN_OFF: &str = "the wait was broken off";

/// Starts the domain and waits until it is ready.
pub(super) async fn start<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired) -> Result<(), Halt> {
    let (domain, name) = (desired.domain(), desired.identity.domain.as_str());
    let console = match &desired.machine.ready.until {
        // The terminal of a container keeps what was said until somebody reads it.
        Condition::Console(_) if domain.kind == Kind::Container => {
            site.act(name, Act::Start { domain, paused: false }).await?;
            Some(console(site, desired).await?)
        }
        // Before its first instruction, so that nothing of what it says is missed.
        Condition::Console(_) => {
            site.act(name, Act::Start { domain, paused: true }).await?;
            let console = console(site, desired).await?;
            site.act(name, Act::Resume { domain }).await?;
            Some(console)
        }
        Condition::Running | Condition::Address | Condition::Agent | Condition::Tcp(_) => {
            site.act(name, Act::Start { domain, paused: false }).await?;
            None
        }
    };
    Ok(gate(site, desired, console).await?)
}

/// Waits for a domain that an earlier run has started. What its console said meanwhile nobody heard, so that this is not asked again.
pub(super) async fn again<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired) -> Result<(), RunError> {
    if matches!(desired.machine.ready.until, Condition::Console(_)) {
        return Ok(());
    }
    gate(site, desired, None).await
}

/// Its console, from its first word on: whoever looks later finds what it says from here.
async fn console<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired) -> Result<Viewer, Halt> {
    let attached = site.patiently(|| site.consoles.begin(site.engine, desired.domain()), drop).await;
    attached.map_err(|error| Halt::Run(RunError::failed(error.code, format!("{}: {error}", desired.identity.domain))))
}

/// Waits, as a step. What interrupts it ends the run, and is no failure of the machine.
async fn gate<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired, console: Option<Viewer>) -> Result<(), RunError> {
    let mut interrupted = None;
    let reason = &mut interrupted;
    let waiting = |_| async move {
        tokio::select! {
            biased;
            waited = wait(site, desired, console) => waited.map(StepDone::done),
            why = site.run.interrupted() => {
                *reason = Some(why);
                Ok(StepDone::skipped(BROKEN_OFF))
            }
        }
    };
    site.run.step(site.spec(WAIT, &desired.identity.domain), waiting).await?;
    interrupted.map_or(Ok(()), Err)
}

async fn wait<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired, console: Option<Viewer>) -> Result<String, StepFailure> {
    let deadline = Instant::now() + desired.machine.ready.timeout;
    match (&desired.machine.ready.until, console) {
        (Condition::Running, _) => until(site, desired, Until::Running, deadline).await.map(|()| "it runs".to_owned()),
        (Condition::Address, _) => until(site, desired, Until::Addressed, deadline).await.map(|()| "it has an address".to_owned()),
        (Condition::Agent, _) => until(site, desired, Until::Answering, deadline).await.map(|()| "its agent answers".to_owned()),
        (Condition::Tcp(port), _) => port_answers(site, desired, *port, deadline).await,
        (Condition::Console(text), Some(console)) => says(desired, console, text, deadline).await,
        (Condition::Console(_), None) => Err(StepFailure::new("console", "the console was not attached")),
    }
}

async fn until<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired, what: Until, deadline: Instant) -> Result<(), StepFailure> {
    let left = deadline.saturating_duration_since(Instant::now());
    let name = &desired.identity.domain;
    match site.patiently(|| site.engine.wait(desired.domain(), what, left), drop).await {
        Ok(Outcome::Met) => Ok(()),
        Ok(Outcome::Late) => Err(late(desired, what.in_vain())),
        Ok(Outcome::Failed { code, why }) => Err(StepFailure::new(code, format!("{name} {why}"))),
        Err(error) => Err(StepFailure::new(error.code, format!("{name}: {error}"))),
    }
}

fn late(desired: &Desired, what: &str) -> StepFailure {
    let seconds = desired.machine.ready.timeout.as_secs();
    StepFailure::new(
        "not_ready",
        format!("{}: {what} after {seconds} s; look at its console, or give it more time (`ready.timeout`)", desired.identity.domain),
    )
}

/// An address that somebody knows of the domain.
async fn address<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired) -> Option<IpAddr> {
    let scope = Scope { only: Some(desired.domain().uuid), ..Scope::default() };
    let observed = site.engine.observe(&scope).await.ok()?;
    let reserved = desired.reservations().into_iter().map(|(_, reservation)| reservation.ip).next();
    let seen = observed.domain(desired.domain().uuid)?;
    // An interface in user mode has an address too, which only the agent knows and nobody reaches.
    let known = seen.addresses.iter().filter(|address| address.ip.is_ipv4()).min_by_key(|address| address.source);
    reserved.or(known.map(|address| address.ip))
}

async fn port_answers<E: Hypervisor>(site: &Site<'_, E>, desired: &Desired, port: u16, deadline: Instant) -> Result<String, StepFailure> {
    until(site, desired, Until::Running, deadline).await?;
    loop {
        if let Some(ip) = address(site, desired).await
            && let Ok(Ok(_)) = timeout(TRY, TcpStream::connect(SocketAddr::new(ip, port))).await
        {
            return Ok(format!("port {port} of {ip} answers"));
        }
        if Instant::now() >= deadline {
            return Err(late(desired, &format!("port {port} does not answer")));
        }
        sleep(AGAIN).await;
    }
}

async fn says(desired: &Desired, mut console: Viewer, text: &str, deadline: Instant) -> Result<String, StepFailure> {
    let mut said = String::new();
    loop {
        match timeout_at(deadline, console.next()).await {
            Ok(Some(bytes)) => said.push_str(&String::from_utf8_lossy(&bytes)),
            Ok(None) => {
                let failure = StepFailure::new("stopped", format!("{} has ended before it said {text:?}", desired.identity.domain));
                return Err(failure.with_log(said.into_bytes()));
            }
            Err(_) => return Err(late(desired, &format!("its console did not say {text:?}")).with_log(said.into_bytes())),
        }
        if said.contains(text) {
            return Ok(format!("its console says {text:?}"));
        }
        if said.len() > LAST_WORDS.saturating_mul(64) {
            let from = said.len().saturating_sub(LAST_WORDS);
            said = said.get(from..).map_or_else(String::new, str::to_owned);
        }
    }
}
