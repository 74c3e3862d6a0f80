//! `cargo xtask bench`: what Orrery costs, beside Docker Compose and the bare calls of the engine's API.
//!
//! This only brings together what the measure needs; the measuring is a program of its own (`orrery-bench`), because it
//! speaks to the API and this crate does not.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::report;
use crate::folders;
use crate::say;
use crate::shell;
use crate::tools::{Tools, cargo, compose, libvirt};

/// The parts, each of which is a section of the report.
const PARTS: [&str; 11] = [
    "commands",
    "backlog",
    "planning",
    "services-1",
    "services-10",
    "services-20",
    "services-50",
    "machines-1",
    "machines-5",
    "machines-20",
    "machines-life",
];

const HEAD: &str = "# What Orrery costs\n\nWritten by `cargo xtask bench`. The median of interleaved runs, and in brackets the quickest and the slowest.\n\n\
    Orrery's time from RUNNING to the last effect is taken from the command's own steps: reading the definition, looking at the engine, planning, and every step \
    written ahead. Its time from POST to DONE has the queue, the gates (a container without a health check must stay up for half a second) and the read model in it. Where one has changed, the last effect is that the old container goes, which waits for the gate of the new one. \
    Compose's time is that of `docker compose up -d`. The bare calls make the network and the same containers, as many side by side as Orrery does.\n\n\
    Machines are guests of one sector, emulated in software, and containers of one program. They are made one after another, as the queue has it, by Orrery from a box, \
    and by `virsh define` and `virsh start` of the definition that libvirt then has, on disks that were made before.\n";

/// Measure what Orrery costs, and write it to docs/bench.md.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Only this part; the others keep what the report says of them.
    part: Option<String>,
    /// How many rounds.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Measure what the development profile builds, which is there sooner and says so in the report.
    #[arg(long)]
    dev: bool,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        let wanted = |part: &str| self.part.as_deref().is_none_or(|name| name == part);
        ensure!(PARTS.iter().any(|part| wanted(part)), "there is no such part: {}", PARTS.join(", "));
        let docker_host = std::env::var("DOCKER_HOST").ok();
        let tools = Tools::find_or_install(docker_host.as_deref())?;
        let peer = compose::find_or_install()?;
        if PARTS.iter().any(|part| wanted(part) && part.starts_with("machines")) {
            libvirt::find_or_install()?;
        }
        let programs = self.build()?;
        let path = folders::repository().join("docs/bench.md");
        for part in PARTS.iter().filter(|part| wanted(part)) {
            let section = self.measure(part, &tools, &peer, &programs)?;
            // Written after each part: the whole takes an hour and more.
            let before = std::fs::read_to_string(&path).unwrap_or_default();
            let sections = PARTS.map(|other| {
                let heading = format!("\n## {other}\n");
                if other == *part {
                    return format!("{heading}{section}");
                }
                report::section_of(&before, other).unwrap_or_else(|| format!("{heading}\nNot measured yet.\n"))
            });
            std::fs::write(&path, format!("{HEAD}{}", sections.concat())).with_context(|| format!("cannot write {}", path.display()))?;
        }
        say::step("bench", &format!("the report is in {}", path.display()));
        Ok(())
    }

    fn measure(&self, part: &str, tools: &Tools, peer: &Path, programs: &Path) -> Result<String> {
        let report = tempfile::NamedTempFile::new()?;
        let mut measure = shell::command(programs.join("orrery-bench"));
        measure
            .env("ORRERY_NATS_SERVER", &tools.nats_server)
            .env("ORRERY_BENCH_COMPOSE", peer)
            .env("ORRERY_BENCH_ROUNDS", self.rounds.to_string())
            .env("ORRERY_BENCH_PART", part)
            .env("ORRERY_BENCH_REPORT", report.path());
        // What was measured is the answer of this chore, so it goes to standard output.
        let status = measure.status().context("cannot run orrery-bench")?;
        ensure!(status.success(), "the measure of {part} ended with {status}");
        Ok(std::fs::read_to_string(report.path())?)
    }

    fn build(&self) -> Result<PathBuf> {
        if self.dev {
            // As the tests build it, so that nothing is built again.
            cargo::build(&["--all-targets"])?;
            return Ok(folders::target().join("debug"));
        }
        cargo::build_released()
    }
}
