//! The private PostgreSQL cluster: made once, reached by a Unix socket alone, with one role for each service.
//!
//! As root the cluster runs as the user `postgres`, since PostgreSQL refuses root. Every role signs in with a password
//! of its own, so it makes no difference who runs what.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::folders::{self, Data};
use crate::processes::{self, Identity};
use crate::say;
use crate::shell;
use crate::tools::postgres::{Account, Programs};

/// The port is part of the socket's name and of nothing else.
const PORT: &str = "5432";

const SUPERUSER: &str = "postgres";

/// The roles, with the words that they are made with.
const ROLES: [(&str, &str); 3] = [("owner", "orrery_owner"), ("projector", "orrery_projector"), ("api", "orrery_api")];

/// A Unix socket's path has at most so many bytes.
const LONGEST_SOCKET: usize = 107;

/// A cluster in a data folder.
pub(crate) struct Cluster<'a> {
    data: &'a Data,
    programs: &'a Programs,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(data: &'a Data, programs: &'a Programs) -> Self {
        Self { data, programs }
    }

    /// Makes the cluster, unless it is there.
    pub(crate) fn create(&self) -> Result<()> {
        let account = &self.programs.account;
        let files = files(self.data);
        own(&socket_folder(self.data), 0o755, account)?;
        if files.join("PG_VERSION").is_file() {
            return self.check_version(&files);
        }
        let began = Instant::now();
        // What an interrupted start left is not a cluster.
        if files.is_dir() {
            fs::remove_dir_all(&files).with_context(|| format!("cannot remove the unfinished {}", files.display()))?;
        }
        let unfinished = self.data.file("pg.new");
        if unfinished.is_dir() {
            fs::remove_dir_all(&unfinished)?;
        }
        own(&unfinished, 0o700, account)?;
        let password = self.superuser_password()?;
        let password_file = socket_folder(self.data).join("initdb.password");
        folders::write_private(&password_file, &password)?;
        account.own(&password_file)?;
        let made = shell::quiet(
            account
                .command(&self.programs.folder.join("initdb"))
                .args(["--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"])
                .args(["--auth=scram-sha-256", "--username", SUPERUSER])
                .arg("--pwfile")
                .arg(&password_file)
                .arg("--pgdata")
                .arg(&unfinished)
                .current_dir("/"),
        );
        fs::remove_file(&password_file)?;
        made?;
        fs::rename(&unfinished, &files)?;
        say::done("postgres", "a new cluster", began);
        Ok(())
    }

    fn check_version(&self, files: &Path) -> Result<()> {
        let made_by = folders::read_trimmed(&files.join("PG_VERSION")).unwrap_or_default();
        anyhow::ensure!(
            made_by == self.programs.major,
            "the cluster in {} was made by PostgreSQL {made_by}, and {} was found: install {made_by}, \
             or move the data with pg_upgrade",
            files.display(),
            self.programs.major
        );
        Ok(())
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Result<Identity> {
        self.forget_a_killed_one();
        let mut server = self.programs.account.command(&self.programs.folder.join("postgres"));
        server
            .arg("-D")
            .arg(files(self.data))
            .args(["-p", PORT, "-h", "", "-k"])
            .arg(socket_folder(self.data))
            .args(["-c", "max_connections=100", "-c", "shared_buffers=64MB"])
            // In files of its own: systemd-logind clears /dev/shm of an ordinary user's things when he signs out.
            .args(["-c", "dynamic_shared_memory_type=mmap"])
            .current_dir("/");
        processes::start_detached(&server, &self.data.log("postgres"))
    }

    /// A server that was killed leaves its lock files, and refuses to start while a process of that number is about: a zombie
    /// that nobody buries, or somebody else. Whoever works in the cluster's folder is the server; when nobody does, the files
    /// mean nothing.
    fn forget_a_killed_one(&self) {
        let files = files(self.data);
        let deadline = Instant::now() + Duration::from_secs(10);
        while processes::working_in(&files) {
            if Instant::now() > deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let socket = socket_folder(self.data);
        for file in [files.join("postmaster.pid"), socket.join(".s.PGSQL.5432.lock"), socket.join(".s.PGSQL.5432")] {
            let _ = fs::remove_file(file);
        }
    }

    /// Makes the database and the roles, unless they are there.
    pub(crate) fn provision(&self) -> Result<()> {
        for (role, name) in ROLES {
            let path = self.data.database_url(role);
            if path.is_file() {
                continue;
            }
            let password = new_password()?;
            // The role may be there from a start that was interrupted before its address was written.
            self.sql(
                "postgres",
                &format!(
                    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN \
                     CREATE ROLE {name} LOGIN; END IF; END $$; ALTER ROLE {name} PASSWORD '{password}'"
                ),
            )?;
            folders::write_private(&path, &self.url(name, &password, "orrery"))?;
        }
        let known = self.sql("postgres", "SELECT 1 FROM pg_database WHERE datname = 'orrery'")?;
        if known.trim().is_empty() {
            self.sql("postgres", "CREATE DATABASE orrery OWNER orrery_owner")?;
        }
        // PostgreSQL lets every role in here; ours have no business there.
        self.sql("postgres", "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")?;
        self.sql("orrery", "REVOKE ALL ON SCHEMA public FROM PUBLIC")?;
        Ok(())
    }

    fn url(&self, role: &str, password: &str, database: &str) -> String {
        let socket = socket_folder(self.data).display().to_string();
        let socket = socket.replace('%', "%25").replace('/', "%2F").replace(' ', "%20");
        format!("postgres://{role}:{password}@localhost:{PORT}/{database}?host={socket}")
    }

    fn sql(&self, database: &str, statement: &str) -> Result<String> {
        shell::quiet(
            shell::command(self.programs.folder.join("psql"))
                .env("PGPASSWORD", self.superuser_password()?)
                .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
                .args(["--set", "ON_ERROR_STOP=1", "--port", PORT, "--host"])
                .arg(socket_folder(self.data))
                .args(["--username", SUPERUSER, "--dbname", database])
                .args(["--command", statement]),
        )
    }

    /// Runs a file of statements at an address, all of it or nothing.
    pub(crate) fn run_file(&self, url: &str, file: &Path) -> Result<()> {
        shell::quiet(
            shell::command(self.programs.folder.join("psql"))
                .args(["--no-psqlrc", "--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1", "--dbname", url, "--file"])
                .arg(file),
        )
        .map(drop)
        .with_context(|| format!("{} does not run", file.display()))
    }

    fn superuser_password(&self) -> Result<String> {
        let path = self.data.database_url("superuser").with_extension("password");
        if let Some(password) = folders::read_trimmed(&path) {
            return Ok(password);
        }
        let password = new_password()?;
        folders::write_private(&path, &password)?;
        Ok(password)
    }
}

/// Whether the server says that it takes connections: the eighth line of its pid file.
pub(crate) fn answers(data: &Data) -> bool {
    fs::read_to_string(files(data).join("postmaster.pid")).is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
}

/// Where clients find it.
pub(crate) fn address(data: &Data) -> String {
    format!("unix:{}/.s.PGSQL.{PORT}", socket_folder(data).display())
}

fn files(data: &Data) -> PathBuf {
    data.file("pg")
}

/// The folder of the socket: in the data folder, or a short one where that path is too long for a socket.
fn socket_folder(data: &Data) -> PathBuf {
    let usual = data.run("pg");
    if usual.as_os_str().len() + "/.s.PGSQL.5432".len() <= LONGEST_SOCKET {
        return usual;
    }
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(data.root().as_os_str().as_encoded_bytes());
    let short: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(format!("/tmp/orrery-{short}"))
}

/// A folder that belongs to the database's user.
fn own(folder: &Path, mode: u32, account: &Account) -> Result<()> {
    folders::make(folder, mode)?;
    account.own(folder)
}

/// 32 random bytes as hexadecimal letters.
pub(crate) fn new_password() -> Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Runs the migrations as the owner.
pub(crate) fn migrate(data: &Data, projector: &Path) -> Result<()> {
    let url = folders::read_trimmed(&data.database_url("owner")).context("the database's owner has no address")?;
    let mut command = Command::new(projector);
    command.arg("migrate").env("ORRERY_DATABASE_OWNER_URL", url).env("ORRERY_DATA_DIR", data.root());
    shell::quiet(&mut command).map(drop).context("the database could not be migrated")
}
