//! The peer: the same definition, the same engine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

pub(crate) struct Compose {
    program: PathBuf,
    folder: tempfile::TempDir,
    project: String,
}

impl Compose {
    pub(crate) fn new(program: &Path, project: &str) -> anyhow::Result<Self> {
        Ok(Self { program: program.to_owned(), folder: tempfile::tempdir()?, project: project.to_owned() })
    }

    /// `docker compose up -d` of a definition.
    pub(crate) fn up(&self, definition: &str) -> anyhow::Result<Duration> {
        std::fs::write(self.folder.path().join("compose.yaml"), definition)?;
        self.run(&["up", "-d"])
    }

    pub(crate) fn down(&self) -> anyhow::Result<()> {
        self.run(&["down", "-v", "-t", "0"]).map(drop)
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let output = Command::new(&self.program)
            .args(["--progress", "quiet", "-p", &self.project])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run {}", self.program.display()))?;
        ensure!(output.status.success(), "compose {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(start.elapsed())
    }
}

pub(crate) fn version(program: &Path) -> String {
    let output = Command::new(program).args(["version", "--short"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
