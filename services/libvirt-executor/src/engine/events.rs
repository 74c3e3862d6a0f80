//! What happens to domains, told to everybody who listens. libvirt replays nothing: after a lost connection, or for a
//! listener that lags, only a fresh look at everything tells what is.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::{DomainRef, Kind};

/// How many events a listener may lag behind.
const KEPT: usize = 4096;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainEvent {
    /// The daemon was reached (again): events in between were lost, so look at everything.
    Connected(Kind),
    /// The daemon went away.
    Lost(Kind),
    /// This happened to a domain.
    Happened {
        /// Which.
        domain: DomainRef,
        /// What.
        change: Change,
    },
}

/// What happened to a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its life took a turn: `started`, `stopped`, `crashed`, …, and why in a word of libvirt's (a number where it has none).
    Lifecycle {
        /// Which.
        turn: &'static str,
        /// Why.
        detail: i32,
    },
    /// The guest started again by itself.
    Rebooted,
    /// The agent in the guest came or went.
    Agent {
        /// Whether it is there.
        connected: bool,
    },
    /// A device came or went, by its alias.
    Device {
        /// The alias.
        alias: String,
        /// Whether it came.
        added: bool,
    },
    /// A job on a disk changed its state (`virConnectDomainEventBlockJobStatus`).
    BlockJob {
        /// The disk.
        disk: String,
        /// The state.
        status: i32,
    },
    /// A disk has been written further than a mark.
    BlockThreshold {
        /// The disk.
        disk: String,
        /// By how many bytes.
        excess: u64,
    },
    /// A part of its metadata changed.
    Metadata,
}

impl Change {
    /// A turn of its life, by libvirt's number (`virDomainEventType`).
    #[must_use]
    pub fn lifecycle(event: i32, detail: i32) -> Self {
        const TURNS: [&str; 9] =
            ["defined", "undefined", "started", "suspended", "resumed", "stopped", "shutdown", "pmsuspended", "crashed"];
        let turn = usize::try_from(event).ok().and_then(|at| TURNS.get(at)).copied().unwrap_or("changed");
        Self::Lifecycle { turn, detail }
    }
}

/// Tells events to whoever listens. Clones tell the same listeners.
#[derive(Clone, Debug)]
pub struct EventHub {
    tell: Arc<broadcast::Sender<DomainEvent>>,
}

impl Default for EventHub {
    fn default() -> Self {
        Self { tell: Arc::new(broadcast::channel(KEPT).0) }
    }
}

impl EventHub {
    /// Events from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<DomainEvent> {
        self.tell.subscribe()
    }

    /// Tells an event; never waits, so that it may be called where libvirt must not be.
    pub fn tell(&self, event: DomainEvent) {
        // Nobody listens: then nobody is told.
        let _ = self.tell.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_have_names_and_an_unknown_one_is_told_all_the_same() {
        assert_eq!(Change::lifecycle(2, 0), Change::Lifecycle { turn: "started", detail: 0 });
        assert_eq!(Change::lifecycle(5, 1), Change::Lifecycle { turn: "stopped", detail: 1 });
        assert_eq!(Change::lifecycle(99, 1), Change::Lifecycle { turn: "changed", detail: 1 });
        assert_eq!(Change::lifecycle(-1, 0), Change::Lifecycle { turn: "changed", detail: 0 });
    }
}
