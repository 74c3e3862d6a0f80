//! wasm-split, which cuts the page's WebAssembly in two: what the first screen needs, and what comes later.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use super::cargo;
use crate::folders;
use crate::say;
use crate::shell;

/// It reads what `wasm_split_helpers` of the lock file writes; both come from one repository.
const VERSION: &str = "0.2.4";

/// The program.
pub(crate) fn find_or_install() -> Result<PathBuf> {
    let root = folders::cache()?.join("wasm-split").join(VERSION);
    let program = root.join("bin/wasm-split-cli");
    if shell::is_program(&program) {
        return Ok(program);
    }
    let began = Instant::now();
    say::step("wasm-split", &format!("building {VERSION}, once"));
    shell::loud(
        cargo::cargo()
            .args(["install", "wasm_split_cli_support", "--features", "build-binary", "--locked", "--version", VERSION, "--root"])
            .arg(&root)
            // Outside the checkout, so that its settings and its lock do not matter.
            .current_dir(folders::cache()?)
            .env("CARGO_TARGET_DIR", root.join("target")),
    )
    .context("wasm-split could not be built: run `cargo install wasm_split_cli_support --features build-binary` and look")?;
    let _ = std::fs::remove_dir_all(root.join("target"));
    say::done("wasm-split", VERSION, began);
    Ok(program)
}
