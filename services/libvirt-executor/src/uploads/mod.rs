//! Uploads: files that come over the broker in pieces, and lie in the data folder until a `box.import` has made a box of them. Each is
//! a record (`<id>.json`), its bytes (`<id>.part`), and at the end their checksum (`<id>.sha256`).
//!
//! **Invariants:** what was answered is on the disk; bytes are only ever added at the end; a checksum is there only for a whole file.

mod files;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use orrery_contracts::rpc::{UPLOAD_PIECE, UploadPiece};
use orrery_contracts::{Code, Digest, Problem, Upload, UploadOf};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use files::Files;

/// The largest file, unless the environment says otherwise.
const LARGEST: u64 = 128 << 30;
/// How many unfinished uploads one user may have, and how many there may be.
const MOST: (usize, usize) = (8, 64);
/// What is left free on the disk for everything else.
const SPARED: u64 = 512 << 20;

/// Why not.
pub type Refusal = Box<Problem>;

/// Bytes that were hashed as they came.
struct Hashed {
    hash: Sha256,
    bytes: u64,
}

/// What is written to one upload at a time.
type Turn = Arc<Mutex<Option<Hashed>>>;

/// The uploads of this host. Everything here blocks.
pub struct Uploads {
    files: Files,
    largest: u64,
    turns: Mutex<HashMap<Uuid, Turn>>,
}

impl std::fmt::Debug for Uploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uploads").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Uploads {
    /// The uploads in this folder; `ORRERY_UPLOAD_MAX_BYTES` says how large one may be.
    #[must_use]
    pub fn from_env(folder: PathBuf) -> Self {
        let largest = std::env::var("ORRERY_UPLOAD_MAX_BYTES").ok().and_then(|text| text.parse().ok());
        Self::new(folder, largest.unwrap_or(LARGEST))
    }

    /// The same, with the size of the largest.
    #[must_use]
    pub fn new(folder: PathBuf, largest: u64) -> Self {
        let files = Files(folder);
        if let Err(error) = files.sweep() {
            tracing::warn!("what is left of uploads stays: {error}");
        }
        Self { files, largest, turns: Mutex::default() }
    }

    /// All of them, or one.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self, id: Option<Uuid>) -> Result<Vec<Upload>, Refusal> {
        match id {
            Some(id) => Ok(self.files.read(id).map_err(unreadable)?.into_iter().collect()),
            None => self.files.all().map_err(unreadable),
        }
    }

    /// Begins one. The same again is the same.
    ///
    /// # Errors
    /// When it is too large, there are too many, or the disk has no room.
    pub fn begin(&self, of: UploadOf) -> Result<Upload, Refusal> {
        if of.size == 0 {
            return Err(refusal(Code::InvalidRequest, "size: an empty file is no box"));
        }
        if of.size > self.largest {
            let detail = format!("the file has {} bytes, and {} is the most (ORRERY_UPLOAD_MAX_BYTES)", of.size, self.largest);
            return Err(refusal(Code::TooLarge, detail));
        }
        // One at a time, so that all of them together have room.
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let there = self.files.all().map_err(unreadable)?;
        if let Some(same) = there.iter().find(|upload| upload.of.id == of.id) {
            return if same.of == of {
                Ok(same.clone())
            } else {
                Err(refusal(Code::IdempotencyKeyReused, "this Idempotency-Key was used for another upload; take a new one"))
            };
        }
        let unfinished = || there.iter().filter(|upload| upload.sha256.is_none());
        if unfinished().filter(|upload| upload.of.owner == of.owner).count() >= MOST.0 || there.len() >= MOST.1 {
            let detail = format!("{} has too many unfinished uploads; go on with them or cancel some", of.owner);
            return Err(refusal(Code::QuotaExceeded, detail));
        }
        let promised: u64 = unfinished().map(|upload| upload.of.size.saturating_sub(upload.received)).sum();
        let free = self.files.free().map_err(unwritable)?.saturating_sub(SPARED).saturating_sub(promised);
        if free < of.size {
            return Err(refusal(Code::DiskFull, format!("the file has {} bytes, and the host has room for {free}", of.size)));
        }
        self.files.begin(&of).map_err(unwritable)?;
        turns.insert(of.id, Turn::default());
        self.one(of.id)
    }

    /// Takes the next bytes; those that lie there already must be the same. The last ones end it.
    ///
    /// # Errors
    /// When there is no such upload, the bytes belong elsewhere, the disk is full, or the whole file is another than was expected;
    /// then it is thrown away.
    pub fn put(&self, piece: &UploadPiece) -> Result<Upload, Refusal> {
        let turn = Arc::clone(self.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(piece.id).or_default());
        let mut hashed = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let upload = self.one(piece.id)?;
        let new = self.new_bytes(&upload, piece)?;
        // All of it may lie there without its checksum: the end was interrupted.
        if upload.sha256.is_some() || new.is_empty() && upload.received < upload.of.size {
            return Ok(upload);
        }
        let (id, before) = (piece.id, upload.received);
        let mut so_far = match hashed.take().filter(|hashed| hashed.bytes == before) {
            Some(so_far) => so_far,
            None => Hashed { hash: self.files.hash(id, before).map_err(unreadable)?, bytes: before },
        };
        self.files.append(id, before, new).map_err(unwritable)?;
        so_far.hash.update(new);
        so_far.bytes = before.saturating_add(count(new));
        if so_far.bytes < upload.of.size {
            *hashed = Some(so_far);
            return self.one(id);
        }
        self.end(&upload.of, &so_far.hash.finalize())
    }

    /// What a piece has beyond what lies there.
    fn new_bytes<'a>(&self, upload: &Upload, piece: &'a UploadPiece) -> Result<&'a [u8], Refusal> {
        let (have, bytes) = (upload.received, piece.bytes.0.as_slice());
        let Some(again) = have.checked_sub(piece.at) else {
            let detail = format!("{have} bytes have come, and these begin at {}: go on at {have}", piece.at);
            return Err(refusal(Code::Conflict, detail));
        };
        if bytes.len() > UPLOAD_PIECE || piece.at.saturating_add(count(bytes)) > upload.of.size {
            return Err(refusal(Code::TooLarge, format!("the file was said to have {} bytes, and more came", upload.of.size)));
        }
        let (old, new) = bytes.split_at(usize::try_from(again).unwrap_or(usize::MAX).min(bytes.len()));
        if !self.files.has(upload.of.id, piece.at, old).map_err(unreadable)? {
            let detail =
                format!("these bytes differ from those that came before: this is another file; cancel the upload, or go on at {have}");
            return Err(refusal(Code::Conflict, detail));
        }
        Ok(new)
    }

    fn end(&self, of: &UploadOf, sum: &[u8]) -> Result<Upload, Refusal> {
        let sum: Digest = sum
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .parse()
            .map_err(|error| refusal(Code::Internal, format!("{error}")))?;
        if let Some(expected) = of.expected.as_ref().filter(|expected| **expected != sum) {
            let detail = format!("what came has SHA-256 {sum}, and {expected} was expected; it was thrown away");
            self.files.remove(of.id).map_err(unwritable)?;
            return Err(refusal(Code::InvalidRequest, detail));
        }
        self.files.end(of.id, &sum).map_err(unwritable)?;
        self.one(of.id)
    }

    /// Throws one away; one that is not there is as good.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, id: Uuid) -> Result<(), Refusal> {
        let turn = self.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(&id).unwrap_or_default();
        let _mine = turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.files.remove(id).map_err(unwritable)
    }

    /// A whole file with this checksum, and where it lies.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn whole(&self, sum: &Digest) -> Result<Option<(Upload, PathBuf)>, Refusal> {
        let found = self.list(None)?.into_iter().find(|upload| upload.sha256.as_ref() == Some(sum));
        Ok(found.map(|upload| (upload.clone(), self.files.bytes_of(upload.of.id))))
    }

    fn one(&self, id: Uuid) -> Result<Upload, Refusal> {
        self.files.read(id).map_err(unreadable)?.ok_or_else(|| {
            refusal(Code::NotFound, format!("there is no upload {id}: it was cancelled, became a box, or nobody came for it for a day"))
        })
    }
}

fn refusal(code: Code, detail: impl Into<String>) -> Refusal {
    Box::new(Problem::new(code, detail))
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn unreadable(error: std::io::Error) -> Refusal {
    tracing::warn!("uploads cannot be read: {error}");
    refusal(Code::Internal, format!("uploads cannot be read: {error}"))
}

fn unwritable(error: std::io::Error) -> Refusal {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    tracing::warn!("an upload cannot be written: {error}");
    let code = if matches!(error.kind(), StorageFull | QuotaExceeded) { Code::DiskFull } else { Code::Internal };
    refusal(code, format!("the host cannot write the upload: {error}; what came before stays"))
}

#[cfg(test)]
mod tests;
