//! BuildKit's client, which builds our images: the plug-in that Docker's client has, or Debian testing's unpacked into the cache.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::archive;
use crate::folders;
use crate::say;
use crate::shell;

const VERSION: &str = "0.29";

/// `docker build`, by BuildKit.
pub(crate) fn build() -> Result<Command> {
    if shell::succeeds(shell::command("docker").args(["buildx", "version"])) {
        let mut command = shell::command("docker");
        command.args(["buildx", "build", "--load"]);
        return Ok(command);
    }
    // It is a CLI plug-in that runs by itself.
    let mut command = shell::command(find_or_install()?);
    command.args(["build", "--load"]);
    Ok(command)
}

fn find_or_install() -> Result<PathBuf> {
    let root = folders::cache()?.join("docker-buildx").join(VERSION);
    let program = root.join("usr/libexec/docker/cli-plugins/docker-buildx");
    if !shell::is_program(&program) {
        let began = Instant::now();
        archive::unpack("testing", "docker-buildx", VERSION, &root)?;
        say::done("buildx", VERSION, began);
    }
    Ok(program)
}
