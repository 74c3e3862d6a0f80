//! One at a time: `up`, `down` and `restart` of one data folder wait for each other. The system lets go of the lock when
//! its holder ends, however that was.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

use crate::folders::Data;
use crate::say;

/// Held while processes are started or stopped.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for it.
    pub(crate) fn hold(data: &Data) -> Result<Self> {
        let path = data.run("change.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            say::step("waiting", "another up, down or restart of this data folder is at work");
            flock(&file, FlockOperation::LockExclusive).with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(Self { _file: file })
    }
}
