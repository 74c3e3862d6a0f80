//! The tests of the page: an installation of its own in a folder of its own, a real Chromium, and Node's test runner.

use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context, Result};

use super::test::{Tally, tallied};
use crate::folders::{self, Data};
use crate::shell;
use crate::tools::{browser, npm};

pub(crate) fn run() -> Result<Tally> {
    let tests = folders::repository().join("tests/browser");
    npm::install(&tests)?;
    let chromium = browser::find_or_install()?;
    let folder = tempfile::Builder::new().prefix("orrery-browser-").tempdir_in("/var/tmp")?;
    let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let data = Data::at(folder.path());
    xtask(&data, &listen, &["up", "--detach", "--no-build"])?;
    let ran = with_installation(&data, &listen, &tests, &chromium);
    xtask(&data, &listen, &["down"])?;
    ran
}

fn with_installation(data: &Data, listen: &str, tests: &std::path::Path, chromium: &std::path::Path) -> Result<Tally> {
    let secret = |name: &str| folders::read_trimmed(&data.file(name)).with_context(|| format!("{name} is not there"));
    let mut command = Command::new("npm");
    command
        .args(["run", "--silent", "test"])
        .current_dir(tests)
        .env("ORRERY_URL", format!("http://{listen}"))
        .env("ORRERY_DATA_DIR", data.root())
        .env("ORRERY_USER", "admin")
        .env("ORRERY_PASSWORD", secret("admin.password")?)
        .env("ORRERY_TOKEN", secret("admin.token")?)
        .env("ORRERY_CHROMIUM", chromium);
    tallied(&mut command, node_tally)
}

fn xtask(data: &Data, listen: &str, arguments: &[&str]) -> Result<()> {
    // The build of the tests may have put a newer program in the place of the one that runs; this is the running one.
    shell::loud(shell::command("/proc/self/exe").args(arguments).env("ORRERY_DATA_DIR", data.root()).env("ORRERY_LISTEN", listen))
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
