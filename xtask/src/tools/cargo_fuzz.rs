//! What fuzzing needs beside the tests: a nightly compiler, and cargo-fuzz, which knows how to have it instrument what it
//! compiles.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::cargo;
use crate::folders;
use crate::say;
use crate::shell;

/// The version that the targets are known to build with.
const VERSION: &str = "0.13.2";

/// `cargo +nightly fuzz`, in the checkout.
pub(crate) fn command() -> Result<Command> {
    let program = find_or_install()?;
    if !shell::succeeds(shell::command("rustup").args(["run", "nightly", "rustc", "--version"])) {
        say::step("nightly", "installing the nightly compiler, once");
        shell::loud(shell::command("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal"]))
            .context("the nightly compiler could not be installed: `rustup toolchain install nightly`")?;
    }
    let mut command = shell::command("rustup");
    command.args(["run", "nightly"]).arg(program).arg("fuzz").current_dir(folders::repository()).env_remove("CARGO");
    Ok(command)
}

fn find_or_install() -> Result<PathBuf> {
    if let Some(found) = shell::on_path("cargo-fuzz") {
        return Ok(found);
    }
    let root = folders::cache()?.join("cargo-fuzz");
    let program = root.join("bin/cargo-fuzz");
    if !shell::is_program(&program) {
        let began = Instant::now();
        say::step("cargo-fuzz", "building cargo-fuzz, once");
        shell::loud(
            cargo::cargo()
                .args(["install", "cargo-fuzz", "--version", VERSION, "--locked", "--root"])
                .arg(&root)
                .env("CARGO_TARGET_DIR", root.join("target")),
        )
        .context("cargo-fuzz could not be built: install it and try again")?;
        let _ = std::fs::remove_dir_all(root.join("target"));
        say::done("cargo-fuzz", VERSION, began);
    }
    Ok(program)
}
