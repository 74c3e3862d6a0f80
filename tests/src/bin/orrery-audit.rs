//! Holds a history against the promises: the one in a file, or what the broker of an installation that runs has stored, by its data
//! folder. `cargo xtask audit` runs it.

#![allow(clippy::print_stdout)] // A tool for a terminal.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use async_nats::jetstream;
use orrery_nats::settings::Settings;
use orrery_nats::signin::{Credentials, connect};
use orrery_nats::{Layout, User};
use orrery_tests::history::History;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).map(PathBuf::from).context("of what? orrery-audit <history.jsonl or data folder>")?;
    let history = if path.is_dir() { stored(&path).await? } else { History::read(&path)? };
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

/// What the broker of this data folder has stored.
async fn stored(data: &Path) -> anyhow::Result<History> {
    let layout = Layout::new(data);
    let settings = Settings::load(&layout)?.with_context(|| format!("{} has no broker", data.display()))?;
    let password = layout.password(User::Projector);
    let password = std::fs::read_to_string(&password).with_context(|| format!("read {}", password.display()))?;
    let client = connect(&Credentials::new(&settings.url(), User::Projector.name(), password.trim())).await?;
    History::stored(&jetstream::new(client)).await
}
