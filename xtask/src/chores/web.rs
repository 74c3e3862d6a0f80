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
use crate::tools::{cargo, npm, wasm, wasm_bindgen, wasm_split};

/// What goes in.
const INPUTS: [&str; 9] = [
    "frontend",
    "shared/contracts",
    "shared/compose",
    "shared/machine",
    "examples",
    "Cargo.toml",
    "Cargo.lock",
    "xtask/src/chores/web.rs",
    "xtask/src/tools/wasm.rs",
];

const PAGE: &str = "orrery-frontend";

/// What looks at definitions: a binary of its own, fetched when a definition is first looked at.
const CHECKER: &str = "orrery-checker";

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
    let parts = parts()?;
    for module in WASM_OF_PARTS {
        optimise(&frontend, &parts.join(module))?;
    }
    assemble(&frontend, &parts, &out)?;
    fs::write(&mark, inputs)?;
    say::done("page", &format!("{}, {} KB at the first load", out.display(), first_load(&out)? / 1024), began);
    Ok(out)
}

/// What a browser fetches before it shows anything, compressed as gzip does. What the first screen does not need comes in
/// the background, editor, checker, terminal and screen when they are first needed, the examples when they are looked at.
fn first_load(out: &Path) -> Result<u64> {
    let mut bytes = fs::metadata(out.join("index.html.gz"))?.len();
    for entry in fs::read_dir(out.join("assets"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let later = ["split_later", "editor", "checker", "orrery-checker", "examples", "icon", "screen", "terminal"]
            .iter()
            .any(|part| name.starts_with(part));
        if !later && (name.ends_with(".gz") || name.ends_with(".woff2")) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// The lints of what exists for the browser alone.
pub(crate) fn lints() -> Result<()> {
    let std = wasm::find_or_install()?;
    let mut command = cargo::cargo();
    command.args(["clippy", "--package", PAGE]);
    std.apply(&mut command);
    shell::loud(command.args(["--", "--deny", "warnings"]))
}

/// Everything that is WebAssembly, bound to its JavaScript, in one folder.
fn parts() -> Result<PathBuf> {
    let parts = folders::target().join("page-parts");
    if parts.is_dir() {
        fs::remove_dir_all(&parts)?;
    }
    fs::create_dir_all(&parts)?;
    // The cut needs to know what refers to what.
    let whole = compile(PAGE, &["-Clink-arg=--emit-relocs"])?;
    bind(&split(&whole, &parts)?, &["--keep-lld-exports"], &parts)?;
    bind(&compile(CHECKER, &[])?, &[], &parts)?;
    Ok(parts)
}

/// What [`parts`] makes.
const WASM_OF_PARTS: [&str; 3] = ["orrery-frontend_bg.wasm", "split_later.wasm", "orrery-checker_bg.wasm"];

fn compile(program: &str, options: &[&str]) -> Result<PathBuf> {
    let std = wasm::find_or_install()?;
    let mut command = cargo::cargo();
    command.args(["rustc", "--package", PAGE, "--bin", program, "--profile", "web"]);
    std.apply(&mut command);
    command.arg("--").args(options);
    shell::loud(&mut command).with_context(|| format!("the WebAssembly of {program} could not be built"))?;
    Ok(wasm::target_folder().join(wasm::TARGET).join("web").join(format!("{program}.wasm")))
}

/// Cuts what is marked as `wasm_split` in the sources out of the page; answers the rest, which still is to be bound.
fn split(whole: &Path, parts: &Path) -> Result<PathBuf> {
    let program = wasm_split::find_or_install()?;
    shell::quiet(shell::command(program).arg(whole).arg(parts).args(["--target", "web", "--out-name", PAGE]))
        .context("wasm-split refused the binary")?;
    Ok(parts.join(format!("{PAGE}.wasm")))
}

fn bind(binary: &Path, options: &[&str], parts: &Path) -> Result<()> {
    let program = wasm_bindgen::find_or_install()?;
    shell::quiet(
        shell::command(program)
            .args(["--target", "web", "--no-typescript", "--remove-name-section", "--remove-producers-section"])
            .args(options)
            .arg("--out-dir")
            .arg(parts)
            .arg(binary),
    )
    .with_context(|| format!("wasm-bindgen refused {}", binary.display()))
    .map(drop)
}

fn optimise(frontend: &Path, binary: &Path) -> Result<()> {
    let smaller = binary.with_extension("smaller");
    shell::quiet(
        shell::command("node")
            .arg(frontend.join("node_modules/binaryen/bin/wasm-opt"))
            .args(["-Oz", "--converge", "--strip-debug", "--strip-producers"])
            .args(FEATURES)
            .arg(binary)
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
    squeeze(&unfinished).context("the page could not be compressed")?;
    if out.is_dir() {
        fs::remove_dir_all(out)?;
    }
    fs::rename(&unfinished, out)?;
    Ok(())
}

/// A gzip of each file that has a brotli beside it, for who reads no other: by zopfli, which is slow, and a twentieth smaller.
fn squeeze(folder: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry?;
        let Some(whole) = entry.path().to_str().and_then(|path| path.strip_suffix(".br")) else { continue };
        let file = fs::File::create(format!("{whole}.gz"))?;
        zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, fs::File::open(whole)?, file)?;
    }
    Ok(())
}
