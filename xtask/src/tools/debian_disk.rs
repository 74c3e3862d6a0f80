//! A disk with a whole Debian, for the test that has cloud-init configure one: made from Debian's packages once and kept in the cache,
//! by the digest of how it is made. `debian_disk.sh` says how.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use super::{apt, archive};
use crate::folders;
use crate::say;
use crate::shell;

const SCRIPT: &str = include_str!("debian_disk.sh");

/// What it takes beside what libvirt's tests have, each with the package that Debian has it in. `ssh` is how the test looks inside.
const PROGRAMS: [(&str, &str); 5] = [
    ("debootstrap", "debootstrap"),
    ("mke2fs", "e2fsprogs"),
    ("qemu-img", "qemu-utils"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
];

/// Finds the disk in the cache, or makes it.
pub(crate) fn find_or_make() -> Result<PathBuf> {
    for (program, package) in PROGRAMS {
        if shell::on_path(program).is_none() {
            apt::install(&[package], "a whole Debian for the tests of machines")?;
        }
    }
    let recipe: String = Sha256::digest(SCRIPT).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let disk = folders::cache()?.join(format!("debian-disk-{recipe}.qcow2"));
    if disk.is_file() {
        return Ok(disk);
    }
    if !folders::is_root() {
        bail!("making a Debian from its packages needs root: run `sudo -E cargo xtask test`");
    }
    let began = Instant::now();
    say::step("debian disk", "making one from Debian's packages; a few minutes, once");
    let work = tempfile::Builder::new().prefix("orrery-debian-").tempdir_in("/var/tmp")?;
    let mut make = shell::command("unshare");
    make.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT, "debian_disk.sh"]);
    shell::quiet(make.arg(work.path()).arg(archive::mirror()?).arg(&disk)).context("the disk with a Debian could not be made")?;
    say::done("debian disk", &disk.display().to_string(), began);
    Ok(disk)
}
