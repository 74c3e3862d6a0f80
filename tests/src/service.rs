//! One service of an installation as a process: started, asked whether it is ready, killed as a crash would, started
//! again.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// The services, in the order in which people name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// REST, SSE and the page.
    Api,
    /// Streams to Postgres.
    Projector,
    /// Owner of stacks and of the Docker Engine.
    DockerExecutor,
    /// Owner of machines.
    LibvirtExecutor,
}

impl Service {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Api, Self::Projector, Self::DockerExecutor, Self::LibvirtExecutor];

    /// Its name: of its socket, its log, and its user at the broker.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Projector => "projector",
            Self::DockerExecutor => "docker-executor",
            Self::LibvirtExecutor => "libvirt-executor",
        }
    }

    /// The program that is released under this name, built beside the tests.
    ///
    /// # Errors
    /// When it was not built.
    pub fn program(self) -> anyhow::Result<PathBuf> {
        let path = programs()?.join(format!("orrery-{}", self.name()));
        anyhow::ensure!(path.is_file(), "{} is not built; `cargo xtask test` builds it, so does `cargo build --workspace`", path.display());
        Ok(path)
    }
}

/// A program that serves tests alone, by its place beside the others: the docker-executor that is harmed is `examples/harmed`.
///
/// # Errors
/// When it was not built.
pub fn test_program(name: &str) -> anyhow::Result<PathBuf> {
    let path = programs()?.join(name);
    anyhow::ensure!(
        path.is_file(),
        "{} is not built; `cargo xtask test` builds it, so does `cargo build --workspace --all-targets`",
        path.display()
    );
    Ok(path)
}

/// The folder of the programs: the one that `ORRERY_PROGRAMS` names, else that of this test, with which they were built.
fn programs() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("ORRERY_PROGRAMS").filter(|named| !named.is_empty()) {
        return Ok(named.into());
    }
    let test = std::env::current_exe().context("where is this test?")?;
    let above = test.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name != "deps"));
    above.map(Path::to_path_buf).context("the test lies in no folder")
}

/// A service that runs, or has run.
#[derive(Debug)]
pub struct Process {
    service: Service,
    /// Another program than the one that is released.
    program: Option<PathBuf>,
    data: PathBuf,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Process {
    /// A service with this environment and nothing else of the tests' own; not started yet.
    #[must_use]
    pub fn new(service: Service, data: &Path, environment: Vec<(String, String)>) -> Self {
        Self { service, program: None, data: data.to_owned(), environment, child: None }
    }

    /// The docker-executor as the program that tests harm: it works with this folder, and is told these settings.
    ///
    /// # Errors
    /// When that program was not built.
    pub fn harmed(mut self, folder: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        self.program = Some(test_program("examples/harmed")?);
        self.set("ORRERY_HARM", &folder.display().to_string());
        for (name, value) in settings {
            self.set(name, value);
        }
        Ok(self)
    }

    /// The same service as on another host: with a data folder and a lock of its own there. Not started yet.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn elsewhere(&self, data: &Path) -> anyhow::Result<Self> {
        let mut other = Self::new(self.service, data, self.environment.clone());
        other.program.clone_from(&self.program);
        for (name, folder) in
            [("ORRERY_DATA_DIR", data.to_owned()), ("ORRERY_LOCK_DIR", data.join("lock")), ("ORRERY_HARM", data.join("harm"))]
        {
            std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
            other.set(name, &folder.display().to_string());
        }
        Ok(other)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it. It says by its socket when it is ready: see [`Process::ready`].
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.child.is_none(), "{} runs already", self.service.name());
        let log = self.log_path();
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        let log = OpenOptions::new().create(true).append(true).open(&log).with_context(|| format!("open {}", log.display()))?;
        let errors = log.try_clone().context("a second handle on the log")?;
        let program = self.program.clone().map_or_else(|| self.service.program(), Ok)?;
        let child = Command::new(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("run {}", self.service.name()))?;
        self.child = Some(child);
        Ok(())
    }

    /// What it runs with.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it says on its socket that it is ready; what it waits for otherwise.
    ///
    /// # Errors
    /// When it has ended, or does not answer.
    pub async fn ready(&mut self) -> anyhow::Result<Result<(), String>> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait().context("ask for its end")?
        {
            anyhow::bail!("{} has ended with {status}: {}", self.service.name(), self.tail(20));
        }
        let socket = self.data.join("run").join(format!("{}.sock", self.service.name()));
        let http = reqwest::Client::builder().unix_socket(socket).timeout(Duration::from_secs(5)).build()?;
        let answer = http.get("http://socket/readyz").send().await?;
        if answer.status().is_success() { Ok(Ok(())) } else { Ok(Err(answer.text().await?)) }
    }

    /// How it has ended, where it has by itself. It may be started again then.
    ///
    /// # Errors
    /// When that cannot be known.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait().context("ask for its end")?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// Ends it as a crash would, between any two instructions.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                anyhow::ensure!(status.success(), "{} ended with {status}: {}", self.service.name(), self.tail(20));
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        anyhow::bail!("{} did not end within 30 s of SIGTERM: {}", self.service.name(), self.tail(20))
    }

    /// Holds it still, as a paused machine would.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`Process::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let text = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.data.join("log").join(format!("{}.log", self.service.name()))
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{} does not run", self.service.name()))?;
        kill_process(pid, signal).with_context(|| format!("signal {}", self.service.name()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
