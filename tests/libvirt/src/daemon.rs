//! A libvirtd of a test's own, in name spaces of its own, with all its guests: it ends when the test does, however that
//! ends, and nothing of the machine's own libvirt is touched.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::network::Inside;

const SCRIPT: &str = include_str!("libvirtd.sh");

/// A daemon, and the folder that holds all its state.
#[derive(Debug)]
pub struct Libvirtd {
    folder: tempfile::TempDir,
    /// Part of the name of each of its domains: what is left of them in the machine's control groups goes by it.
    pub tag: String,
    child: Child,
    say: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
}

impl Libvirtd {
    /// Starts one that emulates every guest in software.
    ///
    /// # Errors
    /// When it does not start; it needs root, as mounting and bridges do.
    pub fn start() -> anyhow::Result<Self> {
        Self::run("without-kvm")
    }

    /// Starts one that may use KVM, where this machine has it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with_kvm() -> anyhow::Result<Self> {
        Self::run("with-kvm")
    }

    fn run(kvm: &str) -> anyhow::Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "a libvirtd of the tests' own needs root: run the tests as root");
        let folder = tempfile::Builder::new().prefix("orrery-virt").tempdir()?;
        // Root in a container is nobody here, and must reach its own root.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
        let script = folder.path().join("libvirtd.sh");
        std::fs::write(&script, SCRIPT)?;
        let mut child = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh"])
            .arg(&script)
            .arg(folder.path())
            .arg(kvm)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("log"))?)
            .spawn()
            .context("unshare does not run")?;
        let say = child.stdin.take();
        let hear = BufReader::new(child.stdout.take().context("the script has no output")?);
        let tag = format!("t{}", std::process::id());
        let mut daemon = Self { folder, tag, child, say, hear };
        daemon.expect("start")?;
        Ok(daemon)
    }

    /// Has it find out what QEMU can do, which it does once and takes long about on a busy machine: before anybody waits for it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn warmed(self) -> anyhow::Result<Self> {
        let asked = Command::new("virsh").args(["--connect", &self.vm(), "domcapabilities", "--virttype", "qemu"]).output()?;
        ensure!(asked.status.success(), "virsh: {}", String::from_utf8_lossy(&asked.stderr));
        Ok(self)
    }

    /// The folder that holds all its state.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The network that it lives in.
    ///
    /// # Errors
    /// When it has gone.
    pub fn network(&self) -> anyhow::Result<Inside> {
        Inside::of(self.child.id())
    }

    /// Where virtual machines are asked for.
    #[must_use]
    pub fn vm(&self) -> String {
        self.at("qemu")
    }

    /// Where containers are asked for.
    #[must_use]
    pub fn container(&self) -> String {
        self.at("lxc")
    }

    fn at(&self, driver: &str) -> String {
        format!("{driver}+unix:///system?socket={}", self.folder.path().join("run/libvirt/libvirt-sock").display())
    }

    /// Kills the daemon; its guests go on.
    ///
    /// # Errors
    /// When it does not do so.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.tell("kill")
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not do so.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.tell("start")
    }

    /// Hides QEMU from the daemon.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn hide_qemu(&mut self) -> anyhow::Result<()> {
        self.tell("hide")
    }

    /// Has it see QEMU again.
    ///
    /// # Errors
    /// When it was not hidden.
    pub fn show_qemu(&mut self) -> anyhow::Result<()> {
        self.tell("show")
    }

    fn tell(&mut self, word: &str) -> anyhow::Result<()> {
        writeln!(self.say.as_mut().context("nobody hears")?, "{word}")?;
        self.expect(word)
    }

    fn expect(&mut self, word: &str) -> anyhow::Result<()> {
        let mut line = String::new();
        self.hear.read_line(&mut line)?;
        let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        ensure!(line.trim() == word, "the daemon does not {word}:\n{}", log());
        Ok(())
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        // The script ends when nobody can say more, and everything in its name spaces with it.
        drop(self.say.take());
        let _ = self.child.wait();
        for folder in control_groups(&self.tag) {
            remove_group(&folder);
        }
    }
}

/// The control groups that guests of this tag leave behind.
fn control_groups(tag: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let controllers = root.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    controllers
        .chain([root.to_owned()])
        .flat_map(|controller| controller.join("machine").read_dir().into_iter().flatten().flatten())
        .filter(|entry| entry.file_name().to_string_lossy().contains(tag))
        .map(|entry| entry.path())
        .collect()
}

fn remove_group(folder: &Path) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_group(&entry.path());
        }
    }
    // One that still empties itself goes with the machine.
    let _ = std::fs::remove_dir(folder);
}
