//! Debian's packages: installed as root, or named in a message that says what to type.

use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::folders;
use crate::say;
use crate::shell;

/// Installs packages; `what` names what they are for.
pub(crate) fn install(packages: &[&str], what: &str) -> Result<()> {
    let list = packages.join(" ");
    if shell::on_path("apt-get").is_none() {
        bail!("{what} is missing: install it (Debian calls it {list}) and try again");
    }
    if !folders::is_root() {
        bail!("{what} is missing, and installing it needs root: run `sudo apt-get install {list}` and try again");
    }
    let began = Instant::now();
    say::step("apt", &format!("installing {list}, for {what}"));
    update()?;
    shell::quiet(
        shell::command("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            // A package that is named with its version may be older than the one that is there.
            .args(["install", "--yes", "--no-install-recommends", "--allow-downgrades"])
            .args(["-o", "Dpkg::Options::=--force-confold"])
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(packages),
    )
    .with_context(|| format!("{what} could not be installed: run `apt-get install {list}` and look"))?;
    say::done("apt", &format!("installed {list}"), began);
    Ok(())
}

/// Renews the lists of packages, once.
fn update() -> Result<()> {
    static UPDATED: OnceLock<()> = OnceLock::new();
    if UPDATED.get().is_none() {
        // A single repository that is away does not matter when another has the package.
        if let Err(error) = shell::quiet(shell::command("apt-get").args(["update", "-o", "DPkg::Lock::Timeout=300"])) {
            say::step("apt", &format!("the lists could not all be renewed: {error}"));
        }
        let _ = UPDATED.set(());
    }
    Ok(())
}
