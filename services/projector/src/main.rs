//! The process: reads the configuration, serves its instruments, and runs, rebuilds or migrates.

#![allow(clippy::print_stdout)] // What a recovery did is said to whoever called it.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use orrery_instruments::Instruments;
use orrery_projector::{database, rebuild, recover, session, verify};
use orrery_queue::serve::data_dir_from_env;
use orrery_queue::{Broker, BrokerConfig, Report};

const SERVICE: &str = "projector";

/// Streams to Postgres: the only writer of the read model.
#[derive(Debug, Parser)]
#[command(name = "orrery-projector", version)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Task {
    /// Follows the streams; the default.
    Run,
    /// Applies migrations as the owner (`ORRERY_DATABASE_OWNER_URL`).
    Migrate,
    /// Makes the read model anew, from the raw copies and the streams; the service may run meanwhile.
    Rebuild,
    /// Puts back what a broker lost. `cargo xtask recover` stops everything, starts a broker for this alone, and calls it.
    Recover,
    /// Computes the hash chains of the raw copies again, and fails at the first that does not fit.
    Verify,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    orrery_instruments::init_logs();
    match arguments.task.unwrap_or(Task::Run) {
        Task::Run => run().await,
        Task::Migrate => migrate().await,
        Task::Rebuild => make_anew().await,
        Task::Recover => put_back().await,
        Task::Verify => verify_copies().await,
    }
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

/// An address of the database, which holds a password: given, or in the file that the same name with `_FILE` names.
fn address(name: &str) -> anyhow::Result<String> {
    if let Ok(given) = variable(name) {
        return Ok(given);
    }
    let path = std::env::var(format!("{name}_FILE")).with_context(|| format!("neither {name} nor {name}_FILE is set"))?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("{name}_FILE is {path}, and cannot be read"))?;
    Ok(text.trim().to_owned())
}

async fn run() -> anyhow::Result<()> {
    let database_url = address("ORRERY_DATABASE_URL")?;
    let shutdown = orrery_instruments::shutdown().context("signals cannot be listened to")?;
    let mut instruments = Instruments::start(SERVICE)?;
    let readiness = instruments.readiness().clone();
    let report = Report::new({
        let readiness = readiness.clone();
        move |what, detail| readiness.set(what, detail)
    });
    let broker = Broker::connect(&BrokerConfig::from_env(SERVICE)).await?;
    session::waits_for_everything(&report);
    readiness.started();
    instruments.listen(&data_dir_from_env(), SERVICE)?;
    session::run(&database_url, &broker, &report, &shutdown).await;
    tracing::info!("ended");
    Ok(())
}

async fn migrate() -> anyhow::Result<()> {
    let applied = database::migrate(&address("ORRERY_DATABASE_OWNER_URL")?).await?;
    tracing::info!(migrations = applied, "the database is at migration {applied}");
    Ok(())
}

async fn verify_copies() -> anyhow::Result<()> {
    let mut db = database::connect(&address("ORRERY_DATABASE_URL")?, database::Place::Live).await?;
    match verify::verify(&mut db).await? {
        Ok(copies) => tracing::info!(copies, "{copies} raw copies are what was copied"),
        Err(verify::Broken { stream, seq }) => {
            anyhow::bail!("the raw copy {seq} of {} was changed, or one before it was taken away", stream.name())
        }
    }
    Ok(())
}

async fn make_anew() -> anyhow::Result<()> {
    let database_url = address("ORRERY_DATABASE_URL")?;
    let broker = Broker::connect(&BrokerConfig::from_env(SERVICE)).await?;
    let done = rebuild::rebuild(&database_url, &broker).await?;
    tracing::info!(
        copies = done.copies,
        messages = done.messages,
        "rebuilt from {} copies, {} messages and {} observations; the feed is at generation {}",
        done.copies,
        done.messages,
        done.observations,
        done.generation
    );
    Ok(())
}

async fn put_back() -> anyhow::Result<()> {
    let database_url = address("ORRERY_DATABASE_URL")?;
    let storage_bytes = variable("ORRERY_NATS_MAX_FILE_STORE")?.parse().context("ORRERY_NATS_MAX_FILE_STORE is no number of bytes")?;
    let broker = Broker::connect(&BrokerConfig::from_env("recovery")).await?;
    let places = recover::Places { data: data_dir_from_env(), storage_bytes };
    print!("{}", recover::recover(&database_url, &broker, &places).await?);
    Ok(())
}
