//! The broker's side: `orrery-nats` makes its configuration, users and publishers; here they are handed to whom they concern.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::handed::{Shelf, read};
use crate::members::Member;

/// The broker's name in the network of the containers, and its port.
pub(crate) const HOST: &str = "nats";
pub(crate) const PORT: &str = "4222";

/// Where the broker says how it is, on its own loopback address.
pub(crate) const MONITOR_PORT: u16 = 8222;

/// Where the broker's own volume is in its container.
const STORE: &str = "/var/lib/orrery/nats";

/// Writes the configuration, with passwords and the first publisher where they are missing.
pub(crate) fn render(data: &Path, shelf: &Shelf) -> Result<()> {
    let mut command = tool(data);
    command.args(["render", "--host", "0.0.0.0", "--known-as", HOST, "--port", PORT, "--store", STORE]);
    command.args(["--monitor-port", &MONITOR_PORT.to_string()]);
    command.arg("--tls-cert").arg(shelf.place(Member::Nats, "broker.pem"));
    command.arg("--tls-key").arg(shelf.place(Member::Nats, "broker.key"));
    run(&mut command).map(drop)
}

/// The broker gets its configuration, which holds hashes only, and each service its password.
pub(crate) fn hand_out(data: &Path, shelf: &Shelf) -> Result<()> {
    shelf.put(Member::Nats, "nats-server.conf", &read(&data.join("nats/nats-server.conf"))?)?;
    for member in Member::SERVICES {
        let password = data.join("nats/users").join(format!("{}.password", member.name()));
        shelf.put(member, "nats.password", &read(&password)?)?;
    }
    Ok(())
}

/// Makes a publisher. He is there when the broker has read the configuration that was handed to it, so it is told twice.
pub(crate) fn add_publisher(data: &Path, shelf: &Shelf, name: &str) -> Result<()> {
    run(tool(data).args(["add-publisher", name]))?;
    hand_out(data, shelf)?;
    print!("{}", run(tool(data).args(["add-publisher", name]))?);
    Ok(())
}

/// Prints a publisher's credentials.
pub(crate) fn show_publisher(data: &Path, name: &str) -> Result<()> {
    ensure!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{name:?} is no publisher's name");
    let path = data.join("publishers").join(format!("{name}.env"));
    let text = std::fs::read_to_string(&path).with_context(|| format!("there is no publisher {name}: `add-publisher {name}` makes one"))?;
    print!("{text}");
    Ok(())
}

fn tool(data: &Path) -> Command {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("orrery-nats")));
    let mut command = Command::new(beside.unwrap_or_else(|| PathBuf::from("orrery-nats")));
    command.arg("--data-dir").arg(data).env("ORRERY_NATS_CA", data.join("tls/authority.pem"));
    command
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().context("orrery-nats cannot be started")?;
    if !output.status.success() {
        bail!("orrery-nats ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
