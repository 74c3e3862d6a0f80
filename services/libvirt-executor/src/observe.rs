//! What libvirt says, published as observations: a full listing under a new epoch at every connection to libvirt or the broker, then
//! event by event. A removal is a tombstone; a listing ends with a marker, so that no ghost stays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use futures::TryStreamExt as _;
use orrery_contracts::machine::Snapshot;
use orrery_contracts::{BoxObservation, DomainState, Drift, EngineMarker, MachineId, MachineKind, MachineObservation, Time, subjects};
use orrery_queue::{Broker, JudgeError};
use time::OffsetDateTime;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::commands::{LibvirtExecutor, now};
use crate::definition::{Pool, Record, is_of};
use crate::engine::{Accelerator, DomainEvent, EngineError, Hypervisor, Kind, Observed, Other, Scope, Seen, State, version_words};

/// How long events are gathered before it is looked again.
const GATHER: Duration = Duration::from_millis(100);
/// When a machine of which an address is missing is looked at again, the first time and at most: no event tells of a lease. Each look that
/// finds nothing new waits twice as long for the next, so that one that never has an address is nearly left alone.
const LEASES: (Duration, Duration) = (Duration::from_secs(2), UNHEARD);
/// When everything is looked at again at the latest: no event tells of a hand that changes what libvirt keeps of a machine.
const UNHEARD: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Publishes what libvirt says.
pub struct Observer<E> {
    /// The engine, and what it should be like.
    pub executor: LibvirtExecutor<E>,
    /// The broker.
    pub broker: Broker,
}

/// Why a round of observing ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("libvirt: {0}")]
    Engine(#[from] EngineError),
    #[error("the broker: {0}")]
    Broker(String),
    #[error("events were missed")]
    Missed,
}

impl From<JudgeError> for Broken {
    fn from(error: JudgeError) -> Self {
        Self::Broker(error.to_string())
    }
}

/// What came of one look.
struct Looked {
    /// Something was told that was not known.
    news: bool,
    /// A machine runs of which an address is missing.
    waits: bool,
}

/// What was published last, by kind and id.
type Known = BTreeMap<(&'static str, String), Vec<u8>>;

impl<E: Hypervisor> Observer<E> {
    /// Observes until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                self.broker.connected().await;
                if let Err(broken) = self.round().await {
                    tracing::debug!("observes from the beginning: {broken}");
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// One listing, and the events behind it, until a connection changes.
    async fn round(&self) -> Result<(), Broken> {
        let mut events = self.executor.engine.events();
        let mut link = self.broker.link();
        let connection = link.borrow_and_update().clone();
        let epoch = epoch();
        let mut known = Known::new();
        let mut looked = self.list(epoch, &mut known).await?;
        self.mark(epoch).await?;
        let changed = Arc::clone(&self.executor.changed);
        let mut again = LEASES.0;
        loop {
            let pause = if looked.waits { again } else { UNHEARD };
            again = LEASES.0;
            tokio::select! {
                event = events.recv() => match event {
                    Ok(DomainEvent::Connected(_) | DomainEvent::Lost(Kind::Vm)) => return Err(Broken::Missed),
                    Ok(DomainEvent::Happened { .. } | DomainEvent::Lost(Kind::Container)) => tokio::time::sleep(GATHER).await,
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return Err(Broken::Missed),
                },
                () = changed.notified() => {}
                () = async { drop(link.wait_for(|now| *now != connection).await) } => return Err(Broken::Broker("another connection".into())),
                () = tokio::time::sleep(pause) => again = pause.saturating_mul(2).min(LEASES.1),
            }
            while events.try_recv().is_ok() {}
            looked = self.list(epoch, &mut known).await?;
            if looked.news {
                again = LEASES.0;
            }
        }
    }

    /// Publishes what is new.
    async fn list(&self, epoch: u64, known: &mut Known) -> Result<Looked, Broken> {
        let ports = self.executor.keeper.changes();
        let observed = self.executor.engine.observe(&Scope::all(Pool::NAME)).await?;
        let ours = observed.domains.iter().filter(|seen| seen.state.is_up() && Record::read(&seen.metadata).is_some());
        self.executor.running.send_replace(ours.map(|seen| seen.domain).collect());
        let mut now = Known::new();
        for seen in &observed.domains {
            now.insert(("machine", seen.domain.uuid.to_string()), encode(&self.machine(seen, epoch)));
        }
        for other in observed.others.iter().filter(|other| !other.ours) {
            now.insert(("machine", other.domain.uuid.to_string()), encode(&self.foreign(other, epoch)));
        }
        for one in self.boxes(&observed, epoch).await? {
            now.insert(("box", one.name.clone()), encode(&one));
        }
        if known.is_empty() {
            for (kind, id) in self.remembered().await? {
                known.entry((kind, id)).or_default();
            }
        }
        let gone: Vec<(&'static str, String)> = known.keys().filter(|key| !now.contains_key(*key)).cloned().collect();
        let mut news = !gone.is_empty();
        for (kind, id) in gone {
            self.tombstone(kind, &id).await?;
        }
        for ((kind, id), body) in &now {
            if known.get(&(*kind, id.clone())) != Some(body) {
                news = true;
                self.publish(&subjects::observed(&self.executor.host, kind, id), HeaderMap::new(), body.clone()).await?;
            }
        }
        *known = now;
        self.executor.keeper.tell(ports);
        Ok(Looked { news, waits: observed.domains.iter().any(|seen| seen.state == State::Running && seen.unaddressed) })
    }

    fn machine(&self, seen: &Seen, epoch: u64) -> MachineObservation {
        let record = Record::read(&seen.metadata);
        MachineObservation {
            uuid: seen.domain.uuid,
            name: seen.name.clone(),
            host: self.executor.host.clone(),
            installation: record.as_ref().map(|record| record.installation),
            machine_id: record.as_ref().map(|record| record.machine),
            kind: kind(seen.domain.kind),
            version: record.as_ref().map(|record| record.version),
            state: state(seen.state),
            reason: seen.reason.to_owned(),
            cpus: seen.vcpus,
            memory: seen.memory,
            addresses: seen.addresses.iter().map(|address| address.ip.to_string()).collect(),
            ports: record.as_ref().map(|record| self.executor.keeper.doors.of(record.machine)).unwrap_or_default(),
            snapshots: seen.snapshots.iter().map(snapshot).collect(),
            drift: drift(seen, record.as_ref()),
            epoch,
        }
    }

    fn foreign(&self, other: &Other, epoch: u64) -> MachineObservation {
        MachineObservation {
            uuid: other.domain.uuid,
            name: other.name.clone(),
            host: self.executor.host.clone(),
            installation: None,
            machine_id: None,
            kind: kind(other.domain.kind),
            version: None,
            state: state(other.state),
            reason: String::new(),
            cpus: 0,
            memory: 0,
            addresses: Vec::new(),
            ports: Vec::new(),
            snapshots: Vec::new(),
            drift: Vec::new(),
            epoch,
        }
    }

    async fn boxes(&self, observed: &Observed, epoch: u64) -> Result<Vec<BoxObservation>, Broken> {
        let heads = self.executor.boxes().await?;
        let machines = self.executor.definitions.machine_heads().await.map_err(|error| Broken::Broker(error.to_string()))?;
        let boxes = heads.into_values().map(|head| {
            let file = self.executor.pool.file(&head.volume);
            let over: Vec<&str> = observed
                .volumes
                .iter()
                .filter(|volume| volume.backing.as_deref() == Some(file.as_str()))
                .map(|volume| volume.name.as_str())
                .collect();
            let records = observed.domains.iter().filter_map(|seen| Record::read(&seen.metadata));
            let reads: Vec<MachineId> = records.filter(|record| record.boxes.contains(&head.volume)).map(|record| record.machine).collect();
            let uses = |id: &MachineId| reads.contains(id) || over.iter().any(|volume| is_of(*id, volume));
            let used_by = machines.iter().map(|kept| kept.value.id).filter(uses).collect();
            BoxObservation {
                name: head.name.to_string(),
                host: head.host,
                format: head.format,
                sha256: head.sha256,
                size: observed.volume(&head.volume).map_or(head.size, |volume| volume.allocation),
                capacity: head.capacity,
                description: head.description,
                origin: head.origin,
                imported_at: head.imported_at,
                used_by,
                epoch,
            }
        });
        Ok(boxes.collect())
    }

    async fn mark(&self, epoch: u64) -> Result<(), Broken> {
        let capabilities = self.executor.engine.capabilities().await?;
        let marker = EngineMarker {
            host: self.executor.host.clone(),
            epoch,
            engine_version: version_words(capabilities.version),
            api_version: version_words(capabilities.hypervisor),
            cpus: capabilities.host.cpus,
            memory: capabilities.host.memory,
            at: now(),
            accelerator: Some(match capabilities.accelerator {
                Accelerator::Kvm => "kvm".to_owned(),
                Accelerator::Tcg => "tcg".to_owned(),
            }),
        };
        self.publish(&subjects::observed(&self.executor.host, "marker", "libvirt"), HeaderMap::new(), encode(&marker)).await
    }

    /// What OBSERVED knows of, perhaps from an earlier life.
    async fn remembered(&self) -> Result<Vec<(&'static str, String)>, Broken> {
        let broken = |error: String| Broken::Broker(error);
        let stream = self.broker.jetstream().get_stream(subjects::OBSERVED).await.map_err(|error| broken(error.to_string()))?;
        let mut all = Vec::new();
        for kind in ["machine", "box"] {
            let prefix = subjects::observed(&self.executor.host, kind, "");
            let found = stream.info_with_subjects(subjects::observed(&self.executor.host, kind, "*")).await;
            let names: Vec<(String, usize)> =
                found.map_err(|error| broken(error.to_string()))?.try_collect().await.map_err(|error| broken(error.to_string()))?;
            all.extend(names.into_iter().filter_map(|(subject, _)| Some((kind, subject.strip_prefix(&prefix)?.to_owned()))));
        }
        Ok(all)
    }

    async fn tombstone(&self, kind: &str, id: &str) -> Result<(), Broken> {
        let mut headers = HeaderMap::new();
        headers.insert(subjects::TOMBSTONE_HEADER, "1");
        self.publish(&subjects::observed(&self.executor.host, kind, id), headers, Vec::new()).await
    }

    async fn publish(&self, subject: &str, headers: HeaderMap, body: Vec<u8>) -> Result<(), Broken> {
        let sent = self.broker.jetstream().publish_with_headers(subject.to_owned(), headers, body.into()).await;
        let acknowledged = sent.map_err(|error| Broken::Broker(error.to_string()))?.await;
        acknowledged.map(drop).map_err(|error| Broken::Broker(error.to_string()))
    }
}

fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

const fn kind(kind: Kind) -> MachineKind {
    match kind {
        Kind::Vm => MachineKind::Vm,
        Kind::Container => MachineKind::Container,
    }
}

const fn state(state: State) -> DomainState {
    match state {
        State::Running => DomainState::Running,
        State::Paused => DomainState::Paused,
        State::ShuttingDown => DomainState::ShuttingDown,
        State::Off | State::Unknown => DomainState::Off,
        State::Crashed => DomainState::Crashed,
        State::Asleep => DomainState::Asleep,
    }
}

fn snapshot(seen: &crate::engine::SeenSnapshot) -> Snapshot {
    let created_at = Time::new(OffsetDateTime::from_unix_timestamp(seen.taken_at).unwrap_or(OffsetDateTime::UNIX_EPOCH));
    Snapshot { name: seen.name.clone(), description: seen.description.clone(), created_at, running: seen.state == "running" }
}

/// A hand from outside shows in the definition that libvirt has; what exactly it changed, only libvirt could say.
fn drift(seen: &Seen, record: Option<&Record>) -> Vec<Drift> {
    match (record.and_then(|record| record.taken.as_ref()), &seen.hash) {
        (Some(taken), Some(now)) if taken != now => vec![Drift {
            path: "definition".to_owned(),
            expected: Some(format!("sha256 {}", taken.get(..12).unwrap_or(taken)).into()),
            actual: Some(format!("sha256 {}", now.get(..12).unwrap_or(now)).into()),
        }],
        (Some(_) | None, _) => Vec::new(),
    }
}

/// Grows with every connection, also over the executor's lives.
fn epoch() -> u64 {
    u64::try_from(now().inner().unix_timestamp_nanos() / 1000).unwrap_or_default()
}
