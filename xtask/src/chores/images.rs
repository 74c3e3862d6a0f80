//! `cargo xtask images`: the one small base of the examples' images. From a registry where one can be reached, else from
//! Debian's packages.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::folders;
use crate::say;
use crate::shell;
use crate::tools::{apt, archive, engine};

/// What the examples build on.
const BASE: &str = "orrery/base:bookworm";

/// The same from a registry.
const PUBLIC: &str = "debian:bookworm-slim";

const RELEASE: &str = "bookworm";

/// How long a registry may take to send a small image.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn run() -> Result<()> {
    let docker_host = std::env::var("DOCKER_HOST").ok();
    engine::find_or_start(docker_host.as_deref())?;
    base()
}

/// Makes the base image, unless the engine has it.
pub(crate) fn base() -> Result<()> {
    if shell::on_path("docker").is_none() {
        apt::install(&["docker.io"], "the program `docker`")?;
    }
    if shell::succeeds(docker().args(["image", "inspect", BASE])) {
        return Ok(());
    }
    let began = Instant::now();
    say::step("images", &format!("{BASE}, from a registry"));
    if shell::within(PATIENCE, docker().args(["pull", "--quiet", PUBLIC])).is_ok() {
        shell::quiet(docker().args(["tag", PUBLIC, BASE]))?;
    } else {
        say::step("images", "no registry answers; from Debian's packages");
        from_packages()?;
    }
    say::done("images", BASE, began);
    Ok(())
}

fn docker() -> Command {
    shell::command("docker")
}

fn from_packages() -> Result<()> {
    if !folders::is_root() {
        bail!("making {BASE} from Debian's packages needs root: run `sudo -E cargo xtask images`");
    }
    if shell::on_path("debootstrap").is_none() {
        apt::install(&["debootstrap"], "the base image of the examples")?;
    }
    let work = tempfile::Builder::new().prefix("orrery-base-").tempdir_in("/var/tmp")?;
    let root = work.path().join("root");
    shell::quiet(
        shell::command(shell::on_path("debootstrap").context("debootstrap is not there")?)
            .args(["--variant=minbase", "--include=ca-certificates", RELEASE])
            .arg(&root)
            .arg(archive::mirror()?),
    )
    .context("debootstrap could not make a Debian: run it by hand and look")?;
    slim(&root)?;
    import(&root)
}

/// Takes out what no container reads.
fn slim(root: &Path) -> Result<()> {
    for folder in ["var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"]
    {
        let folder = root.join(folder);
        if folder.is_dir() {
            std::fs::remove_dir_all(&folder)?;
            std::fs::create_dir_all(&folder)?;
        }
    }
    let partial = root.join("var/lib/apt/lists/partial");
    std::fs::create_dir_all(partial)?;
    Ok(())
}

fn import(root: &Path) -> Result<()> {
    let mut tar = shell::command("tar")
        .arg("-C")
        .arg(root)
        .args(["--numeric-owner", "--one-file-system", "-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run tar")?;
    let archive = tar.stdout.take().context("tar says nothing")?;
    let imported = Command::new("docker")
        .args(["import", "--change", "CMD [\"bash\"]", "-", BASE])
        .stdin(archive)
        .stdout(Stdio::null())
        .status()
        .context("cannot run docker")?;
    anyhow::ensure!(tar.wait()?.success(), "the image's files could not be packed");
    anyhow::ensure!(imported.success(), "the engine refused the image");
    Ok(())
}
