//! The private broker: `orrery-nats` writes its configuration and makes its streams, this starts it.

use std::net::TcpStream;
use std::path::Path;
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
    config: std::path::PathBuf,
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
        if listens(&started.0, &started.1) {
            break;
        }
        say::step("nats", "did not stay; its port may have been taken this moment, so again");
        started = start_once(data, tool, server)?;
    }
    Ok(started)
}

/// Whether this very process stays, and its port answers.
pub(super) fn listens(broker: &Identity, url: &str) -> bool {
    let address = url.rsplit("://").next().unwrap_or(url);
    let deadline = Instant::now() + PATIENCE;
    while broker.is_alive() && Instant::now() < deadline {
        let answers = TcpStream::connect(address).is_ok();
        std::thread::sleep(Duration::from_millis(30));
        if answers {
            return broker.is_alive();
        }
    }
    broker.is_alive()
}

fn start_once(data: &Data, tool: &Path, server: &Path) -> Result<(Identity, String)> {
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
