//! Passwords: made from the system's randomness, kept in files that only their owner reads, hashed for the broker.
//!
//! The hash costs 2^4 rounds on purpose: it is over 32 random bytes, which no number of guesses finds, and the broker
//! computes it at every connection.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::errors::NatsError;

const HASH_COST: u32 = 4;

/// A new password: 32 random bytes, in letters that need no quoting anywhere.
pub fn new_password() -> Result<String, NatsError> {
    let mut bytes = [0_u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| NatsError::File {
        action: "read randomness from",
        path: "the system".into(),
        source: std::io::Error::other(error),
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The password in `path`, made and written there when it is not yet there.
pub fn password_at(path: &Path) -> Result<String, NatsError> {
    if let Some(known) = read_optional(path)? {
        let known = known.trim();
        if !known.is_empty() {
            return Ok(known.to_owned());
        }
    }
    let made = new_password()?;
    write_private(path, &made)?;
    Ok(made)
}

/// The hash of `password` for the configuration: the one in `path` while it fits, else a new one.
///
/// A hash is salted, so it is kept: rendering the same users twice gives the same text, and the broker is reloaded only
/// when something changed.
pub fn hash_at(path: &Path, user: &str, password: &str) -> Result<String, NatsError> {
    if let Some(known) = read_optional(path)?
        && bcrypt::verify(password, known.trim()).unwrap_or(false)
    {
        return Ok(known.trim().to_owned());
    }
    let hash = new_hash(user, password)?;
    write_private(path, &hash)?;
    Ok(hash)
}

/// A hash of `password` for the configuration.
pub fn new_hash(user: &str, password: &str) -> Result<String, NatsError> {
    let hashed = bcrypt::hash_with_result(password, HASH_COST).map_err(|source| NatsError::Hash { user: user.to_owned(), source })?;
    Ok(hashed.format_for_version(bcrypt::Version::TwoA))
}

/// A file's text, or nothing where there is no file.
pub fn read_optional(path: &Path) -> Result<Option<String>, NatsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NatsError::file("read", path)(error)),
    }
}

/// Writes a file that its owner alone may read, whole or not at all.
pub fn write_private(path: &Path, text: &str) -> Result<(), NatsError> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(NatsError::file("replace", &temporary)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(NatsError::file("create", &temporary))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(NatsError::file("write", &temporary))?;
    fs::rename(&temporary, path).map_err(NatsError::file("write", path))
}

/// Makes a folder that its owner alone may enter.
pub fn private_folder(path: &Path) -> Result<(), NatsError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(NatsError::file("create", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(NatsError::file("protect", path))
}
