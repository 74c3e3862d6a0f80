//! Building our own programs with the cargo that runs this very chore.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::folders;
use crate::say;
use crate::shell;

/// Cargo, in the checkout.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = shell::command(program);
    command.current_dir(folders::repository());
    // What `cargo run` tells this process about this crate is nothing that another build should see.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            command.env_remove(name);
        }
    }
    command
}

/// A program of cargo's own kind: the one on the path, or one built into the cache from the registry.
pub(crate) fn find_or_install(name: &str, version: &str) -> Result<PathBuf> {
    if let Some(found) = shell::on_path(name) {
        return Ok(found);
    }
    let root = folders::cache()?.join(name);
    let program = root.join("bin").join(name);
    if !shell::is_program(&program) {
        let began = Instant::now();
        say::step(name, &format!("building {name}, once"));
        shell::loud(
            cargo()
                .args(["install", name, "--version", version, "--locked", "--root"])
                .arg(&root)
                .env("CARGO_TARGET_DIR", root.join("target")),
        )
        .with_context(|| format!("{name} could not be built: install it and try again"))?;
        let _ = std::fs::remove_dir_all(root.join("target"));
        say::done(name, version, began);
    }
    Ok(program)
}

/// Cargo-nextest, which runs the tests.
pub(crate) fn nextest() -> Result<PathBuf> {
    /// The version that the tests are known to run with.
    const VERSION: &str = "0.9.143";
    find_or_install("cargo-nextest", VERSION)
}

/// Builds all programs as they are released, and says in which folder they are.
pub(crate) fn build_released() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--workspace", "--exclude", "orrery-frontend", "--bins", "--release"]);
    shell::loud(&mut build).context("the programs could not be built")?;
    Ok(folders::target().join("release"))
}

/// Builds all programs, and says in which folder they are.
///
/// Always the whole workspace: a part of it would choose other features for what it shares with the rest, and build it
/// twice.
pub(crate) fn build_services() -> Result<PathBuf> {
    build(&["--bins"]).context("the services could not be built")?;
    Ok(built_programs())
}

/// Builds these kinds of targets of the whole workspace.
pub(crate) fn build(targets: &[&str]) -> Result<()> {
    super::libvirt::headers()?;
    shell::loud(cargo().args(["build", "--workspace"]).args(targets))
}

/// Where the programs are.
pub(crate) fn built_programs() -> PathBuf {
    folders::target().join("debug")
}

/// The version of a crate that the lock file names.
pub(crate) fn locked_version(name: &str) -> Result<String> {
    let path = folders::repository().join("Cargo.lock");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let entry = format!("name = \"{name}\"\nversion = \"");
    text.split_once(&entry)
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(version, _)| version.to_owned())
        .with_context(|| format!("Cargo.lock has no {name}"))
}
