//! Starting and ending domains.

use std::time::Duration;

use orrery_contracts::ProgressLine;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use virt::domain::Domain;
use virt::sys;

use super::{CALL, LONG, LibvirtEngine};
use crate::engine::error::{Class, EngineError};
use crate::engine::gate::{Outcome, Until};
use crate::engine::observed::State;
use crate::engine::raw::Systemd;
use crate::engine::{Change, DomainEvent, DomainRef, Effect, Hypervisor, Kind, Say, raw, xml};

/// How often a guest is asked to end: one that is not up yet does not hear the first time.
const ASK_AGAIN: Duration = Duration::from_secs(10);

pub(super) fn start(domain: &Domain, paused: bool) -> Result<Effect, EngineError> {
    let id = domain.uuid_string()?;
    match raw::state(domain)?.0 {
        State::Running | State::ShuttingDown => return Ok(Effect { already: true, ..Effect::made(id) }),
        State::Paused if paused => return Ok(Effect { already: true, ..Effect::made(id) }),
        State::Paused | State::Asleep => {
            resume(domain)?;
            return Ok(Effect::made(id));
        }
        State::Off | State::Crashed | State::Unknown => {}
    }
    domain.create_with_flags(if paused { sys::VIR_DOMAIN_START_PAUSED } else { 0 })?;
    Ok(Effect::made(id))
}

pub(super) fn destroy(domain: &Domain) -> Result<Effect, EngineError> {
    if !domain.is_active()? {
        return Ok(Effect::found());
    }
    match domain.destroy() {
        // It ended by itself in between.
        Err(_) if !domain.is_active()? => Ok(Effect::found()),
        answer => Ok(answer.map(|()| Effect::done())?),
    }
}

pub(super) fn suspend(domain: &Domain) -> Result<Effect, EngineError> {
    if raw::state(domain)?.0 == State::Paused {
        return Ok(Effect::found());
    }
    Ok(domain.suspend().map(|()| Effect::done())?)
}

/// Asks the guest to start again until it does or the time is over; then has it start again as by a push of its reset button. Dropped, it
/// asks no more.
pub(super) async fn reboot(engine: &LibvirtEngine, domain: DomainRef, grace: Duration, say: Say<'_>) -> Result<Effect, EngineError> {
    // Before anybody is asked, so that the answer is heard.
    let mut events = engine.hub.listen();
    let deadline = Instant::now().checked_add(grace).unwrap_or_else(Instant::now);
    let mut refused = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        refused = match engine.with(domain, CALL, move |found| ask_again(found, domain.kind)).await {
            Ok(()) => None,
            Err(error) if error.class == Class::Wait || error.is_gone() => return Err(error),
            Err(error) => Some(error.message),
        };
        say(ProgressLine { text: "Asked to boot again".to_owned(), source: None, current: None, total: None });
        if let Ok(answer) = tokio::time::timeout(left.min(ASK_AGAIN), turned(&mut events, domain)).await {
            return answer.map(|()| Effect::done());
        }
    }
    engine.with(domain, LONG, move |found| push_reset(found, domain.kind)).await?;
    let why = refused.map(|why| format!(" ({why})")).unwrap_or_default();
    Ok(Effect::done().but(format!("the guest did not boot again within {} s{why}, so it was made to", grace.as_secs())))
}

/// Asks once; a container by every way that its first process may know, as for its end.
fn ask_again(domain: &Domain, kind: Kind) -> Result<(), EngineError> {
    wake(domain)?;
    match kind {
        Kind::Vm => domain.reboot(0)?,
        Kind::Container => {
            // That a container has no such pipe is usual.
            let _ = domain.reboot(sys::VIR_DOMAIN_REBOOT_INITCTL);
            raw::signal(domain, Systemd::Reboot)?;
            domain.reboot(sys::VIR_DOMAIN_REBOOT_SIGNAL)?;
        }
    }
    Ok(())
}

/// A container has no reset button: it is ended, and started.
fn push_reset(domain: &Domain, kind: Kind) -> Result<(), EngineError> {
    match kind {
        Kind::Vm => Ok(domain.reset()?),
        Kind::Container => {
            destroy(domain)?;
            start(domain, false).map(drop)
        }
    }
}

/// Returns when the guest boots again, or may have while nobody heard. One that ended instead is an error.
async fn turned(events: &mut Receiver<DomainEvent>, whose: DomainRef) -> Result<(), EngineError> {
    loop {
        match events.recv().await {
            Ok(DomainEvent::Happened { domain, change: Change::Rebooted }) if domain == whose => return Ok(()),
            Ok(DomainEvent::Happened { domain, change: Change::Lifecycle { turn: "stopped" | "crashed", .. } }) if domain == whose => {
                return Err(EngineError::refuse("stopped", "the guest has ended instead of booting again"));
            }
            Ok(DomainEvent::Connected(_)) | Err(RecvError::Lagged(_)) => return Ok(()),
            Ok(DomainEvent::Happened { .. } | DomainEvent::Lost(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

pub(super) fn resume(domain: &Domain) -> Result<Effect, EngineError> {
    match raw::state(domain)?.0 {
        State::Running => Ok(Effect::found()),
        State::Asleep => Ok(domain.pm_wakeup(0).map(|()| Effect::done())?),
        State::Paused | State::ShuttingDown | State::Off | State::Crashed | State::Unknown => {
            Ok(domain.resume().map(|()| Effect::done())?)
        }
    }
}

/// Asks the guest to end until it does or the time is over; then ends it: first so that its disks are written out, then
/// without. Dropped, it asks no more.
pub(super) async fn shutdown(engine: &LibvirtEngine, domain: DomainRef, grace: Duration, say: Say<'_>) -> Result<Effect, EngineError> {
    if engine.with(domain, CALL, |domain| Ok(!domain.is_active()?)).await? {
        return Ok(Effect::found());
    }
    let deadline = Instant::now().checked_add(grace).unwrap_or_else(Instant::now);
    let mut refused = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let ask = match domain.kind {
            Kind::Vm => ask_machine,
            Kind::Container => ask_container,
        };
        refused = match engine.with(domain, CALL, ask).await {
            Ok(()) => None,
            Err(error) if error.class == Class::Wait || error.is_gone() => return Err(error),
            Err(error) => Some(error.message),
        };
        say(ProgressLine { text: "Asked to shut down".to_owned(), source: None, current: None, total: None });
        if engine.wait(domain, Until::Off, left.min(ASK_AGAIN)).await? == Outcome::Met {
            return Ok(Effect::done());
        }
    }
    let how = by_force(engine, domain).await?;
    let why = refused.map(|why| format!(" ({why})")).unwrap_or_default();
    Ok(Effect::done().but(format!("the guest did not end within {} s{why}, so it was {how}", grace.as_secs())))
}

/// Presses the power button, or asks the agent.
fn ask_machine(domain: &Domain) -> Result<(), EngineError> {
    wake(domain)?;
    let definition = domain.xml_desc(0)?;
    // A machine that starts again whenever its guest ends would boot instead of ending.
    if xml::text_at(&xml::parse(&definition)?, &["on_poweroff"]).as_deref() == Some("restart") {
        raw::end_at_power_off(domain)?;
    }
    Ok(domain.shutdown()?)
}

/// Asks by every way that a container's first process may know: the pipe of System V, the signal of systemd, and the signal
/// of everything else. libvirt's own choice among them says that it asked where nobody heard.
fn ask_container(domain: &Domain) -> Result<(), EngineError> {
    wake(domain)?;
    // That a container has no such pipe is usual.
    let _ = domain.shutdown_flags(sys::VIR_DOMAIN_SHUTDOWN_INITCTL);
    raw::signal(domain, Systemd::PowerOff)?;
    Ok(domain.shutdown_flags(sys::VIR_DOMAIN_SHUTDOWN_SIGNAL)?)
}

/// One that stands still does not hear.
fn wake(domain: &Domain) -> Result<(), EngineError> {
    if raw::state(domain)?.0 == State::Paused {
        domain.resume()?;
    }
    Ok(())
}

/// Ends a domain whose guest does not, and says how.
async fn by_force(engine: &LibvirtEngine, domain: DomainRef) -> Result<&'static str, EngineError> {
    // The process is asked to end, and is left alone when it does not; the container driver knows no such thing.
    let gently = domain.kind == Kind::Vm
        && engine.with(domain, LONG, |domain| Ok(domain.destroy_flags(sys::VIR_DOMAIN_DESTROY_GRACEFUL).is_ok())).await?;
    engine.with(domain, LONG, destroy).await?;
    Ok(if gently { "switched off, its disks written out" } else { "killed" })
}
