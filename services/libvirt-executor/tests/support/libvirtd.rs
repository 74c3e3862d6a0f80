//! A libvirtd of a test's own, in name spaces of its own, with all its guests: it ends when the test does, however that
//! ends, and nothing of the machine's own libvirt is touched.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use orrery_libvirt_executor::engine::libvirt::Uris;

const SCRIPT: &str = include_str!("libvirtd.sh");

/// A daemon, and the folder that holds all its state.
pub struct Libvirtd {
    folder: tempfile::TempDir,
    /// Part of the name of each of its domains.
    pub tag: String,
    child: Child,
    say: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
}

impl Libvirtd {
    /// Starts one that emulates every guest in software.
    pub fn start() -> Self {
        Self::run("without-kvm")
    }

    /// Starts one that may use KVM, where this machine has it.
    pub fn start_with_kvm() -> Self {
        Self::run("with-kvm")
    }

    /// Needs root, as mounting and bridges do.
    fn run(kvm: &str) -> Self {
        assert!(rustix::process::geteuid().is_root(), "a libvirtd of the tests' own needs root: run the tests as root");
        let folder = tempfile::Builder::new().prefix("orrery-virt").tempdir().unwrap();
        let script = folder.path().join("libvirtd.sh");
        std::fs::write(&script, SCRIPT).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh"])
            .arg(&script)
            .arg(folder.path())
            .arg(kvm)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("unshare runs");
        let say = child.stdin.take();
        let hear = BufReader::new(child.stdout.take().unwrap());
        let tag = format!("t{}", std::process::id());
        let mut daemon = Self { folder, tag, child, say, hear };
        daemon.expect("start");
        daemon
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it listens.
    pub fn uris(&self) -> Uris {
        let socket = self.folder.path().join("run/libvirt/libvirt-sock");
        let at = |driver: &str| format!("{driver}+unix:///system?socket={}", socket.display());
        Uris { vm: at("qemu"), container: Some(at("lxc")) }
    }

    /// The network of its guests' host.
    pub fn network(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.child.id()).into()
    }

    /// Kills the daemon; its guests go on.
    pub fn kill(&mut self) {
        self.tell("kill");
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.tell("start");
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.say.as_mut().unwrap(), "{word}").unwrap();
        self.expect(word);
    }

    fn expect(&mut self, word: &str) {
        let mut line = String::new();
        self.hear.read_line(&mut line).unwrap();
        let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert_eq!(line.trim(), word, "the daemon does not {word}:\n{}", log());
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
