//! The private broker: `orrery-nats` writes its configuration and makes its streams, this starts it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::record::Record;
use crate::folders::Data;
use crate::processes::{self, Identity};
use crate::say;
use crate::shell;

/// What `orrery-nats render` answers.
#[derive(Deserialize)]
struct Rendered {
    config: PathBuf,
    url: String,
}

/// How often another port is tried, when somebody takes ours between the look and the start.
const TRIES: u32 = 3;

/// How long a broker may take until it listens or gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes the configuration, and starts the broker with it; on another port when ours was taken in between.
pub(crate) fn start(data: &Data, tool: &Path, server: &Path) -> Result<(Identity, String)> {
    let mut started = start_once(data, tool, server)?;
    for _ in 1..TRIES {
        if listens(data, server, &started.0) {
            break;
        }
        say::step("nats", "did not stay; its port may have been taken this moment, so again");
        started = start_once(data, tool, server)?;
    }
    Ok(started)
}

fn start_once(data: &Data, tool: &Path, server: &Path) -> Result<(Identity, String)> {
    let answer = shell::quiet(shell::command(tool).arg("--data-dir").arg(data.root()).arg("render"))
        .context("the broker's configuration could not be written")?;
    let Rendered { config, url } = serde_json::from_str(&answer).context("orrery-nats answered something strange")?;
    Ok((run(data, server, &config, "nats")?, url))
}

/// Starts a broker that says when it listens.
pub(super) fn run(data: &Data, server: &Path, config: &Path, log: &str) -> Result<Identity> {
    let folder = ports_folder(data);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut command = shell::command(server);
    command.arg("-c").arg(config).arg("--ports_file_dir").arg(&folder);
    processes::start_detached(&command, &data.log(log))
}

/// Waits until this very process listens, and says whether it does. It writes a file when it has its ports
/// (`ports_file_dir` of nats-server); that something answers at the address proves nothing, it may be another broker.
pub(super) fn listens(data: &Data, server: &Path, broker: &Identity) -> bool {
    let name = server.file_name().unwrap_or_default().to_string_lossy();
    let file = ports_folder(data).join(format!("{name}_{}.ports", broker.pid));
    let deadline = Instant::now() + PATIENCE;
    while broker.is_alive() && Instant::now() < deadline {
        if file.exists() {
            // Only this once: one that is killed leaves it behind.
            let _ = std::fs::remove_file(&file);
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    broker.is_alive()
}

fn ports_folder(data: &Data) -> PathBuf {
    data.file("nats/ports")
}

/// Makes the streams and buckets, or checks them.
pub(crate) fn provision(data: &Data, record: &Record, tool: &Path) -> Result<()> {
    let mut command = shell::command(tool);
    command.arg("--data-dir").arg(data.root()).arg("provision");
    command.envs(&record.settings);
    shell::quiet(&mut command).map(drop).context("the broker's streams are not as they should be")
}
