//! A private broker for tests: this very configuration, in a folder of its own, on a free port, gone with the value.
//!
//! Tests may kill and start it again; its data stays until the value is dropped.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::config;
use crate::errors::NatsError;
use crate::layout::Layout;
use crate::port;
use crate::provision;

use crate::publishers;
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
        let mut broker = Self { folder, settings, process: None };
        config::install(&broker.layout(), &broker.settings)?;
        broker.start().await?;
        Ok(broker)
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
        let log_path = self.folder.path().join("nats-server.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&log_path).map_err(NatsError::file("open", &log_path))?;
        let program = server::find()?;
        let child = Command::new(&program)
            .arg("-c")
            .arg(self.layout().config())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(NatsError::file("run", program))?;
        self.process = Some(child);
        let deadline = Instant::now() + READY_WITHIN;
        while !self.answers() {
            let gone = match &mut self.process {
                Some(child) => !matches!(child.try_wait(), Ok(None)),
                None => true,
            };
            if gone || Instant::now() > deadline {
                return Err(NatsError::NotReady { detail: std::fs::read_to_string(&log_path).unwrap_or_default() });
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
        std::fs::read_to_string(self.folder.path().join("nats-server.log")).unwrap_or_default()
    }

    fn answers(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.settings.port)).is_ok()
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
