//! The images, from the programs and the page that are built: the short way of `deploy/Dockerfile`.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::chores::{images, web};
use crate::folders;
use crate::say;
use crate::shell;
use crate::tools::buildx;

/// What goes into the image `orrery`.
const PROGRAMS: [&str; 6] = ["api", "projector", "docker-executor", "libvirt-executor", "nats", "setup"];

/// The release that the images of a test are.
pub(super) const VERSION: &str = "test";

/// Builds both images.
pub(super) fn build(release: bool) -> Result<()> {
    let bases = images::bases()?;
    let context = folders::target().join("image");
    lay_out(&context, release)?;
    for target in ["orrery", "postgres"] {
        let began = Instant::now();
        let mut build = buildx::build()?;
        build.arg("--file").arg(folders::repository().join("deploy/Dockerfile")).args(&bases).arg("--build-arg=PROGRAMS=given");
        // No stage asks for it here, and every name in the file must be one.
        build.arg("--build-arg=RUST_IMAGE=scratch");
        build.arg(format!("--target={target}")).arg(format!("--tag=orrery/{target}:{VERSION}")).arg(&context);
        shell::quiet(&mut build)?;
        say::done("image", &format!("orrery/{target}:{VERSION}"), began);
    }
    Ok(())
}

/// The build's context: programs, page, and what the Dockerfile copies.
fn lay_out(context: &Path, release: bool) -> Result<()> {
    if context.exists() {
        fs::remove_dir_all(context)?;
    }
    let built = folders::target().join(if release { "release" } else { "debug" });
    fs::create_dir_all(context.join("programs"))?;
    for name in PROGRAMS {
        let program = format!("orrery-{name}");
        fs::copy(built.join(&program), context.join("programs").join(&program))
            .with_context(|| format!("{program} is not built in {}: run `cargo build --workspace --bins`", built.display()))?;
    }
    let page = web::output()?;
    ensure!(page.join("index.html").is_file(), "the page is not built: run `cargo xtask web`");
    copy(&page, &context.join("page"))?;
    copy(&folders::repository().join("deploy"), &context.join("deploy"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    shell::quiet(shell::command("cp").args(["-r", "--no-preserve=ownership"]).arg(from).arg(to)).map(drop)
}
