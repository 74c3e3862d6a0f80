//! `cargo xtask recover`: the way back from a broker that lost messages. Everything but the database is stopped, a broker that
//! nobody else can reach opens the store, the projector puts back what it copied, and everything starts again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::Deserialize;

use super::lock::Lock;
use super::members::Member;
use super::record::Record;
use super::services::{self, Built};
use super::{broker, down, start};
use crate::folders::Data;
use crate::processes::Identity;
use crate::say;
use crate::shell;
use crate::tools::Tools;

/// How long the broker may take to write down what it has when it is asked to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `orrery-nats prepare-recovery` answers.
#[derive(Deserialize)]
struct Prepared {
    config: PathBuf,
    url: String,
    user: String,
    password_file: PathBuf,
    storage_bytes: u64,
}

pub(crate) fn run() -> Result<()> {
    let data = Data::chosen()?;
    anyhow::ensure!(data.exists(), "nothing was ever started in {}: `cargo xtask up` does", data.root().display());
    let _lock = Lock::hold(&data)?;
    let mut record = Record::load(&data)?;
    let began = Instant::now();
    record.take_settings();
    let tools = Tools::installed()?;
    let built =
        record.built.clone().context("it is not known with which programs this installation was started: `cargo xtask up` again")?;
    for member in Member::SERVICES.into_iter().chain([Member::Nats]) {
        down::end(&record, member)?;
    }
    start::member(&data, &mut record, &tools, &built, Member::Postgres)?;
    start::wait(&data, &record, &[Member::Postgres])?;
    let said = put_back(&data, &tools, &built)?;
    start::everything(&data, &mut record, &tools, &built)?;
    say::done("recover", "everything runs again", began);
    println!("\n{}", said.trim_end());
    Ok(())
}

/// Runs the recovery in front of a broker of its own, and takes that away again, whatever came of it.
fn put_back(data: &Data, tools: &Tools, built: &Built) -> Result<String> {
    let tool = built.program("orrery-nats");
    let answer = shell::quiet(of(&tool, data).arg("prepare-recovery")).context("the recovery's broker could not be configured")?;
    let prepared: Prepared = serde_json::from_str(&answer).context("orrery-nats answered something strange")?;
    let server = broker::run(data, &tools.nats_server, &prepared.config, "recovery")?;
    let said = recovered(data, tools, built, &server, &prepared);
    server.end(Signal::TERM, PATIENCE)?;
    shell::quiet(of(&tool, data).arg("clear-recovery"))?;
    said
}

fn recovered(data: &Data, tools: &Tools, built: &Built, server: &Identity, prepared: &Prepared) -> Result<String> {
    anyhow::ensure!(
        broker::listens(data, &tools.nats_server, server),
        "the broker does not open its store; its last words are in {}",
        data.log("recovery").display()
    );
    say::step("recover", "what the broker holds is compared with what was copied");
    let mut command = shell::command(built.program("orrery-projector"));
    command
        .arg("recover")
        .env("ORRERY_DATA_DIR", data.root())
        .env("ORRERY_DATABASE_URL", services::database_url(data, "projector")?)
        .env("ORRERY_NATS_URL", &prepared.url)
        .env("ORRERY_NATS_USER", &prepared.user)
        .env("ORRERY_NATS_PASSWORD_FILE", &prepared.password_file)
        .env("ORRERY_NATS_MAX_FILE_STORE", prepared.storage_bytes.to_string())
        .env_remove("ORRERY_NATS_CA");
    shell::quiet(&mut command).context("the recovery did not come to its end; what it did stays, and the next one goes on")
}

fn of(tool: &Path, data: &Data) -> std::process::Command {
    let mut command = shell::command(tool);
    command.arg("--data-dir").arg(data.root());
    command
}
