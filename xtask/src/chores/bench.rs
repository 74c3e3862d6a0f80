//! `cargo xtask bench`: what Orrery costs, beside Docker Compose doing the same.
//!
//! This only brings together what the measure needs; the measuring is a program of its own (`orrery-bench`), because it
//! speaks to the API and this crate does not.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::folders;
use crate::say;
use crate::shell;
use crate::tools::{Tools, cargo, compose};

#[derive(clap::Args)]
pub(crate) struct Bench {
    /// How many rounds; the median of them is reported.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure what the development profile builds, which is there sooner and says so in the report.
    #[arg(long)]
    dev: bool,
    /// Where the report goes.
    #[arg(long)]
    report: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        let docker_host = std::env::var("DOCKER_HOST").ok();
        let tools = Tools::find_or_install(docker_host.as_deref())?;
        let peer = compose::find_or_install()?;
        let programs = self.build()?;
        let report = self.report.unwrap_or_else(|| folders::repository().join("docs/bench.md"));
        let mut measure = shell::command(programs.join("orrery-bench"));
        measure
            .env("ORRERY_NATS_SERVER", tools.nats_server)
            .env("ORRERY_BENCH_COMPOSE", peer)
            .env("ORRERY_BENCH_ROUNDS", self.rounds.to_string())
            .env("ORRERY_BENCH_REPORT", &report);
        // What was measured is the answer of this chore, so it goes to standard output.
        let status = measure.status().context("cannot run orrery-bench")?;
        anyhow::ensure!(status.success(), "the measure ended with {status}");
        say::step("bench", &format!("the report is in {}", report.display()));
        Ok(())
    }

    fn build(&self) -> Result<PathBuf> {
        if self.dev {
            // As the tests build it, so that nothing is built again.
            cargo::build(&["--all-targets"])?;
            return Ok(folders::target().join("debug"));
        }
        let mut build = cargo::cargo();
        build.args(["build", "--workspace", "--exclude", "orrery-frontend", "--bins", "--release"]);
        shell::loud(&mut build).context("the programs could not be built")?;
        Ok(folders::target().join("release"))
    }
}
