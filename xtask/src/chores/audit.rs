//! `cargo xtask audit <file>`: holds the history that a test has written to a file against the promises.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::shell;
use crate::tools::cargo;

/// Hold the history in a file against the promises.
#[derive(Args)]
pub(crate) struct Audit {
    /// The file, as a test has written it to the folder that ORRERY_HISTORY_DIR names.
    file: PathBuf,
}

impl Audit {
    pub(crate) fn run(self) -> Result<()> {
        let program = cargo::build_services()?.join("orrery-audit");
        shell::loud(shell::command(program).arg(self.file))
    }
}
