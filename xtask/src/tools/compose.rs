//! Docker Compose 2.40, the peer that the benchmark compares with: the plug-in that is installed, or Debian testing's
//! unpacked into the cache.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use super::archive;
use crate::folders;
use crate::say;
use crate::shell;

const VERSION: &str = "2.40";

/// The program; it is a CLI plug-in that runs by itself.
pub(crate) fn find_or_install() -> Result<PathBuf> {
    let root = folders::cache()?.join("docker-compose").join(VERSION);
    let program = root.join("usr/libexec/docker/cli-plugins/docker-compose");
    if !shell::is_program(&program) {
        let began = Instant::now();
        archive::unpack("testing", "docker-compose", VERSION, &root)?;
        say::done("compose", VERSION, began);
    }
    Ok(program)
}
