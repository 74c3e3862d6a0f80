//! One executor for each engine and installation: a lock file, held for the life of the process. The folder is shared
//! by every executor that could reach the engine; the broker's compare-and-set is the second guard.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use orrery_contracts::Engine;
use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

/// What keeps a second executor away, for as long as it is held.
pub trait Guard: Send + Sync + 'static {
    /// Takes it for an engine and installation; none when another executor holds it. Dropping what it answers lets go.
    ///
    /// # Errors
    /// When that cannot be known.
    fn take(&self, engine: Engine, installation: Uuid) -> io::Result<Option<Box<dyn Send + Sync>>>;

    /// Where it is, for a person.
    fn place(&self, engine: Engine, installation: Uuid) -> String;
}

/// Lock files in a folder.
#[derive(Clone, Debug)]
pub struct LockFolder(pub PathBuf);

impl Guard for LockFolder {
    fn take(&self, engine: Engine, installation: Uuid) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let taken = EngineLock::take(&self.0, engine, installation)?;
        Ok(taken.map(|lock| Box::new(lock) as Box<dyn Send + Sync>))
    }

    fn place(&self, engine: Engine, installation: Uuid) -> String {
        EngineLock::path_in(&self.0, engine, installation).display().to_string()
    }
}

/// The lock, as long as this value lives.
#[derive(Debug)]
pub struct EngineLock {
    path: PathBuf,
    _file: File,
}

impl EngineLock {
    /// Takes the lock; none when another process holds it.
    ///
    /// # Errors
    /// When the folder or file cannot be made.
    pub fn take(folder: &Path, engine: Engine, installation: Uuid) -> io::Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        let path = Self::path_in(folder, engine, installation);
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0)?;
                writeln!(file, "{}", std::process::id())?;
                Ok(Some(Self { path, _file: file }))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the lock of an engine and installation lies.
    #[must_use]
    pub fn path_in(folder: &Path, engine: Engine, installation: Uuid) -> PathBuf {
        folder.join(format!("{engine}-{installation}.lock"))
    }

    /// Where this lock lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_executor_of_one_engine_and_installation_does_not_get_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let held = EngineLock::take(folder.path(), Engine::Docker, one).unwrap();
        assert!(held.is_some());
        assert!(EngineLock::take(folder.path(), Engine::Docker, one).unwrap().is_none());
        assert!(EngineLock::take(folder.path(), Engine::Libvirt, one).unwrap().is_some());
        assert!(EngineLock::take(folder.path(), Engine::Docker, other).unwrap().is_some());
        drop(held);
        assert!(EngineLock::take(folder.path(), Engine::Docker, one).unwrap().is_some());
    }
}
