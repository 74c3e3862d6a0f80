//! An installation that lives long: applies without end, and no process that grows with them.
//!
//! A bounded sample by default; `ORRERY_SOAK_APPLIES` says how many applies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use orrery_tests::bundles::compose;
use orrery_tests::history::{History, Watch};
use orrery_tests::memory::resident;
use orrery_tests::{Installation, Service};
use serde_json::json;

/// How much a process may have grown between the first fifth of the applies and the last, in KiB.
const GROWTH: u64 = 48 * 1024;

fn applies() -> u32 {
    std::env::var("ORRERY_SOAK_APPLIES").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

fn held(orrery: &Installation) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let services = Service::ALL.map(|service| (service.name(), orrery.pid(service)));
    let all = services.into_iter().chain([("nats-server", orrery.broker.pid())]);
    all.map(|(name, pid)| Ok((name, resident(pid.with_context(|| format!("{name} does not run"))?)?))).collect()
}

#[tokio::test]
async fn applies_without_end_let_no_process_grow() -> anyhow::Result<()> {
    let many = applies();
    let orrery = Installation::start().await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let name = orrery.name("long");
    let version = |n: u32| {
        compose(format!(
            "services:\n  web:\n    image: orrery/busybox:test\n    command: [sleep, '{}']\n    stop_signal: SIGKILL\n",
            100_000 + n
        ))
    };
    orrery.api.create(&name, &version(0)).await?;
    orrery.api.save(&name, &version(1)).await?;
    let begun = Instant::now();
    let mut early = BTreeMap::new();
    for n in 0..many {
        // Nine of ten find nothing to do; each tenth makes a container anew.
        let apply = orrery.api.write(&format!("/stacks/{name}/apply/{}", 1 + (n / 10) % 2), json!({})).await?;
        orrery.api.must_be_done(&apply.id).await?;
        if n == many / 5 {
            early = held(&orrery)?;
        }
    }
    let late = held(&orrery)?;
    println!("applies: {many} applies in {:.1} s", begun.elapsed().as_secs_f64());
    for (process, late) in late {
        let early = early.get(process).copied().unwrap_or_default();
        println!("applies: {process} held {} MiB after the first fifth, {} MiB at the end", early / 1024, late / 1024);
        ensure!(late < early + GROWTH, "{process} grew from {early} KiB to {late} KiB");
    }
    History::of(&orrery, &watch).await?.audited("long-life")?;
    orrery.end().await
}
