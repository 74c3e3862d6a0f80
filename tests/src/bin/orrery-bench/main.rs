//! What Orrery costs, in time and memory, beside Docker Compose and beside the bare calls of the engine's API that do the same:
//! `cargo xtask bench` runs it.
//!
//! Runs of all of them are interleaved, in another order each round, so that a slow minute of the machine is in every one. What
//! is reported is the median with the quickest and the slowest, and every aim, met or missed.

#![allow(clippy::print_stdout, clippy::print_stderr)] // A tool for a terminal.

mod bare;
mod commands;
mod compose;
mod contest;
mod figures;
mod machines;
mod shapes;

use std::path::PathBuf;

use anyhow::Context as _;
use orrery_test_libvirt::Libvirtd;
use orrery_tests::machines::with_libvirt;
use orrery_tests::{Installation, Service, memory};

use contest::Contest;
use shapes::Shape;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let rounds = number("ORRERY_BENCH_ROUNDS", 15)?;
    let part = setting("ORRERY_BENCH_PART")?;
    let peer = PathBuf::from(setting("ORRERY_BENCH_COMPOSE")?);
    let report = PathBuf::from(setting("ORRERY_BENCH_REPORT")?);
    let (orrery, libvirt) = match part.starts_with("machines") {
        true => with_libvirt().await.map(|(orrery, libvirt)| (orrery, Some(libvirt)))?,
        false => (Installation::start().await?, None),
    };
    let measured = match &libvirt {
        Some(libvirt) => measure_machines(&orrery, libvirt, &part, rounds).await,
        None => measure(&orrery, &peer, &part, rounds).await,
    };
    let section = format!("{}\n{}", measured?, conditions(&orrery, &peer, rounds).await?);
    orrery.end().await?;
    println!("{section}");
    std::fs::write(&report, section).with_context(|| format!("write {}", report.display()))
}

fn setting(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; `cargo xtask bench` sets it"))
}

fn number(name: &str, fallback: usize) -> anyhow::Result<usize> {
    std::env::var(name).map_or(Ok(fallback), |text| text.parse().with_context(|| format!("{name} is no number")))
}

async fn measure(orrery: &Installation, peer: &std::path::Path, part: &str, rounds: usize) -> anyhow::Result<String> {
    match part.split_once('-') {
        Some(("services", size)) => {
            let services = size.parse().context("services-<n>")?;
            let mut text = String::new();
            for shape in Shape::of(services) {
                text.push_str(&Contest::of(orrery, peer, shape, rounds).await?.report());
            }
            Ok(text)
        }
        _ if part == "commands" => commands::one_after_another(orrery, rounds.saturating_mul(20)).await,
        _ if part == "backlog" => commands::backlog(orrery, rounds.saturating_mul(40)).await,
        _ if part == "planning" => commands::planning(orrery, rounds).await,
        _ => anyhow::bail!("there is no part {part:?}"),
    }
}

async fn measure_machines(orrery: &Installation, libvirt: &Libvirtd, part: &str, rounds: usize) -> anyhow::Result<String> {
    match part.strip_prefix("machines-") {
        Some("life") => machines::lives(orrery, rounds.saturating_mul(34)).await,
        Some(many) => machines::contests(orrery, libvirt, many.parse().context("machines-<n>")?, rounds).await,
        None => anyhow::bail!("there is no part {part:?}"),
    }
}

/// Under which conditions a part was measured, and what the services hold after it.
async fn conditions(orrery: &Installation, peer: &std::path::Path, rounds: usize) -> anyhow::Result<String> {
    let engine = orrery.engine.docker().version().await?.version.unwrap_or_default();
    let profile = if cfg!(debug_assertions) { "the development profile" } else { "the release profile" };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut held = Vec::new();
    for service in Service::ALL {
        held.push((service.name(), memory::resident(orrery.pid(service).context("a service does not run")?)?));
    }
    let all: u64 = held.iter().map(|(_, kib)| kib).sum();
    let each: Vec<String> = held.iter().map(|(name, kib)| format!("{name} {} MB", megabytes(*kib))).collect();
    Ok(format!(
        "{rounds} rounds; {} processors, Docker Engine {engine}, Docker Compose {}, Orrery built with {profile}. The load of the machine at the end: {} \
         (above the number of processors something else was working too).\nThe services hold {} MB afterwards ({}); aim: under 100: {}.\n",
        std::thread::available_parallelism()?,
        compose::version(peer),
        load.split_whitespace().next().unwrap_or("unknown"),
        megabytes(all),
        each.join(", "),
        figures::verdict(megabytes(all) < 100),
    ))
}

/// Kibibytes in megabytes.
fn megabytes(kib: u64) -> u64 {
    kib.saturating_mul(1024) / 1_000_000
}
