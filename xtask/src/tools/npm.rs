//! Packages from npm, exactly as a lock file names them, fetched again only when it changed.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::apt;
use crate::folders;
use crate::say;
use crate::shell;

/// Installs the packages of a folder with a lock file.
pub(crate) fn install(folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let wanted = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let mark = folder.join("node_modules/.orrery-lock.json");
    if std::fs::read_to_string(&mark).is_ok_and(|known| known == wanted) {
        return Ok(());
    }
    if shell::on_path("npm").is_none() {
        apt::install(&["npm", "nodejs"], "Node and npm")?;
    }
    let began = Instant::now();
    let name = folder.strip_prefix(folders::repository()).unwrap_or(folder).display().to_string();
    say::step("npm", &format!("packages of {name}"));
    shell::quiet(
        shell::command("npm")
            .current_dir(folder)
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"),
    )
    .with_context(|| format!("the packages of {name} could not be had: run `npm ci` there and look"))?;
    std::fs::write(&mark, wanted)?;
    say::done("npm", &format!("packages of {name}"), began);
    Ok(())
}
