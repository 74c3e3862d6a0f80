//! The clock of the services jumps by a day, forward and back, in the middle of an apply: nothing depends on it but what is shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use orrery_contracts::Status;
use orrery_tests::Installation;
use orrery_tests::bundles::compose;
use orrery_tests::history::{History, Watch};
use orrery_tests::live::Live;
use orrery_tests::wait::until_equal;
use serde_json::json;

use crate::database_away::the_database_has_every_message;

/// The library that tells another time, where Debian's package puts it.
fn library() -> anyhow::Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib")?.filter_map(Result::ok).map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let found = folders.into_iter().find(|path| path.is_file());
    found.context("there is no libfaketime: install the package faketime; `cargo xtask test` does")
}

fn jump(clock: &Path, by: &str) -> anyhow::Result<()> {
    // Never seen half written.
    let next = clock.with_extension("next");
    std::fs::write(&next, by)?;
    std::fs::rename(&next, clock).context("set the clock")
}

/// Three services, each of which waits until the one before is healthy.
fn slowly(edition: usize) -> orrery_contracts::Bundle {
    let service = |name: &str, after: &str| {
        format!(
            "  {name}:\n    image: orrery/busybox:test\n    command: [\"sleep\", \"100000\"]\n    stop_signal: SIGKILL\n    environment: {{EDITION: \"{edition}\"}}\n    \
             healthcheck: {{test: [\"CMD\", \"true\"], interval: 400ms, timeout: 5s, retries: 20}}\n{after}"
        )
    };
    let after = |name: &str| format!("    depends_on: {{{name}: {{condition: service_healthy}}}}\n");
    compose(format!("services:\n{}{}{}", service("one", ""), service("two", &after("one")), service("three", &after("two"))))
}

#[tokio::test]
async fn a_clock_that_jumps_by_a_day_changes_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let clock = folder.path().join("clock");
    jump(&clock, "+0")?;
    let (library, file) = (library()?.display().to_string(), clock.display().to_string());
    let settings = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        // The clock that only ever runs is nobody's to set.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let orrery = Installation::start_with(&settings).await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    let name = orrery.name("clock");
    orrery.api.create(&name, &slowly(1)).await?;
    let mut live = Live::open(&orrery.api, "/events", None).await?;
    for (version, by) in [(1, "+1d"), (2, "-1d"), (3, "+0")] {
        if version > 1 {
            orrery.api.save(&name, &slowly(version)).await?;
        }
        let apply = orrery.api.write(&format!("/stacks/{name}/apply/{version}?deadline_seconds=300"), json!({})).await?;
        until_equal("the apply to run", Duration::from_secs(60), &Status::Running, || async {
            let command: orrery_contracts::rest::Command = orrery.api.read(&format!("/commands/{}", apply.id)).await?;
            Ok(command.status)
        })
        .await?;
        jump(&clock, by)?;
        let done = orrery.api.must_be_done(&apply.id).await?;
        let took = done.ended_at.zip(done.started_at).map(|(ended, started)| ended.inner() - started.inner());
        let jumped = took.is_some_and(|took| took.abs() > time::Duration::hours(12));
        ensure!(jumped, "the clock of the executor has not jumped: the apply seems to have taken {took:?}");
        ensure!(orrery.api.plan(&name, u32::try_from(version)?).await?.empty, "a second apply would not be empty");
        live.until(Duration::from_secs(60), |event| {
            event.kind == "command" && event.data["id"] == json!(apply.id) && event.data["status"] == "DONE"
        })
        .await?;
    }
    the_database_has_every_message(&orrery).await?;
    History::of(&orrery, &watch).await?.audited("clock")?;
    orrery.end().await
}
