//! The service: configuration from the environment, instruments, the queue, observations and answers.

use std::time::Duration;

use anyhow::Context as _;
use orrery_contracts::Engine;
use orrery_contracts::bundle::BundleLimits;
use orrery_instruments::{Instruments, Readiness};
use orrery_queue::serve::data_dir_from_env;
use orrery_queue::{Broker, BrokerConfig, Definitions, ExecutorConfig, Report, Streams, serve};

use crate::commands::DockerExecutor;
use crate::engine::{Connection, DockerEngine, Engine as _};
use crate::files::DataDir;
use crate::observe::Observer;
use crate::rpc;

/// The name in the data folder, in the broker and in figures.
const SERVICE: &str = "docker-executor";

/// Serves until it is told to stop: the engine at the end of this connection, the queue of the broker that the environment
/// names. Tests put something that breaks between the service and each of them; the program puts nothing there.
///
/// # Errors
/// When it cannot start, or cannot go on.
pub async fn run(connection: Connection, way: impl FnOnce(&Streams) -> Streams) -> anyhow::Result<()> {
    orrery_instruments::init_logs();
    let shutdown = orrery_instruments::shutdown().context("cannot listen to signals")?;
    let mut instruments = Instruments::start(SERVICE)?;
    let readiness = instruments.readiness().clone();
    let broker = Broker::connect(&BrokerConfig::from_env(SERVICE)).await?;
    let streams = way(broker.streams());
    let reported = readiness.clone();
    let config = ExecutorConfig::from_env(Engine::Docker, &broker, Report::new(move |what, detail| reported.set(what, detail)));
    let config = ExecutorConfig { streams: streams.clone(), ..config };
    let data_dir = data_dir_from_env();
    instruments.listen(&data_dir, SERVICE)?;
    let (definitions, engine) = (Definitions::new(&streams), DockerEngine::new(connection));
    let executor = DockerExecutor::new(definitions, engine, DataDir::new(data_dir), limits()?, config.host.clone());
    let observer =
        Observer { engine: executor.engine().clone(), broker: broker.clone(), data: executor.data().clone(), host: config.host.clone() };
    tokio::spawn(observer.run(shutdown.clone()));
    tokio::spawn(rpc::answer(executor.clone(), broker, shutdown.clone()));
    tokio::spawn(watch_engine(executor.clone(), readiness.clone()));
    readiness.started();
    serve(config, executor, shutdown).await.context("the executor stopped")
}

/// Readiness says whether the engine answers.
async fn watch_engine(executor: DockerExecutor, readiness: Readiness) {
    let mut events = executor.engine().events().listen();
    loop {
        readiness.set("engine", executor.engine().away());
        let _ = tokio::time::timeout(Duration::from_secs(1), events.recv()).await;
    }
}

fn limits() -> anyhow::Result<BundleLimits> {
    let number = |name: &str, default: usize| match std::env::var(name) {
        Ok(text) if !text.is_empty() => text.parse().with_context(|| format!("{name} is no number: {text:?}")),
        Ok(_) | Err(_) => Ok(default),
    };
    let usual = BundleLimits::default();
    Ok(BundleLimits {
        bytes: number("ORRERY_BUNDLE_MAX_BYTES", usual.bytes)?,
        files: number("ORRERY_BUNDLE_MAX_FILES", usual.files)?,
        file_bytes: number("ORRERY_BUNDLE_MAX_FILE_BYTES", usual.file_bytes)?,
    })
}
