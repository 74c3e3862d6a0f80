//! Keeps the doors as they should be: looks when it starts and whenever libvirt tells of a turn in a machine's life.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use orrery_contracts::MachineId;
use orrery_machine::Machine;
use orrery_queue::JudgeError;
use orrery_queue::definitions::DefinitionError;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Doors, Find, Unopened, Way, ways};
use crate::commands::LibvirtExecutor;
use crate::definition::Record;
use crate::engine::{AddressSource, Change, DomainEvent, EngineError, Hypervisor, Scope, Seen};

/// How long events are gathered before it is looked again.
const GATHER: Duration = Duration::from_millis(50);
/// The shortest and the longest pause before a port that could not be opened is tried again.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long a command waits for the observation of its ports.
const TOLD: Duration = Duration::from_secs(5);

/// The doors of this host, and the definitions that ask for them.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// The doors.
    pub(crate) doors: Doors,
    /// What versions say; they never change.
    versions: Mutex<HashMap<(MachineId, u32), Arc<Machine>>>,
    /// One look at a time, each later than the one before.
    looking: tokio::sync::Mutex<()>,
    /// How often the doors have changed.
    changes: AtomicU64,
    /// How many of these changes observations have told.
    told: watch::Sender<u64>,
}

impl Keeper {
    /// What an observation that begins now will tell.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// So many changes were told.
    pub(crate) fn tell(&self, changes: u64) {
        self.told.send_replace(changes);
    }

    /// Waits until every change is told: the other executor reads there which ports it may give. Not for ever, since nobody tells while the
    /// broker is away.
    pub(crate) async fn observed(&self) {
        let (changes, mut told) = (self.changes(), self.told.subscribe());
        let waited = tokio::time::timeout(TOLD, told.wait_for(|told| *told >= changes)).await;
        if waited.is_err() {
            tracing::debug!("a change of ports is not observed yet");
        }
    }
}

/// Why machines could not be looked after.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Blind {
    #[error("libvirt: {0}")]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Definitions(#[from] DefinitionError),
    #[error("{0}")]
    Installation(String),
}

impl<E: Hypervisor> LibvirtExecutor<E> {
    /// Looks after the doors until told to stop. They end with the process: whoever comes next opens them again.
    pub async fn keep_doors(self, shutdown: CancellationToken) {
        let work = async {
            let (mut events, mut pause) = (self.engine.events(), AGAIN.0);
            loop {
                let well = match self.settle_doors().await {
                    Ok(unopened) => {
                        for Unopened { way, why } in &unopened {
                            tracing::warn!(port = %way.front, machine = %way.machine, "a port cannot lead to {}: {why}", way.holder);
                        }
                        unopened.is_empty()
                    }
                    Err(blind) => {
                        tracing::debug!("ports are left as they are: {blind}");
                        false
                    }
                };
                if well {
                    pause = AGAIN.0;
                    turn(&mut events).await;
                } else {
                    let _ = tokio::time::timeout(pause, turn(&mut events)).await;
                    pause = pause.saturating_mul(2).min(AGAIN.1);
                }
                tokio::time::sleep(GATHER).await;
                while events.try_recv().is_ok() {}
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// Has the doors be as machines and their versions ask for; answers which could not be opened.
    pub(crate) async fn settle_doors(&self) -> Result<Vec<Unopened>, Blind> {
        let _one = self.keeper.looking.lock().await;
        let installation = self.installation().await.map_err(|error: JudgeError| Blind::Installation(error.to_string()))?;
        let observed = self.engine.observe(&Scope { in_short: true, ..Scope::default() }).await?;
        let mut wanted = Vec::new();
        for seen in observed.domains.iter().filter(|seen| seen.state.is_up()) {
            let Some(record) = Record::read(&seen.metadata).filter(|record| record.installation == installation) else { continue };
            wanted.extend(self.ways_of(seen, &record).await?);
        }
        let (changed, unopened) = self.keeper.doors.set(wanted, &self.find()).await;
        if changed {
            self.keeper.changes.fetch_add(1, Ordering::AcqRel);
            self.changed.notify_one();
        }
        Ok(unopened)
    }

    async fn ways_of(&self, seen: &Seen, record: &Record) -> Result<Vec<Way>, Blind> {
        let Some(machine) = self.machine_of(record.machine, record.version).await? else { return Ok(Vec::new()) };
        Ok(ways(&machine, record.machine, seen.domain, (&seen.name, &record.owner)))
    }

    /// What a version says; none when it cannot be had any more.
    pub(crate) async fn machine_of(&self, id: MachineId, version: u32) -> Result<Option<Arc<Machine>>, DefinitionError> {
        let known = |keeper: &Keeper| keeper.versions.lock().unwrap_or_else(PoisonError::into_inner).get(&(id, version)).cloned();
        if let Some(machine) = known(&self.keeper) {
            return Ok(Some(machine));
        }
        let Some(record) = self.definitions.get_version(id, version).await? else { return Ok(None) };
        let Some(bundle) = self.definitions.get_bundle(&record.digest).await? else { return Ok(None) };
        let files = bundle.files.iter().map(|(path, file)| (path.as_str(), file.bytes.clone())).collect();
        let Some(machine) = orrery_machine::load(&files).machine.map(Arc::new) else { return Ok(None) };
        let mut versions = self.keeper.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.retain(|(of, _), _| *of != id);
        versions.insert((id, version), Arc::clone(&machine));
        Ok(Some(machine))
    }

    /// Asks for the address of an interface: its lease, or what the agent in the guest or the host's neighbours tell.
    fn find(&self) -> Find {
        let engine = Arc::clone(&self.engine);
        Arc::new(move |domain, mac| {
            let engine = Arc::clone(&engine);
            async move {
                let scope = Scope { only: Some(domain.uuid), ..Scope::default() };
                let observed = engine.observe(&scope).await.ok()?;
                let known = &observed.domain(domain.uuid)?.addresses;
                let its = known.iter().filter(|address| address.source == AddressSource::Lease || address.ip.is_ipv4());
                its.filter(|address| address.mac.eq_ignore_ascii_case(&mac)).map(|address| address.ip).min()
            }
            .boxed()
        })
    }
}

/// Returns when the life of a domain took a turn, its metadata changed, or something may have been missed.
async fn turn(events: &mut Receiver<DomainEvent>) {
    loop {
        match events.recv().await {
            Ok(DomainEvent::Connected(_)) | Err(RecvError::Lagged(_)) => return,
            Ok(DomainEvent::Happened { change: Change::Lifecycle { .. } | Change::Metadata, .. }) => return,
            // While the daemon is away its guests go on, and so do their ports.
            Ok(DomainEvent::Lost(_)) => {}
            Ok(DomainEvent::Happened {
                change:
                    Change::Rebooted | Change::Agent { .. } | Change::Device { .. } | Change::BlockJob { .. } | Change::BlockThreshold { .. },
                ..
            }) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
