//! `cargo xtask audit <file>`: holds a history against the promises: one that a test has written to a file, or what the broker of an
//! installation that runs has stored.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::shell;
use crate::tools::cargo;

/// Hold the history in a file, or of an installation that runs, against the promises.
#[derive(Args)]
pub(crate) struct Audit {
    /// The file, as a test has written it to the folder that ORRERY_HISTORY_DIR names; or the data folder of an installation.
    file: PathBuf,
}

impl Audit {
    pub(crate) fn run(self) -> Result<()> {
        let program = cargo::build_services()?.join("orrery-audit");
        shell::loud(shell::command(program).arg(self.file))
    }
}
