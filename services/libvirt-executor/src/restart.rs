//! Starts containers again whose first process ended by itself and whose version says `restart: always`. libvirt does that for virtual
//! machines (`<on_poweroff>`, `<on_crash>`), and its LXC driver looks at neither.
//!
//! **Invariant.** Nothing is started while a command is in hand, and nothing that should not run by what the broker says then: a stop by
//! command is never undone.

use std::collections::HashMap;
use std::time::Duration;

use orrery_contracts::Desired as Wanted;
use orrery_machine::model::Restart;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::commands::LibvirtExecutor;
use crate::definition::Record;
use crate::engine::{Act, Change, DomainEvent, Hypervisor, Kind, Scope, Seen, State};
use crate::forward::Blind;

/// The first pause before a start, and the longest: each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// What has run for so long is well: its next pause is the first again.
const WELL: Duration = Duration::from_secs(10);
/// A look where nothing is due and nothing is heard: something may have been missed.
const IDLE: Duration = Duration::from_secs(300);

/// When a container was started last, and when it is due.
#[derive(Clone, Copy, Debug)]
struct Turn {
    pause: Duration,
    started: Option<Instant>,
    due: Option<Instant>,
}

impl Turn {
    const FIRST: Self = Self { pause: PAUSES.0, started: None, due: None };

    /// It was found ended: when it is to be started.
    fn ended(&mut self, now: Instant) -> Instant {
        if let Some(due) = self.due {
            return due;
        }
        let well = self.started.is_none_or(|started| now.saturating_duration_since(started) > WELL);
        self.pause = if well { PAUSES.0 } else { self.pause.saturating_mul(2).min(PAUSES.1) };
        let due = now.checked_add(self.pause).unwrap_or(now);
        self.due = Some(due);
        due
    }

    fn started(&mut self, now: Instant) {
        (self.started, self.due) = (Some(now), None);
    }
}

impl<E: Hypervisor> LibvirtExecutor<E> {
    /// Looks after containers until told to stop.
    pub async fn restart_containers(self, shutdown: CancellationToken) {
        let work = async {
            let (mut events, mut turns) = (self.engine.events(), HashMap::new());
            loop {
                let next = match self.look_for_ended(&mut turns).await {
                    Ok(next) => next,
                    Err(blind) => {
                        tracing::debug!("containers are left as they are: {blind}");
                        Some(Instant::now() + PAUSES.0)
                    }
                };
                let pause = next.map_or(IDLE, |next| next.saturating_duration_since(Instant::now()));
                let _ = tokio::time::timeout(pause, ended(&mut events)).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// Starts what is due; answers when the next is.
    async fn look_for_ended(&self, turns: &mut HashMap<Uuid, Turn>) -> Result<Option<Instant>, Blind> {
        let mut next: Option<Instant> = None;
        for seen in self.ended_by_themselves(None).await? {
            let turn = turns.entry(seen.domain.uuid).or_insert(Turn::FIRST);
            let due = turn.ended(Instant::now());
            if due > Instant::now() {
                next = Some(next.map_or(due, |next| next.min(due)));
            } else {
                turn.started(Instant::now());
                self.start_again(&seen).await?;
            }
        }
        Ok(next)
    }

    /// Between two commands, and if it is still as it was.
    async fn start_again(&self, seen: &Seen) -> Result<(), Blind> {
        let _free = self.in_hand.lock().await;
        if self.ended_by_themselves(Some(seen.domain.uuid)).await?.is_empty() {
            return Ok(());
        }
        tracing::info!(domain = seen.name, "its first process has ended: the container is started again");
        metrics::counter!("orrery_container_restarts_total").increment(1);
        self.engine.act(&Act::Start { domain: seen.domain, paused: false }, &|_| {}).await?;
        Ok(())
    }

    /// Containers of ours that have ended by themselves and should run.
    async fn ended_by_themselves(&self, only: Option<Uuid>) -> Result<Vec<Seen>, Blind> {
        let observed = self.engine.observe(&Scope { only, in_short: true, ..Scope::default() }).await?;
        let mut ended = Vec::new();
        for seen in observed.domains.into_iter().filter(has_ended_by_itself) {
            if self.should_run(&seen).await? {
                ended.push(seen);
            }
        }
        Ok(ended)
    }

    async fn should_run(&self, seen: &Seen) -> Result<bool, Blind> {
        let Some(record) = Record::read(&seen.metadata) else { return Ok(false) };
        let Some(head) = self.definitions.machine_head(record.machine).await?.map(|kept| kept.value) else { return Ok(false) };
        if head.deleted || head.desired != Wanted::Running || head.current != Some(record.version) {
            return Ok(false);
        }
        let machine = self.machine_of(record.machine, record.version).await?;
        Ok(machine.is_some_and(|machine| machine.restart == Restart::Always))
    }
}

/// Somebody's `virsh destroy` is no end of its own.
fn has_ended_by_itself(seen: &Seen) -> bool {
    seen.domain.kind == Kind::Container && seen.state == State::Off && matches!(seen.reason, "shutdown" | "crashed")
}

/// Returns when a domain has stopped, or something may have been missed.
async fn ended(events: &mut tokio::sync::broadcast::Receiver<DomainEvent>) {
    loop {
        match events.recv().await {
            Ok(DomainEvent::Connected(_) | DomainEvent::Happened { change: Change::Lifecycle { turn: "stopped", .. }, .. })
            | Err(RecvError::Lagged(_)) => return,
            Ok(DomainEvent::Happened { .. } | DomainEvent::Lost(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_again_and_again_waits_longer_and_longer() {
        let (mut turn, mut now, mut pauses) = (Turn::FIRST, Instant::now(), Vec::new());
        for ran_for in [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 30, 1] {
            now += Duration::from_secs(ran_for);
            let due = turn.ended(now);
            assert_eq!(turn.ended(now + Duration::from_millis(1)), due, "it is due once");
            pauses.push((due - now).as_millis());
            now = due;
            turn.started(now);
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 100, 200]);
    }
}
