//! A private broker for tests: this very configuration, in a folder of its own, on a free port, gone with the value.
//!
//! Tests may kill and start it again; its data stays until the value is dropped.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::config;
use crate::errors::NatsError;
use crate::layout::Layout;
use crate::port;
use crate::provision;

use crate::publishers;
use crate::recovery::{self, Prepared};
use crate::reload;
use crate::server;
use crate::settings::{Settings, Tls};
pub use crate::signin::{Credentials, connect};
use crate::users::User;

const READY_WITHIN: Duration = Duration::from_secs(20);

/// A running broker of its own.
#[derive(Debug)]
pub struct Broker {
    folder: TempDir,
    settings: Settings,
    process: Option<Child>,
    disk: Option<SmallDisk>,
}

impl Broker {
    /// A broker with accounts and the publisher `ci`, without streams.
    pub async fn bare() -> Result<Self, NatsError> {
        Self::with(Settings::on_port(port::any()?)).await
    }

    /// A bare one that speaks TLS alone.
    pub async fn with_tls(pair: Tls) -> Result<Self, NatsError> {
        Self::with(Settings { tls: Some(pair), ..Settings::on_port(port::any()?) }).await
    }

    async fn with(settings: Settings) -> Result<Self, NatsError> {
        let folder = tempfile::Builder::new().prefix("orrery-nats-").tempdir().map_err(NatsError::file("create", std::env::temp_dir()))?;
        let mut broker = Self { folder, settings, process: None, disk: None };
        config::install(&broker.layout(), &broker.settings)?;
        broker.start().await?;
        Ok(broker)
    }

    /// A provisioned broker whose store is a disk of its own, of so many megabytes.
    pub async fn on_a_disk_of(megabytes: u32) -> Result<Self, NatsError> {
        let folder = tempfile::Builder::new().prefix("orrery-nats-").tempdir().map_err(NatsError::file("create", std::env::temp_dir()))?;
        let mut broker = Self { folder, settings: Settings::on_port(port::any()?), process: None, disk: None };
        config::install(&broker.layout(), &broker.settings)?;
        broker.disk = Some(SmallDisk::mount(&broker.layout().store(), megabytes)?);
        broker.start().await?;
        provision::provision(&broker.layout(), provision::ALL_ENGINES).await?;
        Ok(broker)
    }

    /// The small disk, when it has one.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// A broker with its streams, buckets and the installation's record.
    pub async fn provisioned() -> Result<Self, NatsError> {
        let broker = Self::bare().await?;
        provision::provision(&broker.layout(), provision::ALL_ENGINES).await?;
        Ok(broker)
    }

    /// Its data folder, as a service would see it in `ORRERY_DATA_DIR`.
    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// Where its files lie.
    pub fn layout(&self) -> Layout {
        Layout::new(self.folder.path())
    }

    /// Where it listens; the same after a restart.
    pub fn url(&self) -> String {
        self.settings.url()
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// A service user's credentials.
    pub fn credentials(&self, user: User) -> Result<Credentials, NatsError> {
        let path = self.layout().password(user);
        let password = std::fs::read_to_string(&path).map_err(NatsError::file("read", path))?;
        Ok(self.signed(user.name(), password.trim()))
    }

    /// A publisher's credentials; he is made, and the broker told, when there is none of that name.
    pub async fn publisher(&self, name: &str) -> Result<Credentials, NatsError> {
        let publisher = publishers::add(&self.layout(), name, &self.url())?;
        if config::install(&self.layout(), &self.settings)? {
            reload::reload(&self.layout(), &self.settings).await?;
        }
        Ok(self.signed(name, &publisher.password))
    }

    /// A connection as a service user.
    pub async fn connect(&self, user: User) -> Result<async_nats::Client, NatsError> {
        connect(&self.credentials(user)?).await
    }

    /// Starts it, after [`Self::kill`] or [`Self::stop`]; the data is still there.
    pub async fn start(&mut self) -> Result<(), NatsError> {
        let mut child = self.spawn(&self.layout().config())?;
        self.answers(&mut child, self.settings.port).await?;
        self.process = Some(child);
        Ok(())
    }

    /// Ends it, and opens its store for a recovery and for nobody else.
    pub async fn open_for_recovery(&mut self) -> Result<OpenForRecovery, NatsError> {
        self.stop()?;
        let prepared = recovery::prepare(&self.layout())?;
        let mut child = self.spawn(&prepared.config)?;
        let port = prepared.url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
        let answers = self.answers(&mut child, port).await;
        let open = OpenForRecovery { prepared, process: child, layout: self.layout() };
        answers.map(|()| open)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("nats-server.log")
    }

    fn spawn(&self, config: &Path) -> Result<Child, NatsError> {
        let path = self.log_path();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&path).map_err(NatsError::file("open", &path))?;
        let program = server::find()?;
        let mut command = self.disk.as_ref().map_or_else(|| Command::new(&program), |disk| disk.command(&program));
        command.arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().map_err(NatsError::file("run", program))
    }

    async fn answers(&self, child: &mut Child, port: u16) -> Result<(), NatsError> {
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if !matches!(child.try_wait(), Ok(None)) || Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(NatsError::NotReady { detail: self.log() });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Ends it with SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it with SIGTERM and waits.
    pub fn stop(&mut self) -> Result<(), NatsError> {
        self.signal("TERM")?;
        if let Some(mut child) = self.process.take() {
            child.wait().map_err(NatsError::file("wait for", "nats-server"))?;
        }
        Ok(())
    }

    /// The log that it wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn signal(&self, signal: &str) -> Result<(), NatsError> {
        let Some(pid) = self.pid() else { return Ok(()) };
        Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().map(drop).map_err(NatsError::file("run", "kill"))
    }

    fn signed(&self, name: &str, password: &str) -> Credentials {
        Credentials::new(&self.url(), name, password)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The store of a broker, open for a recovery; closed with the value.
#[derive(Debug)]
pub struct OpenForRecovery {
    /// Where it is, and who may come in.
    pub prepared: Prepared,
    process: Child,
    layout: Layout,
}

impl OpenForRecovery {
    /// Ends it with SIGTERM and waits.
    pub fn close(mut self) -> Result<(), NatsError> {
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().map_err(NatsError::file("run", "kill"))?;
        self.process.wait().map_err(NatsError::file("wait for", "nats-server"))?;
        recovery::clear(&self.layout)
    }
}

impl Drop for OpenForRecovery {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A file system in memory that only its keeper sees, and the programs that are run in it; gone with the value.
#[derive(Debug)]
pub struct SmallDisk {
    keeper: Child,
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts it in a namespace of its own, which a process that does nothing keeps.
    pub fn mount(path: &Path, megabytes: u32) -> Result<Self, NatsError> {
        let script = format!("mount -t tmpfs -o size={megabytes}m tmpfs '{}' && echo mounted && exec sleep infinity", path.display());
        let mut command = Command::new("unshare");
        command.args(namespaces()).args(["sh", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut keeper = command.spawn().map_err(NatsError::file("run", "unshare"))?;
        let mut said = [0_u8; 7];
        let heard = keeper.stdout.as_mut().map(|out| std::io::Read::read_exact(out, &mut said));
        let disk = Self { keeper, path: path.to_owned() };
        match heard {
            Some(Ok(())) => Ok(disk),
            Some(Err(error)) => Err(NatsError::file("mount a disk on", path)(error)),
            None => Err(NatsError::NotReady { detail: "the keeper of the disk says nothing".to_owned() }),
        }
    }

    /// A program that sees the disk.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.keeper.id().to_string()]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--mount").arg(program);
        command
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let _ = self.run(&["dd", "if=/dev/zero", &format!("of={}", self.ballast()), "bs=4096"]);
    }

    /// Gives it back.
    pub fn free(&self) -> Result<(), NatsError> {
        self.run(&["rm", &self.ballast()])
    }

    fn ballast(&self) -> String {
        self.path.join("ballast").display().to_string()
    }

    fn run(&self, command: &[&str]) -> Result<(), NatsError> {
        let [program, arguments @ ..] = command else { return Ok(()) };
        let mut command = self.command(Path::new(program));
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().map(drop).map_err(NatsError::file("run", program))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Who is not root is it in a namespace of users of his own.
fn namespaces() -> &'static [&'static str] {
    if is_root() { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
