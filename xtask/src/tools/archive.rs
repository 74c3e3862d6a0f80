//! One package out of another release of Debian, unpacked into the cache and never installed: for what this release has
//! too old. Needs no root; the lists and the trust are apt's own, kept in a folder apart.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::folders;
use crate::shell;

const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Unpacks the newest version of `package` in `suite` whose version starts with `version` into `into`.
pub(crate) fn unpack(suite: &str, package: &str, version: &str, into: &Path) -> Result<()> {
    anyhow::ensure!(shell::on_path("apt-get").is_some() && Path::new(KEYS).is_file(), "this machine has no apt with Debian's keys");
    let lists = lists(suite)?;
    let known = shell::quiet(apt("apt-cache", &lists).args(["madison", package]))?;
    let wanted = known
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|found| found.starts_with(version))
        .with_context(|| format!("{suite} has no {package} {version}"))?
        .to_owned();
    let work = tempfile::tempdir()?;
    shell::quiet(apt("apt-get", &lists).current_dir(work.path()).args(["download", &format!("{package}={wanted}")]))?;
    let archive = fs::read_dir(work.path())?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt downloaded nothing")?;
    fs::create_dir_all(into)?;
    shell::quiet(shell::command("dpkg").arg("-x").arg(archive).arg(into))?;
    Ok(())
}

/// A private set of apt's lists for one suite.
fn lists(suite: &str) -> Result<PathBuf> {
    let folder = folders::cache()?.join("apt").join(suite);
    for name in ["lists/partial", "archives/partial"] {
        fs::create_dir_all(folder.join(name))?;
    }
    let source = folder.join("sources.list");
    fs::write(&source, format!("deb [signed-by={KEYS}] {} {suite} main\n", mirror()?))?;
    shell::quiet(apt("apt-get", &folder).arg("update")).with_context(|| format!("Debian's {suite} cannot be reached"))?;
    Ok(folder)
}

fn apt(program: &str, folder: &Path) -> std::process::Command {
    let mut command = shell::command(program);
    let option = |name: &str, path: PathBuf| format!("{name}={}", path.display());
    for setting in [
        option("Dir::Etc::SourceList", folder.join("sources.list")),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        option("Dir::State::Lists", folder.join("lists")),
        option("Dir::Cache", folder.to_owned()),
        option("Dir::Cache::Archives", folder.join("archives")),
        "APT::Sandbox::User=".to_owned(),
        "Acquire::Languages=none".to_owned(),
    ] {
        command.arg("-o").arg(setting);
    }
    command
}

/// The mirror that this machine uses for Debian.
pub(crate) fn mirror() -> Result<String> {
    let texts = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect::<String>();
    texts
        .split_whitespace()
        .find(|word| (word.starts_with("http://") || word.starts_with("https://")) && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
        .context("apt knows no mirror of Debian: name one in /etc/apt/sources.list, as `deb <mirror>/debian bookworm main`")
}
