//! `cargo xtask restart <name>`: stops one process and starts it again, a dead one too, and waits for it and for what
//! depends on it.

use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use super::lock::Lock;
use super::members::Member;
use super::record::Record;
use super::{broker, database, down, start};
use crate::folders::Data;
use crate::say;
use crate::tools::{self, Tools};

/// Start one process again; it may be dead.
#[derive(Args)]
pub(crate) struct Restart {
    /// Which one.
    #[arg(value_enum)]
    name: Member,
    /// Build the programs first.
    #[arg(long)]
    build: bool,
}

impl Restart {
    pub(crate) fn run(self) -> Result<()> {
        let member = self.name;
        let data = Data::chosen()?;
        anyhow::ensure!(data.exists(), "nothing was ever started in {}: `cargo xtask up` does", data.root().display());
        let _lock = Lock::hold(&data)?;
        let mut record = Record::load(&data)?;
        anyhow::ensure!(!record.processes.is_empty(), "this installation is down: `cargo xtask up` starts it");
        let began = Instant::now();
        record.take_settings();
        if self.build {
            tools::cargo::build_services()?;
        }
        let tools = Tools::installed()?;
        let built =
            record.built.clone().context("it is not known with which programs this installation was started: `cargo xtask up` again")?;
        let running: Vec<Member> = member.dependants().iter().copied().filter(|dependant| record.is_alive(*dependant)).collect();
        down::end(&record, member)?;
        start::member(&data, &mut record, &tools, &built, member)
            .with_context(|| format!("{} could not be started again", member.name()))?;
        start::wait(&data, &record, &[member])?;
        if member == Member::Nats {
            // Their sizes follow the broker's.
            broker::provision(&data, &record, &built.program("orrery-nats"))?;
        }
        if member == Member::Projector {
            database::migrate(&data, &built.program("orrery-projector"))?;
        }
        for dependant in &running {
            start::member(&data, &mut record, &tools, &built, *dependant)?;
        }
        start::wait(&data, &record, &running)?;
        say::done(member.name(), "runs again, and so does what depends on it", began);
        Ok(())
    }
}
