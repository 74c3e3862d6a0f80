//! Processes that outlive the one who starts them: started detached, known by pid *and* start time, ended with deadlines.
//!
//! A pid alone proves nothing after a while: the system gives it to somebody else. The start time and the boot go with
//! it, and nothing is ever signalled that does not match all three.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// One process, for sure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// Clock ticks between the boot and the process's start.
    pub(crate) started: u64,
    /// Which boot.
    pub(crate) boot: String,
}

impl Identity {
    /// The identity of a process that runs now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: started(pid)?, boot: boot()? })
    }

    /// Whether this very process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal to this very process, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may end between the look and the signal; then there is nothing to do either.
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to end, and after the deadline makes it. Says whether it had to be made.
    pub(crate) fn end(&self, gently: Signal, within: Duration) -> Result<bool> {
        self.signal(gently);
        if self.is_gone_within(within) {
            return Ok(false);
        }
        self.signal(Signal::KILL);
        anyhow::ensure!(self.is_gone_within(Duration::from_secs(10)), "process {} does not end", self.pid);
        Ok(true)
    }

    fn is_gone_within(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.is_alive() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

/// The start time of a process that has not ended: the 22nd field of its stat, counted after the name (proc(5)).
///
/// A killed process is a zombie as soon as its first thread has ended; until the others have, it keeps its sockets, its
/// locks and its files, so until then it lives.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let (state, threads, started) = (fields.first()?, fields.get(17)?, fields.get(19)?);
    let ended = *state == "X" || (*state == "Z" && *threads == "1");
    if ended { None } else { started.parse().ok() }
}

/// Whether any process has this folder as its working directory.
pub(crate) fn working_in(folder: &Path) -> bool {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == folder))
}

fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Starts a program in a session of its own, with its output in a log file. The pid is the program's own: `setsid`
/// becomes it.
pub(crate) fn start_detached(program: &Command, log: &Path) -> Result<Identity> {
    let output = log_file(log)?;
    let mut command = Command::new("setsid");
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot start {}", program.get_program().to_string_lossy()))?;
    let identity = Identity::of(child.id())
        .with_context(|| format!("{} ended at once; see {}", program.get_program().to_string_lossy(), log.display()))?;
    // Somebody has to take note of its end while this process lives, or it would stay a zombie.
    std::thread::spawn(move || child.wait());
    Ok(identity)
}

fn log_file(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).with_context(|| format!("cannot open {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_more_than_its_pid() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let other_start = Identity { started: me.started + 1, ..me.clone() };
        assert!(!other_start.is_alive());
        let other_boot = Identity { boot: "another".to_owned(), ..me };
        assert!(!other_boot.is_alive());
    }

    #[test]
    fn a_detached_process_keeps_its_pid_and_ends_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut sleep = Command::new("sh");
        sleep.args(["-c", "echo $$; exec sleep 60"]);
        let identity = start_detached(&sleep, &log).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::read_to_string(&log).unwrap().is_empty() {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(fs::read_to_string(&log).unwrap().trim(), identity.pid.to_string());
        assert!(!identity.end(Signal::TERM, Duration::from_secs(10)).unwrap());
        assert!(!identity.is_alive());
    }

    #[test]
    fn one_that_does_not_listen_is_made_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut deaf = Command::new("sh");
        deaf.args(["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]);
        let identity = start_detached(&deaf, &log).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::read_to_string(&log).unwrap().is_empty() {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(identity.end(Signal::TERM, Duration::from_millis(200)).unwrap());
    }
}
