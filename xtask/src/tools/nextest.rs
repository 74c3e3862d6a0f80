//! cargo-nextest, which runs the tests: the one on the path, or one built into the cache.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use super::cargo;
use crate::folders;
use crate::say;
use crate::shell;

/// The version that the tests are known to run with.
const VERSION: &str = "0.9.143";

/// The program.
pub(crate) fn find_or_install() -> Result<PathBuf> {
    if let Some(found) = shell::on_path("cargo-nextest") {
        return Ok(found);
    }
    let root = folders::cache()?.join("nextest");
    let program = root.join("bin/cargo-nextest");
    if !shell::is_program(&program) {
        let began = Instant::now();
        say::step("nextest", "building cargo-nextest, once");
        shell::loud(
            cargo::cargo()
                .args(["install", "cargo-nextest", "--version", VERSION, "--locked", "--root"])
                .arg(&root)
                .env("CARGO_TARGET_DIR", root.join("target")),
        )
        .context("cargo-nextest could not be built: install it and try again")?;
        let _ = std::fs::remove_dir_all(root.join("target"));
        say::done("nextest", VERSION, began);
    }
    Ok(program)
}
