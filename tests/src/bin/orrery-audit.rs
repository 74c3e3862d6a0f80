//! Holds the history in a file against the promises: `cargo xtask audit <file>` runs it.

#![allow(clippy::print_stdout)] // A tool for a terminal.

use std::path::PathBuf;

use anyhow::Context as _;
use orrery_tests::history::History;

fn main() -> anyhow::Result<()> {
    let file = std::env::args_os().nth(1).map(PathBuf::from).context("which file? orrery-audit <history.jsonl>")?;
    let history = History::read(&file)?;
    history.check()?;
    println!(
        "every promise holds over {} commands, {} events, {} words of the engine and {} answers of the api",
        history.commands.len(),
        history.events.len(),
        history.engine.len(),
        history.told.len()
    );
    Ok(())
}
