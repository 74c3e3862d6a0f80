//! The private broker: `orrery-nats` writes its configuration and makes its streams, this starts it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::record::Record;
use crate::folders::Data;
use crate::processes::{self, Identity};
use crate::shell;

/// What `orrery-nats render` answers.
#[derive(Deserialize)]
struct Rendered {
    config: std::path::PathBuf,
    url: String,
}

/// Writes the configuration, and starts the broker with it.
pub(crate) fn start(data: &Data, tool: &Path, server: &Path) -> Result<(Identity, String)> {
    let answer = shell::quiet(shell::command(tool).arg("--data-dir").arg(data.root()).arg("render"))
        .context("the broker's configuration could not be written")?;
    let Rendered { config, url } = serde_json::from_str(&answer).context("orrery-nats answered something strange")?;
    let mut command = shell::command(server);
    command.arg("-c").arg(config);
    let identity = processes::start_detached(&command, &data.log("nats"))?;
    Ok((identity, url))
}

/// Makes the streams and buckets, or checks them.
pub(crate) fn provision(data: &Data, record: &Record, tool: &Path) -> Result<()> {
    let mut command = shell::command(tool);
    command.arg("--data-dir").arg(data.root()).arg("provision");
    command.envs(&record.settings);
    shell::quiet(&mut command).map(drop).context("the broker's streams are not as they should be")
}
