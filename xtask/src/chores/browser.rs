//! The page in a real Chromium, in front of an installation of its own in a folder of its own, with a libvirtd of its own: its
//! tests, by Node's test runner, and its pictures.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use orrery_test_libvirt::Libvirtd;

use super::test::{Tally, tallied};
use crate::folders::{self, Data};
use crate::free_port::free_port;
use crate::shell;
use crate::tools::{browser, cargo, libvirt, npm};

/// Runs the tests of the page.
pub(crate) fn run() -> Result<Tally> {
    Installation::with(|installation| tallied(installation.npm("test")?.args(["run", "--silent", "test"]), node_tally))
}

/// An installation that is there for a browser, and goes again.
pub(super) struct Installation {
    data: Data,
    listen: String,
    chromium: PathBuf,
    libvirt: Libvirtd,
}

/// Tells a program where the libvirtd is.
fn told<'a>(libvirt: &Libvirtd, command: &'a mut Command) -> &'a mut Command {
    command.env("ORRERY_LIBVIRT_URI", libvirt.vm()).env("ORRERY_LIBVIRT_LXC_URI", libvirt.container())
}

impl Installation {
    /// Brings one up, from what was built before, has it used, and takes it down.
    pub(super) fn with<T>(used: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        npm::install(&scripts())?;
        let chromium = browser::find_or_install()?;
        let folder = tempfile::Builder::new().prefix("orrery-browser-").tempdir_in("/var/tmp")?;
        let listen = format!("127.0.0.1:{}", free_port());
        libvirt::find_or_install()?;
        let libvirt = Libvirtd::start()?.warmed()?;
        let installation = Self { data: Data::at(folder.path()), listen, chromium, libvirt };
        installation.xtask(&["up", "--detach", "--no-build"])?;
        let outcome = used(&installation);
        installation.xtask(&["down"])?;
        outcome
    }

    /// npm in the folder of the browser's scripts, told where the installation is and how to come in.
    pub(super) fn npm(&self, purpose: &str) -> Result<Command> {
        let secret = |name: &str| {
            folders::read_trimmed(&self.data.file(name)).with_context(|| format!("{name} is not there, and the {purpose} needs it"))
        };
        let mut command = Command::new("npm");
        command
            .current_dir(scripts())
            .env("ORRERY_URL", format!("http://{}", self.listen))
            .env("ORRERY_DATA_DIR", self.data.root())
            .env("ORRERY_USER", "admin")
            .env("ORRERY_PASSWORD", secret("admin.password")?)
            .env("ORRERY_TOKEN", secret("admin.token")?)
            .env("ORRERY_CHROMIUM", &self.chromium)
            .env("ORRERY_XTASK", program());
        told(&self.libvirt, &mut command);
        Ok(command)
    }

    fn xtask(&self, arguments: &[&str]) -> Result<()> {
        let mut command = shell::command(program());
        command.args(arguments).env("ORRERY_DATA_DIR", self.data.root()).env("ORRERY_LISTEN", &self.listen);
        shell::loud(told(&self.libvirt, &mut command))
    }
}

fn scripts() -> PathBuf {
    folders::repository().join("tests/browser")
}

/// This program as it was built last: the file that this process was started from may have been replaced since.
fn program() -> PathBuf {
    cargo::built_programs().join("xtask")
}

/// The lines in which Node sums up: `ℹ pass 12`, `ℹ fail 0` (or `# pass 12`).
fn node_tally(line: &str) -> Option<Tally> {
    let mut words = line.trim_start_matches(['ℹ', '#', ' ']).split(' ');
    let (word, number) = (words.next()?, words.next()?);
    let number: u64 = number.trim().parse().ok()?;
    if !line.starts_with(['ℹ', '#']) || words.next().is_some() {
        return None;
    }
    match word {
        "pass" => Some(Tally { passed: number, failed: 0 }),
        "fail" | "cancelled" => Some(Tally { passed: 0, failed: number }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_node_is_understood() {
        assert_eq!(node_tally("ℹ pass 12"), Some(Tally { passed: 12, failed: 0 }));
        assert_eq!(node_tally("# fail 2"), Some(Tally { passed: 0, failed: 2 }));
        assert_eq!(node_tally("ℹ tests 14"), None);
        assert_eq!(node_tally("pass 3 of the exam"), None);
    }
}
