//! A PostgreSQL cluster of a test's own: real, private, on a socket in a folder that goes with it, with the roles of the
//! services and a database that waits for its migrations.
//!
//! Nothing here knows a table. It listens on no port, so that any number of them run side by side.

use std::path::{Path, PathBuf};
use std::process::Command;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use orrery_nats::testing::SmallDisk;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const ROLES: [&str; 3] = ["orrery_owner", "orrery_projector", "orrery_api"];

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    disk: Option<SmallDisk>,
    syncs: bool,
}

/// How long a process that was killed may take until it is gone.
const GONE_WITHIN: Duration = Duration::from_secs(20);

impl Cluster {
    /// A new cluster with the database `orrery`, empty, owned by `orrery_owner`.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_as(None, false)
    }

    /// The same with its data on a disk of so many megabytes, where one is named; `syncs` says whether it waits for its disk.
    ///
    /// # Errors
    /// As above, and when this is not root.
    pub fn start_as(megabytes: Option<u32>, syncs: bool) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("orrery-pg-").tempdir().context("make a folder")?;
        let mut cluster = Self { folder, programs: programs()?, disk: None, syncs };
        let data = cluster.data();
        std::fs::create_dir(&data).context("make a folder")?;
        if let Some(megabytes) = megabytes {
            ensure!(is_root(), "this test mounts a disk of its own, which only root may: run it as root");
            cluster.disk = Some(SmallDisk::mount(Path::new(&data), megabytes)?);
        }
        if is_root() {
            // The server refuses to be root, so the folders must be the other user's.
            run(cluster.seeing_the_disk("chown").args(["postgres", &data]).arg(cluster.folder.path()))?;
        }
        cluster.program("initdb", &["-D", &data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"])?;
        cluster.start_again()?;
        let roles: String = ROLES.map(|role| format!("CREATE ROLE {role} LOGIN;")).concat();
        cluster.sql("postgres", &roles)?;
        cluster.sql("postgres", "CREATE DATABASE orrery OWNER orrery_owner")?;
        // As in an installation: no role has any business there.
        cluster.sql("postgres", "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")?;
        cluster.sql("orrery", "REVOKE ALL ON SCHEMA public FROM PUBLIC")?;
        Ok(cluster)
    }

    /// The small disk, when it has one.
    #[must_use]
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// Copies its data while it does not run: what somebody keeps who makes a copy now and then.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn keep_copy(&self) -> anyhow::Result<()> {
        run(self.seeing_the_disk("cp").args(["--archive", &self.data(), &self.copy()]))
    }

    /// Puts the copy in place of its data, while it does not run.
    ///
    /// # Errors
    /// When there is none.
    pub fn restore_copy(&self) -> anyhow::Result<()> {
        run(self.seeing_the_disk("rm").args(["--recursive", &self.data()]))?;
        run(self.seeing_the_disk("cp").args(["--archive", &self.copy(), &self.data()]))
    }

    fn copy(&self) -> String {
        self.folder.path().join("copy").display().to_string()
    }

    fn seeing_the_disk(&self, program: &str) -> Command {
        self.disk.as_ref().map_or_else(|| Command::new(program), |disk| disk.command(Path::new(program)))
    }

    /// What a role connects with.
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        format!("postgres://{role}@localhost/orrery?host={}", self.folder.path().display())
    }

    /// Ends it as a crash would, by SIGKILL of each of its processes: no checkpoint, no farewell to its clients.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&self) -> anyhow::Result<()> {
        let server = self.server()?;
        // It makes no new process while they are counted.
        signal(server, Signal::STOP)?;
        let all: Vec<i32> = children(server).into_iter().chain([server]).collect();
        for pid in &all {
            // One of them may have come to its end by itself.
            let _ = signal(*pid, Signal::KILL);
        }
        let deadline = Instant::now() + GONE_WITHIN;
        while let Some(left) = all.iter().find(|pid| runs(**pid)) {
            ensure!(Instant::now() < deadline, "process {left} of the database outlives SIGKILL");
            std::thread::sleep(Duration::from_millis(5));
        }
        // Where nobody buries it, its number is still taken, and the next one would believe its lock files.
        let socket = self.folder.path().join(".s.PGSQL.5432").display().to_string();
        run(self.seeing_the_disk("rm").args(["--force", &self.pid_file(), &format!("{socket}.lock"), &socket]))
    }

    /// The processes of its server and of those who serve its clients.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pids(&self) -> anyhow::Result<Vec<u32>> {
        let server = self.server()?;
        Ok(children(server).into_iter().chain([server]).filter_map(|pid| u32::try_from(pid).ok()).collect())
    }

    /// The process id of its server: what its file says, if that is a server of this very folder.
    fn server(&self) -> anyhow::Result<i32> {
        let output = self.seeing_the_disk("head").args(["--lines=1", &self.pid_file()]).output().context("read its file")?;
        let pid: i32 = String::from_utf8_lossy(&output.stdout).trim().parse().context("the database does not run")?;
        let started = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        ensure!(started.split('\0').any(|word| word == self.data()), "process {pid} is not the database");
        Ok(pid)
    }

    fn pid_file(&self) -> String {
        format!("{}/postmaster.pid", self.data())
    }

    /// Starts it after [`Cluster::kill`]; its data is still there.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let folder = self.folder.path().display().to_string();
        let fsync = if self.syncs { "on" } else { "off" };
        let options = format!("-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync={fsync}");
        let log = format!("{folder}/log");
        self.program("pg_ctl", &["-D", &self.data(), "-l", &log, "-o", &options, "-w", "start"])
    }

    /// Whether it has ended, by itself too.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.program("pg_ctl", &["-D", &self.data(), "status"]).is_err()
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn sql(&self, database: &str, text: &str) -> anyhow::Result<()> {
        let folder = self.folder.path().display().to_string();
        self.program("psql", &["-h", &folder, "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-q", "-c", text])
    }

    fn program(&self, name: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let program = self.programs.join(name);
        let mut command = if is_root() { self.seeing_the_disk("runuser") } else { Command::new(&program) };
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        run(command.args(arguments).current_dir(self.folder.path()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // In order, so that no shared memory is left on the host. One that was killed already cannot be stopped again, which is as good.
        let _ = self.program("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }
}

fn signal(pid: i32, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(pid).context("no process has this number")?;
    kill_process(pid, signal).context("signal the database")
}

/// The fields of a process in the kernel's table behind its name: state, parent, … (`proc_pid_stat(5)`).
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

/// Whether it still does something: a zombie does not.
fn runs(pid: i32) -> bool {
    stat(pid).is_some_and(|fields| !matches!(fields.first().map(String::as_str), Some("Z" | "X")))
}

fn children(of: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|fields| fields.get(1) == Some(&of.to_string()))).collect()
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    // A server that outlives pg_ctl would keep a pipe open, so what is said goes to a file.
    let said = tempfile::tempfile().context("make a file")?;
    let status = command.stdin(std::process::Stdio::null()).stdout(said.try_clone()?).stderr(said.try_clone()?).status();
    let status = status.with_context(|| format!("run {command:?}"))?;
    let text = || {
        use std::io::{Read as _, Seek as _};
        let (mut said, mut text) = (&said, String::new());
        let _ = said.rewind().and_then(|()| said.read_to_string(&mut text));
        text
    };
    ensure!(status.success(), "{command:?} ended with {status}: {}", text());
    Ok(())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The folder of the newest server that Debian's packages have put here, else the one on the path.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let number = |path: &Path| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).filter(|path| path.join("bin/initdb").is_file()).max_by_key(|path| number(path));
    let on_path = || std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| folder.join("initdb").is_file());
    newest.map(|path| path.join("bin")).or_else(on_path).context("PostgreSQL is not installed: `cargo xtask up` says how")
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, PgConnection};

    use super::Cluster;

    #[tokio::test]
    async fn what_was_committed_survives_a_crash() {
        let cluster = Cluster::start().unwrap();
        let mut db = PgConnection::connect(&cluster.url("orrery_owner")).await.unwrap();
        sqlx::query("create table kept as select 7 as n").execute(&mut db).await.unwrap();
        cluster.kill().unwrap();
        assert!(PgConnection::connect(&cluster.url("orrery_owner")).await.is_err());
        cluster.start_again().unwrap();
        let mut db = PgConnection::connect(&cluster.url("orrery_api")).await.unwrap();
        let owner: String =
            sqlx::query_scalar("select tableowner::text from pg_tables where tablename = 'kept'").fetch_one(&mut db).await.unwrap();
        assert_eq!(owner, "orrery_owner");
    }
}
