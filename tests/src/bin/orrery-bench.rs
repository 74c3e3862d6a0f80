//! What Orrery costs, in time and memory, beside Docker Compose doing the same: `cargo xtask bench` runs it.
//!
//! It measures from outside, as a person or a script would: from sending a request to having its answer. Runs of both
//! programs are interleaved, so that a slow minute of the machine is in both; what is reported is the median.

#![allow(clippy::print_stdout, clippy::print_stderr)] // A tool for a terminal.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use orrery_contracts::Bundle;
use orrery_tests::bundles::compose;
use orrery_tests::live::{Event, Live};
use orrery_tests::{Installation, Service};
use serde_json::{Value, json};

/// How many services the measured stack has.
const SERVICES: usize = 20;

/// What was measured.
struct Figures {
    first_apply: Pair,
    no_change: Pair,
    to_running: Vec<Duration>,
    to_done: Vec<Duration>,
    memory: Vec<(&'static str, u64)>,
}

/// The same work by both.
#[derive(Default)]
struct Pair {
    orrery: Vec<Duration>,
    compose: Vec<Duration>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let rounds = number("ORRERY_BENCH_ROUNDS", 5)?;
    let peer = std::env::var_os("ORRERY_BENCH_COMPOSE").map(PathBuf::from).context("ORRERY_BENCH_COMPOSE must name docker-compose")?;
    let orrery = Installation::start().await?;
    let figures = measure(&orrery, &Compose::new(peer)?, rounds).await;
    let report = report(&orrery, &figures?, rounds).await?;
    orrery.end().await?;
    println!("{report}");
    match std::env::var_os("ORRERY_BENCH_REPORT") {
        Some(path) => std::fs::write(&path, report).with_context(|| format!("write {}", PathBuf::from(path).display())),
        None => Ok(()),
    }
}

fn number(name: &str, fallback: usize) -> anyhow::Result<usize> {
    std::env::var(name).map_or(Ok(fallback), |text| text.parse().with_context(|| format!("{name} is no number")))
}

async fn measure(orrery: &Installation, peer: &Compose, rounds: usize) -> anyhow::Result<Figures> {
    let (mut first_apply, mut no_change) = (Pair::default(), Pair::default());
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let name = orrery.name("bench");
        orrery.api.create(&name, &stack()).await?;
        let theirs = orrery.name("peer");
        first_apply.orrery.push(timed(orrery.api.apply(&name, 1)).await?);
        first_apply.compose.push(peer.run(&theirs, &["up", "-d"])?);
        no_change.orrery.push(timed(orrery.api.apply(&name, 1)).await?);
        no_change.compose.push(peer.run(&theirs, &["up", "-d"])?);
        orrery.api.done(&format!("/stacks/{name}/delete"), json!({"volumes": true})).await?;
        peer.run(&theirs, &["down", "-v", "-t", "0"])?;
    }
    let (to_running, to_done) = nothing(orrery, rounds.saturating_mul(6)).await?;
    Ok(Figures { first_apply, no_change, to_running, to_done, memory: memory(orrery)? })
}

async fn timed<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<Duration> {
    let start = Instant::now();
    work.await?;
    Ok(start.elapsed())
}

/// A command that does nothing, watched live: how long until it is seen RUNNING, and DONE.
async fn nothing(orrery: &Installation, rounds: usize) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
    let name = orrery.name("idle");
    orrery.api.create(&name, &compose(services(1))).await?;
    orrery.api.apply(&name, 1).await?;
    let (mut running, mut done) = (Vec::new(), Vec::new());
    let mut live = Live::open(&orrery.api, "/events", None).await?;
    for _ in 0..rounds {
        let start = Instant::now();
        let command = orrery.api.write(&format!("/stacks/{name}/apply/1"), json!({})).await?;
        let is = |event: &Event, status: &str| {
            let text = |key: &str| event.data.get(key).and_then(Value::as_str);
            event.kind == "command" && text("id") == Some(command.id.as_str()) && text("status") == Some(status)
        };
        let mut seen_running = None;
        live.until(Duration::from_secs(30), |event| {
            // The read model may show the end at once, when both transitions came in one batch.
            if seen_running.is_none() && (is(event, "RUNNING") || is(event, "DONE")) {
                seen_running = Some(start.elapsed());
            }
            is(event, "DONE")
        })
        .await?;
        done.push(start.elapsed());
        running.extend(seen_running);
    }
    Ok((running, done))
}

/// Resident memory of each process, in bytes, after the work above.
fn memory(orrery: &Installation) -> anyhow::Result<Vec<(&'static str, u64)>> {
    let mut figures = Vec::new();
    for service in Service::ALL {
        figures.push((service.name(), resident(orrery.pid(service).context("a service does not run")?)?));
    }
    figures.push(("nats-server", resident(orrery.broker.pid().context("the broker does not run")?)?));
    Ok(figures)
}

fn resident(pid: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes.saturating_mul(1024))
}

fn stack() -> Bundle {
    compose(services(SERVICES))
}

fn services(count: usize) -> String {
    let service =
        |n: usize| format!("  s{n:02}:\n    image: orrery/busybox:test\n    command: [\"sleep\", \"100000\"]\n    stop_signal: SIGKILL\n");
    format!("services:\n{}", (1..=count).map(service).collect::<String>())
}

/// The peer: the same definition, the same engine.
struct Compose {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Compose {
    fn new(program: PathBuf) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("compose.yaml"), services(SERVICES))?;
        Ok(Self { program, folder })
    }

    fn run(&self, project: &str, arguments: &[&str]) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let output = Command::new(&self.program)
            .args(["--progress", "quiet", "-p", project])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run {}", self.program.display()))?;
        ensure!(output.status.success(), "compose {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(start.elapsed())
    }

    fn version(program: &std::ffi::OsStr) -> String {
        let output = Command::new(program).args(["version", "--short"]).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    }
}

async fn report(orrery: &Installation, figures: &Figures, rounds: usize) -> anyhow::Result<String> {
    let engine = orrery.engine.docker().version().await?.version.unwrap_or_default();
    let peer = Compose::version(&std::env::var_os("ORRERY_BENCH_COMPOSE").unwrap_or_default());
    let processors = std::thread::available_parallelism()?;
    let profile = if cfg!(debug_assertions) { "the development profile" } else { "the release profile" };
    let mut text = format!(
        "# What Orrery costs\n\nWritten by `cargo xtask bench`. {processors} processors, Docker Engine {engine}, Docker Compose {peer}, Orrery built with \
         {profile}.\nThe median of {rounds} interleaved runs, and in brackets the quickest and the slowest.\n\n\
         | {SERVICES} services of one process each | Orrery | Compose |\n| --- | --- | --- |\n"
    );
    for (what, pair) in [("first apply", &figures.first_apply), ("nothing has changed", &figures.no_change)] {
        text.push_str(&format!("| {what} | {} | {} |\n", spread(&pair.orrery), spread(&pair.compose)));
    }
    text.push_str(
        "\nOrrery's time is from sending `POST .../apply` to the answer that says DONE: through the queue, every step written ahead, and into the \
         read model.\nCompose's is that of `docker compose up -d`.\n\n| a command that does nothing | |\n| --- | --- |\n",
    );
    text.push_str(&format!("| from POST until it is seen RUNNING | {} |\n", spread(&figures.to_running)));
    text.push_str(&format!("| from POST until it is seen DONE | {} |\n", spread(&figures.to_done)));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    text.push_str(&format!(
        "\nThe load of the machine at the end: {load}. Above the number of processors, something else was working too.\n"
    ));
    text.push_str("\n| resident memory afterwards | |\n| --- | --- |\n");
    for (process, bytes) in &figures.memory {
        text.push_str(&format!("| {process} | {:.1} MiB |\n", mebibytes(*bytes)));
    }
    Ok(text)
}

#[allow(clippy::cast_precision_loss)] // Memory in a report: a digit behind the point is enough.
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

fn spread(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let (first, last) = (sorted.first().copied().unwrap_or_default(), sorted.last().copied().unwrap_or_default());
    format!("{} ({} to {})", milliseconds(middle), milliseconds(first), milliseconds(last))
}

fn milliseconds(time: Duration) -> String {
    if time < Duration::from_millis(100) { format!("{:.1} ms", time.as_secs_f64() * 1000.0) } else { format!("{} ms", time.as_millis()) }
}
