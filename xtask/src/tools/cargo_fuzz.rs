//! What fuzzing needs beside the tests: a nightly compiler, and cargo-fuzz, which knows how to have it instrument what it
//! compiles.

use std::process::Command;

use anyhow::{Context, Result};

use super::cargo;
use crate::folders;
use crate::say;
use crate::shell;

/// The version that the targets are known to build with.
const VERSION: &str = "0.13.2";

/// `cargo +nightly fuzz`, in the checkout.
pub(crate) fn command() -> Result<Command> {
    let program = cargo::find_or_install("cargo-fuzz", VERSION)?;
    if !shell::succeeds(shell::command("rustup").args(["run", "nightly", "rustc", "--version"])) {
        say::step("nightly", "installing the nightly compiler, once");
        shell::loud(shell::command("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal"]))
            .context("the nightly compiler could not be installed: `rustup toolchain install nightly`")?;
    }
    let mut command = shell::command("rustup");
    command.args(["run", "nightly"]).arg(program).arg("fuzz").current_dir(folders::repository()).env_remove("CARGO");
    Ok(command)
}
