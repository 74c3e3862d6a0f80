//! wasm-bindgen in exactly the version that the lock file names: any other refuses the binary.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use super::cargo;
use crate::folders;
use crate::say;
use crate::shell;

/// The program.
pub(crate) fn find_or_install() -> Result<PathBuf> {
    let version = cargo::locked_version("wasm-bindgen")?;
    if let Some(found) = shell::on_path("wasm-bindgen").filter(|found| is(found, &version)) {
        return Ok(found);
    }
    let root = folders::cache()?.join("wasm-bindgen").join(&version);
    let program = root.join("bin/wasm-bindgen");
    if is(&program, &version) {
        return Ok(program);
    }
    let began = Instant::now();
    say::step("wasm-bindgen", &format!("building {version}, once; this takes some minutes"));
    install(&root, &version, &["--locked"])
        .or_else(|_| {
            say::step("wasm-bindgen", "its lock names a crate that is no longer to be had: once more without it");
            install(&root, &version, &[])
        })
        .context("wasm-bindgen-cli could not be built: run `cargo install wasm-bindgen-cli` and look")?;
    let _ = std::fs::remove_dir_all(root.join("target"));
    say::done("wasm-bindgen", &version, began);
    Ok(program)
}

fn install(root: &Path, version: &str, options: &[&str]) -> Result<()> {
    shell::loud(
        cargo::cargo()
            .args(["install", "wasm-bindgen-cli", "--version", version, "--root"])
            .arg(root)
            .args(options)
            // Outside the checkout, so that its settings and its lock do not matter.
            .current_dir(root.parent().filter(|folder| folder.is_dir()).unwrap_or(Path::new("/")))
            .env("CARGO_TARGET_DIR", root.join("target")),
    )
}

fn is(program: &Path, version: &str) -> bool {
    shell::quiet(shell::command(program).arg("--version")).is_ok_and(|text| text.split_whitespace().nth(1) == Some(version))
}
