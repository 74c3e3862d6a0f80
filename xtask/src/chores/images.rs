//! `cargo xtask images`: the one small base of the examples' images. From a registry where one can be reached, else from
//! Debian's packages. With `--deploy` also what our own images are made from, always from packages: who can reach a registry
//! needs none of that.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::folders;
use crate::say;
use crate::shell;
use crate::tools::{apt, archive, buildx, engine, nats};

/// What the examples build on.
const BASE: &str = "orrery/base:bookworm";

/// The same from a registry.
const PUBLIC: &str = "debian:bookworm-slim";

const RELEASE: &str = "bookworm";

/// How long a registry may take to send a small image.
const PATIENCE: Duration = Duration::from_secs(90);

/// PostgreSQL on that base.
const POSTGRES: &str = "orrery/postgres-base:bookworm";

/// The broker's program and nothing else.
const NATS: &str = "orrery/nats-base";

/// What is installed for [`POSTGRES`]: the server, and no cluster.
const POSTGRES_STEPS: &str = "FROM orrery/base:bookworm
RUN mkdir -p /etc/postgresql-common \\
    && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \\
    && apt-get update && apt-get install --yes --no-install-recommends postgresql \\
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
";

/// Make the base image of the examples.
#[derive(Args)]
pub(crate) struct Images {
    /// The bases of Orrery's own images too; prints how to name them to a build.
    #[arg(long)]
    deploy: bool,
}

impl Images {
    pub(crate) fn run(self) -> Result<()> {
        run()?;
        if self.deploy {
            println!("{}", bases()?.join(" "));
        }
        Ok(())
    }
}

pub(crate) fn run() -> Result<()> {
    let docker_host = std::env::var("DOCKER_HOST").ok();
    engine::find_or_start(docker_host.as_deref())?;
    base()
}

/// Makes what our own images are made from, unless the engine has it; answers the arguments that name it to a build.
pub(crate) fn bases() -> Result<Vec<String>> {
    base()?;
    if !has(POSTGRES) {
        let began = Instant::now();
        say::step("images", &format!("{POSTGRES}, from Debian's packages"));
        let work = tempfile::tempdir()?;
        std::fs::write(work.path().join("Dockerfile"), POSTGRES_STEPS)?;
        shell::quiet(buildx::build()?.args(["--tag", POSTGRES]).arg(work.path()))?;
        say::done("images", POSTGRES, began);
    }
    let nats = format!("{NATS}:{}", nats::TESTED);
    if !has(&nats) {
        let work = tempfile::tempdir()?;
        std::fs::copy(nats::find_or_install()?, work.path().join("nats-server"))?;
        import(work.path(), &nats, "ENTRYPOINT [\"/nats-server\"]")?;
    }
    let named = [("DEBIAN_IMAGE", BASE), ("POSTGRES_IMAGE", POSTGRES), ("NATS_IMAGE", &nats)];
    Ok(named.iter().map(|(argument, image)| format!("--build-arg={argument}={image}")).collect())
}

fn has(image: &str) -> bool {
    shell::succeeds(docker().args(["image", "inspect", image]))
}

/// Makes the base image, unless the engine has it.
pub(crate) fn base() -> Result<()> {
    if shell::on_path("docker").is_none() {
        apt::install(&["docker.io"], "the program `docker`")?;
    }
    if has(BASE) {
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
    import(&root, BASE, "CMD [\"bash\"]")
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

/// Makes an image of one layer from a folder.
fn import(root: &Path, image: &str, change: &str) -> Result<()> {
    let mut tar = shell::command("tar")
        .arg("-C")
        .arg(root)
        .args(["--numeric-owner", "--one-file-system", "-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run tar")?;
    let archive = tar.stdout.take().context("tar says nothing")?;
    let imported = Command::new("docker")
        .args(["import", "--change", change, "-", image])
        .stdin(archive)
        .stdout(Stdio::null())
        .status()
        .context("cannot run docker")?;
    anyhow::ensure!(tar.wait()?.success(), "the image's files could not be packed");
    anyhow::ensure!(imported.success(), "the engine refused the image");
    Ok(())
}
