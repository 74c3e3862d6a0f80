//! The points at which a command can be killed: they are counted as they are passed, from the command's RUNNING to its end,
//! so that no list of them can go stale.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Signal, getpid, kill_process};

/// Counts, and kills this process at the point that the test has named.
#[derive(Debug)]
pub(crate) struct Points {
    folder: PathBuf,
    command: Mutex<Option<Command>>,
}

/// The command in hand.
#[derive(Debug)]
struct Command {
    passed: u64,
    /// The point that is the last one.
    dies_at: Option<Trap>,
}

/// Where it dies.
#[derive(Debug)]
enum Trap {
    /// At the point of this number.
    Number(u64),
    /// At the first point that is told in these words.
    Words(String),
}

impl Points {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder, command: Mutex::new(None) }
    }

    /// A command is taken up. A trap serves once.
    pub(crate) fn begin(&self) {
        let trap = self.folder.join("trap");
        let dies_at = std::fs::read_to_string(&trap).ok().map(|text| {
            let text = text.trim();
            text.parse().map_or_else(|_| Trap::Words(text.to_owned()), Trap::Number)
        });
        let _ = std::fs::remove_file(trap);
        *self.lock() = Some(Command { passed: 0, dies_at });
    }

    /// It has ended; a line in `over` says so.
    pub(crate) fn end(&self, seq: u64) {
        *self.lock() = None;
        self.write("over", &seq.to_string());
    }

    /// A point is passed, if it is not the last one.
    pub(crate) fn pass(&self, what: &str) {
        let mut command = self.lock();
        let Some(command) = command.as_mut() else { return };
        command.passed = command.passed.saturating_add(1);
        self.write("points", what);
        let last = match &command.dies_at {
            Some(Trap::Number(number)) => *number == command.passed,
            Some(Trap::Words(words)) => words == what,
            None => false,
        };
        if last {
            self.write("died", what);
            let _ = kill_process(getpid(), Signal::KILL);
            std::process::abort();
        }
    }

    fn write(&self, name: &str, line: &str) {
        let file = OpenOptions::new().create(true).append(true).open(self.folder.join(name));
        if let Err(error) = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())) {
            tracing::error!("{name} cannot be written: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Command>> {
        self.command.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
