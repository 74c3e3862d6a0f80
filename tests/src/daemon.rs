//! A Docker Engine of a test's own, which it may end and start again: with folders, a socket, addresses and a network
//! namespace of its own. One that has no default bridge would remove the host's `docker0` by its name.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bollard::Docker;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::wait::eventually;

/// A daemon, while it runs and between two runs.
#[derive(Debug)]
pub struct Daemon {
    folder: TempDir,
    process: Option<Child>,
}

impl Daemon {
    /// Starts one.
    ///
    /// # Errors
    /// When this is not root, or a program is missing; it says what is needed.
    pub async fn start() -> anyhow::Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "this test starts a daemon of its own, which only root may: run it as root");
        for (program, option, package) in
            [("dockerd", "--version", "docker.io"), ("unshare", "--version", "util-linux"), ("ip", "-V", "iproute2")]
        {
            let found = Command::new(program).arg(option).stdout(Stdio::null()).status().is_ok();
            ensure!(found, "this test starts a daemon of its own, and there is no {program} on the PATH: install {package}");
        }
        let mut daemon = Self { folder: tempfile::tempdir().context("make a folder")?, process: None };
        daemon.spawn().await?;
        Ok(daemon)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// Its address.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock"))
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn spawn(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.path("log"))?;
        // It becomes the daemon, under the same process id.
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sh", "-c", "ip link set lo up; exec dockerd \"$@\"", "sh"]);
        for (option, value) in [
            ("--host", self.host()),
            ("--data-root", self.path("data")),
            ("--exec-root", self.path("exec")),
            ("--pidfile", self.path("pid")),
            ("--bridge", "none".to_owned()),
            ("--default-address-pool", "base=10.219.0.0/16,size=24".to_owned()),
        ] {
            command.arg(option).arg(value);
        }
        command.args(["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--userland-proxy=false"]);
        self.process = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().context("run unshare")?);
        let answers = eventually("the daemon to answer", Duration::from_secs(60), || async {
            Docker::connect_with_host(&self.host())?.negotiate_version().await?;
            Ok(Some(()))
        });
        answers.await.with_context(|| std::fs::read_to_string(self.path("log")).unwrap_or_default())
    }

    /// Ends it as a restart of the service would, and waits until it has ended.
    ///
    /// # Errors
    /// When that cannot be waited for.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let _ = kill_process(Pid::from_child(&process), Signal::TERM);
        tokio::task::spawn_blocking(move || process.wait()).await??;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = kill_process(Pid::from_child(&process), Signal::TERM);
            let _ = process.wait();
        }
    }
}
