//! `cargo xtask sqlx`: what the compiler needs to know of each query, asked of a real database with today's tables.
//!
//! The digest of the migrations is kept beside it, so that a check needs no database.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::Signal;

use super::digest;
use crate::folders::{self, Data};
use crate::installation::database::{self, Cluster};
use crate::processes::Identity;
use crate::say;
use crate::shell;
use crate::tools::{cargo, postgres::Programs};

/// The crates that ask the database.
const ASKING: [(&str, &str); 2] = [("orrery-projector", "services/projector/src/lib.rs"), ("orrery-api", "services/api/src/lib.rs")];

/// Renew what the compiler needs to know of each query.
#[derive(Args)]
pub(crate) struct Sqlx {}

impl Sqlx {
    pub(crate) fn run(self) -> Result<()> {
        let began = Instant::now();
        let folder = tempfile::Builder::new().prefix("orrery-sqlx-").tempdir_in("/var/tmp")?;
        let data = Data::at(folder.path());
        data.create()?;
        let programs = Programs::find_or_install()?;
        let cluster = Cluster::new(&data, &programs);
        cluster.create()?;
        let server = cluster.start()?;
        let asked = ask(&data, &cluster, &server);
        server.end(Signal::INT, Duration::from_secs(30))?;
        asked?;
        fs::write(mark(), migrations_digest()?)?;
        say::done("sqlx", ".sqlx is as the tables are", began);
        Ok(())
    }
}

/// Fails when the migrations changed since `.sqlx` was made.
pub(crate) fn check() -> Result<()> {
    let known = fs::read_to_string(mark()).unwrap_or_default();
    anyhow::ensure!(known == migrations_digest()?, "the migrations changed since .sqlx was made: run `cargo xtask sqlx`");
    Ok(())
}

fn ask(data: &Data, cluster: &Cluster, server: &Identity) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !database::answers(data) {
        anyhow::ensure!(
            server.is_alive() && Instant::now() < deadline,
            "the database does not start: {}",
            fs::read_to_string(data.log("postgres")).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    cluster.provision()?;
    let owner = folders::read_trimmed(&data.database_url("owner")).context("the owner has no address")?;
    // Not by `orrery-projector migrate`: it cannot be built before this is done.
    for migration in migrations()? {
        cluster.run_file(&owner, &migration)?;
    }
    let fresh = data.file("queries");
    fs::create_dir_all(&fresh)?;
    let mut build = cargo::cargo();
    build
        .arg("build")
        .env("DATABASE_URL", format!("{owner}&options=-csearch_path%3Dread"))
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &fresh);
    for (package, source) in ASKING {
        build.args(["--package", package]);
        // Cargo does not see that the database is another one.
        fs::File::options().append(true).open(folders::repository().join(source))?.set_modified(SystemTime::now())?;
    }
    shell::loud(&mut build).context("a query does not fit the tables")?;
    replace(&fresh)
}

/// Takes over what was asked, and removes what nobody asks any more.
fn replace(fresh: &Path) -> Result<()> {
    let kept = folders::repository().join(".sqlx");
    fs::create_dir_all(&kept)?;
    for entry in fs::read_dir(&kept)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            fs::remove_file(path)?;
        }
    }
    for entry in fs::read_dir(fresh)? {
        let entry = entry?;
        fs::copy(entry.path(), kept.join(entry.file_name()))?;
    }
    Ok(())
}

fn mark() -> PathBuf {
    folders::repository().join(".sqlx/migrations.sha256")
}

/// The migrations, in their order.
fn migrations() -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folders::repository().join("migrations"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    Ok(files)
}

fn migrations_digest() -> Result<String> {
    let texts: Vec<String> = migrations()?
        .iter()
        .map(|path| Ok(format!("{}\n{}", path.file_name().unwrap_or_default().display(), fs::read_to_string(path)?)))
        .collect::<Result<_>>()?;
    Ok(format!("{}\n", digest::of(&folders::repository(), &[], &texts)?))
}
