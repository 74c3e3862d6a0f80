//! `cargo xtask down`: stops the processes of this data folder, in the reverse order of their start, each with a deadline.
//!
//! It never touches an engine or a container, and nothing that is not in the record.

use std::time::Instant;

use anyhow::Result;

use super::lock::Lock;
use super::members::Member;
use super::record::Record;
use crate::folders::Data;
use crate::say;

pub(crate) fn run() -> Result<()> {
    let data = Data::chosen()?;
    if !data.exists() {
        say::step("down", &format!("nothing was ever started in {}", data.root().display()));
        return Ok(());
    }
    let _lock = Lock::hold(&data)?;
    stop_all(&data)
}

/// Stops everything that the record names.
pub(crate) fn stop_all(data: &Data) -> Result<()> {
    let mut record = Record::load(data)?;
    if record.processes.is_empty() {
        say::step("down", "nothing runs");
        return Ok(());
    }
    let began = Instant::now();
    // The services do not need each other to end, so they end side by side.
    std::thread::scope(|scope| {
        let ends: Vec<_> = Member::SERVICES
            .into_iter()
            .map(|member| {
                let record = &record;
                scope.spawn(move || end(record, member))
            })
            .collect();
        ends.into_iter().try_for_each(|end| end.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked")))
    })?;
    for member in [Member::Nats, Member::Postgres] {
        end(&record, member)?;
    }
    for member in Member::ALL {
        record.forget(member);
    }
    record.save(data)?;
    say::done("down", "everything is stopped", began);
    Ok(())
}

/// Stops one, if it runs.
pub(crate) fn end(record: &Record, member: Member) -> Result<()> {
    let Some(started) = record.of(member) else {
        return Ok(());
    };
    if !started.identity.is_alive() {
        return Ok(());
    }
    let began = Instant::now();
    let forced = started.identity.end(member.gentle(), member.patience())?;
    let how = if forced { "did not end in time, and was killed" } else { "stopped" };
    say::done(member.name(), how, began);
    Ok(())
}
