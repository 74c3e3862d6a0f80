//! `cargo xtask web`: the page, from Rust, TypeScript and CSS to hashed and compressed files.
//!
//! Nothing is built when nothing changed: a digest over everything that goes in is kept beside what came out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use super::digest;
use crate::folders;
use crate::say;
use crate::shell;
use crate::tools::{cargo, npm, wasm, wasm_bindgen};

/// What goes in.
const INPUTS: [&str; 6] = ["frontend", "shared/contracts", "shared/compose", "examples", "Cargo.toml", "Cargo.lock"];

const PROGRAM: &str = "orrery-frontend";

/// What rustc emits and every browser of the last years reads. `--all-features` would use proposals that none reads yet.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

pub(crate) fn run() -> Result<()> {
    let out = build()?;
    println!("{}", out.display());
    Ok(())
}

/// Where the page is.
pub(crate) fn output() -> Result<PathBuf> {
    Ok(folders::target().join("page"))
}

/// Builds the page, if anything changed; answers where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let out = output()?;
    let compiler = shell::quiet(shell::command("rustc").arg("--version"))?;
    let inputs = digest::of(&folders::repository(), &INPUTS, &[compiler])?;
    let mark = out.join(".inputs");
    if fs::read_to_string(&mark).is_ok_and(|known| known == inputs) && out.join("index.html").is_file() {
        return Ok(out);
    }
    let began = Instant::now();
    say::step("page", "building");
    let frontend = folders::repository().join("frontend");
    npm::install(&frontend)?;
    let binary = compile()?;
    let parts = bind(&binary)?;
    optimise(&frontend, &parts)?;
    assemble(&frontend, &parts, &out)?;
    fs::write(&mark, inputs)?;
    say::done("page", &format!("{}, {} KB at the first load", out.display(), first_load(&out)? / 1024), began);
    Ok(out)
}

/// What a browser fetches before it shows anything, compressed as gzip does. The editor comes when it is first needed, and
/// the examples when they are looked at.
fn first_load(out: &Path) -> Result<u64> {
    let mut bytes = fs::metadata(out.join("index.html.gz"))?.len();
    for entry in fs::read_dir(out.join("assets"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let later = ["editor", "examples", "icon"].iter().any(|part| name.starts_with(part));
        if !later && (name.ends_with(".gz") || name.ends_with(".woff2")) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn compile() -> Result<PathBuf> {
    let std = wasm::find_or_install()?;
    let mut command = cargo::cargo();
    command.args(["build", "--package", PROGRAM, "--bin", PROGRAM, "--profile", "web"]);
    std.apply(&mut command);
    shell::loud(&mut command).context("the page's WebAssembly could not be built")?;
    Ok(folders::target().join(wasm::TARGET).join("web").join(format!("{PROGRAM}.wasm")))
}

fn bind(binary: &Path) -> Result<PathBuf> {
    let program = wasm_bindgen::find_or_install()?;
    let parts = folders::target().join("page-parts");
    fs::create_dir_all(&parts)?;
    shell::quiet(
        shell::command(program).args(["--target", "web", "--no-typescript", "--remove-name-section", "--out-dir"]).arg(&parts).arg(binary),
    )
    .context("wasm-bindgen refused the binary")?;
    Ok(parts)
}

fn optimise(frontend: &Path, parts: &Path) -> Result<()> {
    let binary = parts.join(format!("{PROGRAM}_bg.wasm"));
    let smaller = parts.join("smaller.wasm");
    shell::quiet(
        shell::command("node")
            .arg(frontend.join("node_modules/binaryen/bin/wasm-opt"))
            .arg("-Oz")
            .args(FEATURES)
            .arg(&binary)
            .arg("-o")
            .arg(&smaller),
    )
    .context("wasm-opt refused the binary")?;
    fs::rename(smaller, binary)?;
    Ok(())
}

/// Into a folder apart, so that a page that is being served is never half there.
fn assemble(frontend: &Path, parts: &Path, out: &Path) -> Result<()> {
    let unfinished = out.with_extension("new");
    if unfinished.is_dir() {
        fs::remove_dir_all(&unfinished)?;
    }
    shell::quiet(
        shell::command("node")
            .current_dir(frontend)
            .arg("npm/assemble.mjs")
            .arg("--pkg")
            .arg(parts)
            .arg("--examples")
            .arg(folders::repository().join("examples"))
            .arg("--out")
            .arg(&unfinished),
    )
    .context("the page could not be put together")?;
    if out.is_dir() {
        fs::remove_dir_all(out)?;
    }
    fs::rename(&unfinished, out)?;
    Ok(())
}
