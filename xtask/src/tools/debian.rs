//! Whole Debians for the tests of machines: a disk that cloud-init configures, and the root filesystem of a container. Each is made from
//! Debian's packages once and kept in the cache, by the digest of how it is made; a script beside this file says how. The packages are
//! kept too, for the next time that a script changes.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use super::{apt, archive};
use crate::folders;
use crate::say;
use crate::shell;

/// Something that is made from Debian's packages.
struct Recipe {
    /// What it is called, here and in the cache.
    name: &'static str,
    /// The end of its name.
    ending: &'static str,
    script: &'static str,
}

const DISK: Recipe = Recipe { name: "debian-disk", ending: "qcow2", script: include_str!("debian_disk.sh") };
const ROOT: Recipe = Recipe { name: "debian-root", ending: "tar.gz", script: include_str!("debian_root.sh") };

/// What it takes beside what libvirt's tests have, each with the package that Debian has it in. `ssh` is how the test looks inside.
const PROGRAMS: [(&str, &str); 5] = [
    ("debootstrap", "debootstrap"),
    ("mke2fs", "e2fsprogs"),
    ("qemu-img", "qemu-utils"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
];

/// The disk of a virtual machine.
pub(crate) fn disk() -> Result<PathBuf> {
    find_or_make(&DISK)
}

/// The root filesystem of a container.
pub(crate) fn root() -> Result<PathBuf> {
    find_or_make(&ROOT)
}

fn find_or_make(recipe: &Recipe) -> Result<PathBuf> {
    for (program, package) in PROGRAMS {
        if shell::on_path(program).is_none() {
            apt::install(&[package], "a whole Debian for the tests of machines")?;
        }
    }
    let Recipe { name, ending, script } = recipe;
    let digest: String = Sha256::digest(script).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let made = folders::cache()?.join(format!("{name}-{digest}.{ending}"));
    if made.is_file() {
        return Ok(made);
    }
    if !folders::is_root() {
        bail!("making a Debian from its packages needs root: run `sudo -E cargo xtask test`");
    }
    let began = Instant::now();
    say::step(name, "making one from Debian's packages; a few minutes, once");
    let packages = folders::cache()?.join("debian-packages");
    fs::create_dir_all(&packages)?;
    let work = tempfile::Builder::new().prefix("orrery-debian-").tempdir_in("/var/tmp")?;
    let mut make = shell::command("unshare");
    make.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, name]);
    make.arg(work.path()).arg(archive::mirror()?).arg(&made).arg(packages);
    shell::quiet(&mut make).with_context(|| format!("{name} could not be made"))?;
    say::done(name, &made.display().to_string(), began);
    Ok(made)
}
