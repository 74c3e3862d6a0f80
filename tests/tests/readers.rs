//! Many who listen to what changes, half of them so slowly that they do not read at all: the api's memory stays bounded, the
//! slow are dropped, and whoever comes back misses nothing.
//!
//! A bounded sample by default; `ORRERY_SOAK_READERS` says how many listen, `ORRERY_SOAK_CHANGES` how many stacks are made
//! meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use orrery_tests::bundles::compose;
use orrery_tests::history::{History, Watch};
use orrery_tests::live::Live;
use orrery_tests::memory::resident;
use orrery_tests::{Installation, Service, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// What the api may hold beyond what it held before, in KiB: for each reader what waits to be written to him, and for all of
/// them together what was told lately.
const EACH: u64 = 128;
const TOGETHER: u64 = 64 * 1024;

fn setting(name: &str, sample: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(sample)
}

/// A reader that has asked and does not read; its own buffer is as small as the kernel makes it.
async fn deaf(orrery: &Installation) -> anyhow::Result<TcpStream> {
    let address = orrery.api.origin().trim_start_matches("http://").parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(address).await?;
    let request = orrery.api.request(reqwest::Method::GET, "/events").build()?;
    let token = request.headers().get("authorization").context("no token")?.to_str()?;
    let head = format!("GET /api/v1/events HTTP/1.1\r\nHost: orrery\r\nAuthorization: {token}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// The ports of our side whose connection to this one is open, by the kernel's table (`proc_pid_net(5)`, state 01).
fn connected_to(port: u16) -> anyhow::Result<BTreeSet<u16>> {
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let port_of = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let connection = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ours = port_of(fields.get(2)?)?;
        (port_of(fields.get(1)?)? == port && *fields.get(3)? == "01").then_some(ours)
    };
    Ok(table.lines().filter_map(connection).collect())
}

/// Reads what was on its way to a deaf one when he was dropped; the commands that he was told of as done, and the last id that he
/// saw.
async fn hears_again(mut stream: TcpStream) -> anyhow::Result<(BTreeSet<u64>, String)> {
    let mut bytes = Vec::new();
    // However it ends.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.context("he was never dropped")?;
    let text = String::from_utf8_lossy(&bytes);
    let (mut done, mut last) = (BTreeSet::new(), None);
    // What was cut off in the middle was not heard.
    let heard = text.rfind("\n\n").map_or("", |end| text.get(..end).unwrap_or_default());
    for block in heard.split("\n\n") {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        done.extend(field("data:").and_then(done_command));
        last = field("id:").map(str::to_owned).or(last);
    }
    Ok((done, last.context("he never heard an id")?))
}

fn done_command(data: &str) -> Option<u64> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    (data["status"] == "DONE").then(|| data["seq"].as_u64())?
}

/// Listens until so many commands were told as done; which.
async fn hears(mut live: Live, many: usize) -> anyhow::Result<BTreeSet<u64>> {
    let mut heard = BTreeSet::new();
    let whole = live.until(PATIENCE, |event| {
        if event.kind == "command" && event.data["status"] == "DONE" {
            heard.extend(event.data["seq"].as_u64());
        }
        heard.len() >= many
    });
    whole.await?;
    Ok(heard)
}

/// Listens until every one of these commands was told as done.
async fn listens(live: &mut Live, wanted: &BTreeSet<u64>, mut heard: BTreeSet<u64>) -> anyhow::Result<()> {
    if wanted.is_subset(&heard) {
        return Ok(());
    }
    let whole = live.until(PATIENCE, |event| {
        if event.kind == "command" && event.data["status"] == "DONE" {
            heard.extend(event.data["seq"].as_u64());
        }
        wanted.is_subset(&heard)
    });
    whole.await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_half_of_them_deaf_cost_little_and_miss_nothing() -> anyhow::Result<()> {
    let (many, changes) = (setting("ORRERY_SOAK_READERS", 40), setting("ORRERY_SOAK_CHANGES", 120));
    let orrery = Installation::start().await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let api = orrery.pid(Service::Api).context("the api does not run")?;
    let before = resident(api)?;
    let mut listeners = Vec::new();
    let mut deaf_ones = Vec::new();
    for _ in 0..many / 2 {
        listeners.push(tokio::spawn(hears(Live::open(&orrery.api, "/events", None).await?, changes)));
        deaf_ones.push(deaf(&orrery).await?);
    }
    let begun = Instant::now();
    let name = orrery.name("read");
    // Long texts, so that what waits for a deaf reader is more than the buffers in between hold.
    let comment = "x".repeat(4000);
    let mut wanted = BTreeSet::new();
    for n in 0..changes {
        let bundle = compose("services: {web: {image: nothing}}\n");
        let made = orrery.api.done("/stacks", json!({"name": format!("{name}-{n}"), "bundle": bundle, "comment": comment})).await?;
        wanted.insert(made.seq);
    }
    let most = resident(api)?;
    println!(
        "readers: {many} listened, half of them deaf, to {changes} changes in {:.1} s; the api held {} MiB before, {} MiB then",
        begun.elapsed().as_secs_f64(),
        before / 1024,
        most / 1024
    );
    let bound = before + TOGETHER + EACH * u64::try_from(many)?;
    ensure!(most < bound, "the api holds {most} KiB, and held {before} KiB before");

    for listener in listeners {
        ensure!(listener.await?? == wanted, "one who listened heard of other commands");
    }
    println!("readers: who listened had heard everything after {:.1} s", begun.elapsed().as_secs_f64());

    let port = deaf_ones.first().context("nobody is deaf")?.peer_addr()?.port();
    let ours = deaf_ones.iter().map(|stream| Ok(stream.local_addr()?.port())).collect::<anyhow::Result<BTreeSet<u16>>>()?;
    let dropped = || async { Ok(connected_to(port)?.is_disjoint(&ours).then_some(())) };
    eventually("the deaf to be dropped", PATIENCE, dropped).await?;
    println!("readers: the deaf were dropped after {:.1} s", begun.elapsed().as_secs_f64());
    for stream in deaf_ones {
        let (heard, last) = hears_again(stream).await?;
        ensure!(!wanted.is_subset(&heard), "he heard everything: what waited for him was less than lies between");
        let mut live = Live::open(&orrery.api, "/events", Some(&last)).await?;
        listens(&mut live, &wanted, heard).await?;
    }
    println!("readers: they came back and missed nothing, after {:.1} s", begun.elapsed().as_secs_f64());
    History::of(&orrery, &watch).await?.audited("readers")?;
    orrery.end().await
}
