//! The files of uploads, and nothing of their rules.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Result, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use orrery_contracts::{Digest, Time, Upload, UploadOf};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The folder of them.
#[derive(Debug)]
pub(super) struct Files(pub(super) PathBuf);

impl Files {
    /// Where the bytes of an upload lie.
    pub(super) fn bytes_of(&self, id: Uuid) -> PathBuf {
        self.0.join(format!("{id}.part"))
    }

    fn record_of(&self, id: Uuid) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }

    fn sum_of(&self, id: Uuid) -> PathBuf {
        self.0.join(format!("{id}.sha256"))
    }

    /// Bytes that this user may still write to the disk.
    pub(super) fn free(&self) -> Result<u64> {
        fs::create_dir_all(&self.0)?;
        let disk = rustix::fs::statvfs(&self.0)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// The record comes last: an upload without one is none.
    pub(super) fn begin(&self, of: &UploadOf) -> Result<()> {
        fs::create_dir_all(&self.0)?;
        File::create(self.bytes_of(of.id))?.sync_all()?;
        self.write(self.record_of(of.id), &serde_json::to_vec(of)?)
    }

    /// Writes that all of it has come.
    pub(super) fn end(&self, id: Uuid, sum: &Digest) -> Result<()> {
        self.write(self.sum_of(id), sum.as_str().as_bytes())
    }

    /// Writes a small file, whole or not at all.
    fn write(&self, path: PathBuf, bytes: &[u8]) -> Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(new, path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Adds bytes at the end. What cannot be written whole is taken back.
    pub(super) fn append(&self, id: Uuid, at: u64, bytes: &[u8]) -> Result<()> {
        let file = OpenOptions::new().write(true).open(self.bytes_of(id))?;
        file.write_all_at(bytes, at).and_then(|()| file.sync_data()).inspect_err(|_| {
            let _ = file.set_len(at);
        })
    }

    /// Whether these bytes lie there.
    pub(super) fn has(&self, id: Uuid, at: u64, bytes: &[u8]) -> Result<bool> {
        let mut there = vec![0; bytes.len()];
        File::open(self.bytes_of(id))?.read_exact_at(&mut there, at)?;
        Ok(there == bytes)
    }

    /// The beginning of a file, hashed.
    pub(super) fn hash(&self, id: Uuid, bytes: u64) -> Result<Sha256> {
        let mut hash = Sha256::new();
        let mut file = File::open(self.bytes_of(id))?.take(bytes);
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hash),
                read => hash.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    }

    /// One upload; none when its record or its bytes are not there.
    pub(super) fn read(&self, id: Uuid) -> Result<Option<Upload>> {
        let Some(record) = unless_missing(fs::read(self.record_of(id)))? else { return Ok(None) };
        let Some(bytes) = unless_missing(fs::metadata(self.bytes_of(id)))? else { return Ok(None) };
        let sum = unless_missing(fs::read_to_string(self.sum_of(id)))?;
        let touched_at = Time::new(bytes.modified()?.into());
        let sha256 = sum.and_then(|sum| sum.parse().ok());
        Ok(Some(Upload { of: serde_json::from_slice(&record)?, received: bytes.len(), sha256, touched_at }))
    }

    /// All of them, oldest first.
    pub(super) fn all(&self) -> Result<Vec<Upload>> {
        let Some(entries) = unless_missing(fs::read_dir(&self.0))? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(id) = name.strip_suffix(".json").and_then(|id| id.parse().ok()) else { continue };
            all.extend(self.read(id)?);
        }
        all.sort_by_key(|upload| upload.of.id);
        Ok(all)
    }

    /// The record goes first: what is left behind it is no upload.
    pub(super) fn remove(&self, id: Uuid) -> Result<()> {
        for path in [self.record_of(id), self.sum_of(id), self.bytes_of(id)] {
            unless_missing(fs::remove_file(path))?;
        }
        Ok(())
    }

    /// Removes what belongs to no upload: a beginning or an end was interrupted.
    pub(super) fn sweep(&self) -> Result<()> {
        for entry in unless_missing(fs::read_dir(&self.0))?.into_iter().flatten() {
            let path = entry?.path();
            let id: Option<Uuid> = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            let belongs = match id {
                Some(id) => path.extension().is_some_and(|extension| extension != "new") && self.read(id)?.is_some(),
                None => false,
            };
            if !belongs {
                unless_missing(fs::remove_file(path))?;
            }
        }
        Ok(())
    }
}

fn unless_missing<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
