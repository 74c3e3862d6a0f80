//! The in-order loop of an executor: waits for the broker, the topology and the engine's lock, compares the marks, and
//! then holds one session after another until it is told to stop.

mod arrival;
mod heartbeat;
mod judgement;
mod session;
mod turn;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use orrery_contracts::command::COMMAND_SCHEMA;
use orrery_contracts::{Engine, Installation, QueueMark, subjects};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::session::{Session, SessionEnd};
use self::turn::Desk;
use crate::broker::Broker;
use crate::compare_and_set::EventsWriter;
use crate::definitions::Definitions;
use crate::executor::Executor;
use crate::lock::{Guard, LockFolder};
use crate::marks::{Distrust, Keep, MarkFile, Marks};
use crate::report::Report;
use crate::streams::{Bounds, Streams};
use crate::transitions::Transitions;

/// Between two tries at something that is not there yet.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two looks at a stream that has regressed.
const ALARM: Duration = Duration::from_secs(5);

/// What a person does about a stream that has regressed.
const WAY_BACK: &str = "`cargo xtask recover` puts back what was copied, and lets no number be given twice";

/// What the loop needs to know, and the doors to everything outside it.
#[derive(Clone)]
pub struct ExecutorConfig {
    /// The engine whose commands are executed.
    pub engine: Engine,
    /// The host of the engine: `local`.
    pub host: String,
    /// The broker.
    pub streams: Streams,
    /// Where the marks are kept.
    pub marks: Arc<dyn Keep>,
    /// What keeps a second executor of this engine away.
    pub guard: Arc<dyn Guard>,
    /// Where to say what is waited for.
    pub report: Report,
}

impl ExecutorConfig {
    /// From the environment: `ORRERY_HOST`, `ORRERY_DATA_DIR`, `ORRERY_LOCK_DIR`.
    #[must_use]
    pub fn from_env(engine: Engine, broker: &Broker, report: Report) -> Self {
        let host = text("ORRERY_HOST").unwrap_or_else(|| "local".to_owned());
        Self { host, ..Self::in_folders(engine, broker, &data_dir_from_env(), &lock_dir_from_env(), report) }
    }

    /// On the host `local`, with its marks in a data folder and its lock in a folder that is shared by every executor
    /// that could reach this engine.
    #[must_use]
    pub fn in_folders(engine: Engine, broker: &Broker, data_dir: &Path, lock_dir: &Path, report: Report) -> Self {
        Self {
            engine,
            host: "local".to_owned(),
            streams: broker.streams().clone(),
            marks: Arc::new(MarkFile::of(data_dir, &format!("{engine}-executor"))),
            guard: Arc::new(LockFolder(lock_dir.to_owned())),
            report,
        }
    }
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The data folder: `ORRERY_DATA_DIR`, else `/var/lib/orrery` for root and `$XDG_DATA_HOME/orrery` for others.
#[must_use]
pub fn data_dir_from_env() -> PathBuf {
    let home = || PathBuf::from(text("HOME").unwrap_or_else(|| "/tmp".to_owned())).join(".local/share");
    text("ORRERY_DATA_DIR").map(PathBuf::from).unwrap_or_else(|| {
        if rustix::process::geteuid().is_root() {
            return PathBuf::from("/var/lib/orrery");
        }
        text("XDG_DATA_HOME").map_or_else(home, PathBuf::from).join("orrery")
    })
}

/// The folder of lock files: `ORRERY_LOCK_DIR`, else `/run/lock/orrery` for root and `$XDG_RUNTIME_DIR/orrery` for others.
#[must_use]
pub fn lock_dir_from_env() -> PathBuf {
    text("ORRERY_LOCK_DIR").map(PathBuf::from).unwrap_or_else(|| {
        if rustix::process::geteuid().is_root() {
            return PathBuf::from("/run/lock/orrery");
        }
        text("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from).join("orrery")
    })
}

/// Why the loop ended although nobody asked it to.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Another executor has taken a command over that this one had in hand.
    #[error("another executor has taken command {seq} over; this one stops")]
    Stale {
        /// The command.
        seq: u64,
    },
    /// The lock file or the marks cannot be read or written.
    #[error("{what}")]
    File {
        /// What could not be done, with the path.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Follows the queue and executes the commands of one engine, in order, until `shutdown`.
///
/// # Errors
/// [`ServeError`]; whatever can be waited out (broker, engine, another executor's lock, a regressed stream) is no error.
pub async fn serve<E: Executor>(config: ExecutorConfig, executor: E, shutdown: CancellationToken) -> Result<(), ServeError> {
    let link = heartbeat::watch_link(config.streams.clone(), config.report.clone());
    let _link = AbortOnDropHandle::new(tokio::spawn(link));
    config.report.waits("queue", "not followed yet");
    let served = shutdown.run_until_cancelled(Service::ready(&config, executor)).await;
    let Some(service) = served else { return Ok(()) };
    service?.hold_sessions(&config, &shutdown).await
}

/// An executor that holds its engine's lock.
struct Service<E> {
    desk: Arc<Desk<E>>,
    installation: Installation,
    running: Arc<AtomicU64>,
    _lock: Box<dyn Send + Sync>,
    _heartbeat: AbortOnDropHandle<()>,
}

impl<E: Executor> Service<E> {
    async fn ready(config: &ExecutorConfig, executor: E) -> Result<Self, ServeError> {
        let marks = Marks::open(Arc::clone(&config.marks));
        let marks = Arc::new(marks.map_err(|source| unreadable("the marks cannot be read:", &config.marks.place(), source))?);
        let definitions = Definitions::new(&config.streams);
        let installation = installation(config, &definitions).await;
        let lock = lock(config, &installation).await?;
        let (executor, running) = (Arc::new(executor), Arc::new(AtomicU64::new(0)));
        let beat = heartbeat::beat(config.streams.clone(), config.engine, config.host.clone(), Arc::clone(&executor), Arc::clone(&running));
        let writer = EventsWriter::new(&config.streams, &config.report, &marks);
        let by = format!("{}@{}", config.engine, config.host);
        let desk = Desk {
            executor,
            engine: config.engine,
            streams: config.streams.clone(),
            report: config.report.clone(),
            definitions,
            transitions: Transitions::new(writer.clone(), &by),
            writer,
            marks,
        };
        let heartbeat = AbortOnDropHandle::new(tokio::spawn(beat));
        Ok(Self { desk: Arc::new(desk), installation, running, _lock: lock, _heartbeat: heartbeat })
    }

    async fn hold_sessions(self, config: &ExecutorConfig, shutdown: &CancellationToken) -> Result<(), ServeError> {
        let mut alarmed = String::new();
        loop {
            let mark = match shutdown.run_until_cancelled(self.begin()).await {
                Some(Ok(mark)) => mark,
                Some(Err(why)) => {
                    alarm(config, &mut alarmed, why);
                    shutdown.run_until_cancelled(tokio::time::sleep(ALARM)).await;
                    continue;
                }
                None => return Ok(()),
            };
            let (desk, running) = (Arc::clone(&self.desk), Arc::clone(&self.running));
            let session = Session::new(desk, self.installation.clone(), running, mark.0, mark.1, shutdown.child_token());
            match session.run().await {
                SessionEnd::Stopped => return Ok(()),
                SessionEnd::Stale { seq } => return Err(ServeError::Stale { seq }),
                SessionEnd::Unwritable(source) => {
                    return Err(unreadable("the marks cannot be written to", &self.desk.marks.place(), source));
                }
                SessionEnd::Regressed(why) => {
                    alarm(config, &mut alarmed, why);
                    shutdown.run_until_cancelled(tokio::time::sleep(ALARM)).await;
                }
            }
        }
    }

    /// Where a session begins, once the streams are what was seen of them.
    async fn begin(&self) -> Result<(QueueMark, u64), String> {
        loop {
            self.desk.streams.connected().await;
            let away = match self.try_begin().await {
                Ok(begin) => return Ok(begin),
                Err(Distrust::Regressed(why)) => return Err(why),
                Err(Distrust::Away(why)) => why,
            };
            self.desk.report.waits("queue", away);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_begin(&self) -> Result<(QueueMark, u64), Distrust> {
        let Desk { streams, definitions, engine, marks, .. } = &*self.desk;
        let away = |error: &dyn std::fmt::Display| Distrust::Away(error.to_string());
        marks.verify(streams).await?;
        let kept = definitions.queue_mark(*engine).await.map_err(|error| away(&error))?;
        let (mark, revision) = kept.map_or((QueueMark::default(), 0), |kept| (kept.value, kept.revision));
        for (name, marked) in [(subjects::COMMANDS, mark.commands), (subjects::EVENTS, mark.events)] {
            let Bounds { last, .. } = streams.bounds(name).await.map_err(Distrust::Away)?;
            if last < marked {
                return Err(Distrust::Regressed(format!(
                    "{name} ends at {last}, and HEADS says that {marked} was dealt with: it lost its tail"
                )));
            }
        }
        definitions.put_schemas(*engine, &[COMMAND_SCHEMA]).await.map_err(|error| away(&error))?;
        Ok((mark, revision))
    }
}

/// Stops loudly: readiness says so until the streams agree again, and the log says so once.
fn alarm(config: &ExecutorConfig, alarmed: &mut String, why: String) {
    config.report.waits("stream_regressed", format!("{why}. {WAY_BACK}"));
    metrics::counter!("orrery_stream_regressions_total", "engine" => config.engine.as_str()).increment(1);
    if *alarmed != why {
        tracing::error!("stream_regressed: execution has stopped. {why}. {WAY_BACK}");
        *alarmed = why;
    }
}

/// Waits until the broker has its streams and the installation's record.
async fn installation(config: &ExecutorConfig, definitions: &Definitions) -> Installation {
    loop {
        config.streams.connected().await;
        let missing = match config.streams.provisioned(&[subjects::COMMANDS, subjects::EVENTS]).await {
            Ok(()) => match definitions.installation().await {
                Ok(Some(installation)) => {
                    config.report.has("provisioning");
                    return installation;
                }
                Ok(None) => "the installation's record is not there yet".to_owned(),
                Err(error) => error.to_string(),
            },
            Err(missing) => missing,
        };
        config.report.waits("provisioning", missing);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until this is the only executor of the engine and installation.
async fn lock(config: &ExecutorConfig, installation: &Installation) -> Result<Box<dyn Send + Sync>, ServeError> {
    let place = config.guard.place(config.engine, installation.id);
    loop {
        let taken = config.guard.take(config.engine, installation.id);
        match taken.map_err(|source| unreadable("the lock cannot be taken:", &place, source))? {
            Some(lock) => {
                config.report.has("lock");
                return Ok(lock);
            }
            None => config.report.waits("lock", format!("another executor holds {place}")),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn unreadable(what: &str, place: &str, source: std::io::Error) -> ServeError {
    ServeError::File { what: format!("{what} {place}"), source }
}
