//! The process: configuration from the environment, instruments, and the queue until it is told to end.

use anyhow::Context as _;
use clap::Parser;
use orrery_contracts::Engine;
use orrery_instruments::Instruments;
use orrery_libvirt_executor::NoMachinesYet;
use orrery_queue::serve::data_dir_from_env;
use orrery_queue::{Broker, BrokerConfig, ExecutorConfig, Report, serve};

const SERVICE: &str = "libvirt-executor";

/// Executes the commands of machines and boxes. Configured by the environment.
#[derive(Debug, Parser)]
#[command(name = "orrery-libvirt-executor", version)]
struct Arguments {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments {} = Arguments::parse();
    orrery_instruments::init_logs();
    let shutdown = orrery_instruments::shutdown().context("signals cannot be listened to")?;
    let mut instruments = Instruments::start(SERVICE)?;
    let readiness = instruments.readiness().clone();
    let broker = Broker::connect(&BrokerConfig::from_env(SERVICE)).await?;
    let report = Report::new({
        let readiness = readiness.clone();
        move |what, detail| readiness.set(what, detail)
    });
    let config = ExecutorConfig::from_env(Engine::Libvirt, &broker, report);
    let data_dir = data_dir_from_env();
    instruments.listen(&data_dir, SERVICE)?;
    tracing::info!(host = config.host, data = %data_dir.display(), "started");
    let served = tokio::spawn(serve(config, NoMachinesYet, shutdown));
    readiness.started();
    served.await.context("the loop died")??;
    tracing::info!("ended");
    Ok(())
}
