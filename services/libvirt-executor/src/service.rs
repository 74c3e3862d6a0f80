//! The service: configuration from the environment, instruments, the queue and observations.
//!
//! A host without libvirt is no broken one: that libvirt does not answer stands in the heartbeat, and in readiness only while a
//! command waits for it.

use std::sync::Arc;

use anyhow::Context as _;
use orrery_contracts::{BundleLimits, Engine};
use orrery_instruments::Instruments;
use orrery_queue::serve::data_dir_from_env;
use orrery_queue::{Broker, BrokerConfig, Definitions, ExecutorConfig, Report, serve};

use crate::commands::LibvirtExecutor;
use crate::definition::Pool;
use crate::engine::LibvirtEngine;
use crate::engine::libvirt::Uris;
use crate::figures::Sampler;
use crate::observe::Observer;
use crate::rpc;

/// The name in the data folder, in the broker and in figures.
const SERVICE: &str = "libvirt-executor";

/// Serves until it is told to stop: libvirt and the broker that the environment names.
///
/// # Errors
/// When it cannot start, or cannot go on.
pub async fn run() -> anyhow::Result<()> {
    orrery_instruments::init_logs();
    let shutdown = orrery_instruments::shutdown().context("signals cannot be listened to")?;
    let mut instruments = Instruments::start(SERVICE)?;
    let readiness = instruments.readiness().clone();
    let broker = Broker::connect(&BrokerConfig::from_env(SERVICE)).await?;
    let reported = readiness.clone();
    let config = ExecutorConfig::from_env(Engine::Libvirt, &broker, Report::new(move |what, detail| reported.set(what, detail)));
    let data_dir = data_dir_from_env();
    instruments.listen(&data_dir, SERVICE)?;
    tracing::info!(host = config.host, data = %data_dir.display(), "started");
    let (definitions, engine) = (Definitions::new(broker.streams()), Arc::new(LibvirtEngine::start(&Uris::from_env())));
    let (pool, limits, host) = (Pool::from_env(), BundleLimits::default(), config.host.clone());
    let executor = LibvirtExecutor::new(definitions, engine, pool, &data_dir, limits, host);
    tokio::spawn(executor.clone().keep_doors(shutdown.clone()));
    tokio::spawn(executor.clone().restart_containers(shutdown.clone()));
    tokio::spawn(Observer { executor: executor.clone(), broker: broker.clone() }.run(shutdown.clone()));
    tokio::spawn(Sampler { executor: executor.clone(), broker: broker.clone() }.run(shutdown.clone()));
    tokio::spawn(rpc::answer(executor.clone(), broker.clone(), shutdown.clone()));
    readiness.started();
    serve(config, executor, shutdown).await.context("the executor stopped")?;
    tracing::info!("ended");
    Ok(())
}
