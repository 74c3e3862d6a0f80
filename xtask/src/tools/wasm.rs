//! A standard library for WebAssembly: built for size from Rust's own sources, else rustup's as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::archive;
use crate::say;
use crate::shell;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A panic of the page is a trap and tells nobody more, so that its words need not be carried along.
const SMALL: &str = r#"target.wasm32-unknown-unknown.rustflags = ["-Zlocation-detail=none", "-Zfmt-debug=shallow", "-Zunstable-options", "-Cpanic=immediate-abort"]"#;

/// rustup waits for minutes where its server cannot be reached.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where the standard library comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Std {
    /// It is installed.
    Installed,
    /// Cargo builds it from its sources.
    FromSource,
}

impl Std {
    /// Has cargo build for WebAssembly with it. Where it is built anyway, it is built for size: a fifth less to load.
    pub(crate) fn apply(self, cargo: &mut Command) {
        // Built with another compiler's freedom, so apart: else either build would undo what the other has done.
        cargo.args(["--target", TARGET]).env("CARGO_TARGET_DIR", target_folder());
        match self {
            Self::Installed => {}
            Self::FromSource => {
                cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size", "--config", SMALL]);
                cargo.env("RUSTC_BOOTSTRAP", "1");
            }
        }
    }
}

/// Where WebAssembly is built.
pub(crate) fn target_folder() -> PathBuf {
    crate::folders::target().join("wasm")
}

/// Finds a standard library, or gets one. The sources are preferred: what is built from them is a quarter smaller.
pub(crate) fn find_or_install() -> Result<Std> {
    let sysroot = sysroot()?;
    if has_sources(&sysroot) {
        return Ok(Std::FromSource);
    }
    let began = Instant::now();
    say::step("wasm", &format!("a standard library for {TARGET}"));
    let mut failures = Vec::new();
    let attempts: [(&str, Attempt); 4] = [
        ("rustup component add rust-src", |_, _| add(&["component", "add", "rust-src"])),
        ("Debian's rust-src", |sysroot, version| unpack_sources(sysroot, "trixie-backports", "rust-src", version)),
        ("Debian testing's rust-src", |sysroot, version| unpack_sources(sysroot, "testing", "rust-src", version)),
        ("rustup target add", |_, _| add(&["target", "add", TARGET])),
    ];
    let version = version()?;
    for (name, attempt) in attempts {
        if let Err(error) = attempt(&sysroot, &version) {
            failures.push(format!("{name}: {error:#}"));
        }
        if has_sources(&sysroot) {
            say::done("wasm", &format!("the sources, from {name}"), began);
            return Ok(Std::FromSource);
        }
        if is_installed(&sysroot) {
            say::done("wasm", "rustup's target as it is: the page gets larger than it need be", began);
            return Ok(Std::Installed);
        }
    }
    anyhow::bail!(
        "no standard library for {TARGET} could be had: run `rustup component add rust-src`, or put the sources of Rust \
         {version} at {}.\n{}",
        sources(&sysroot).display(),
        failures.join("\n")
    )
}

type Attempt = fn(&Path, &str) -> Result<()>;

fn add(arguments: &[&str]) -> Result<()> {
    shell::within(PATIENCE, shell::command("rustup").args(arguments))
}

/// Debian's package of the same version, unpacked and linked to where cargo looks.
fn unpack_sources(sysroot: &Path, suite: &str, package: &str, version: &str) -> Result<()> {
    let unpacked = crate::folders::cache()?.join("rust-src").join(version);
    archive::unpack(suite, package, version, &unpacked)?;
    let library = fs::read_dir(unpacked.join("usr/src"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join("library")))
        .find(|library| library.join("std").is_dir())
        .context("the package holds no library")?;
    let place = sources(sysroot);
    fs::create_dir_all(place.parent().unwrap_or(&place))?;
    shell::quiet(shell::command("cp").arg("-r").arg(library).arg(&place)).map(drop)
}

fn sources(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust/library")
}

fn has_sources(sysroot: &Path) -> bool {
    sources(sysroot).join("std/Cargo.toml").is_file()
}

fn is_installed(sysroot: &Path) -> bool {
    fs::read_dir(sysroot.join("lib/rustlib").join(TARGET).join("lib")).is_ok_and(|mut files| files.next().is_some())
}

fn sysroot() -> Result<PathBuf> {
    let text = shell::quiet(shell::command("rustc").args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(text.trim()))
}

fn version() -> Result<String> {
    let text = shell::quiet(shell::command("rustc").arg("--version"))?;
    text.split_whitespace().nth(1).map(str::to_owned).context("rustc does not say its version")
}
