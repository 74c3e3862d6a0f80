//! The configuration of a broker that only a recovery can reach: the same store, on a port of its own, with one user whose
//! password is made for this once. Nobody has these rights while an installation runs.

use serde::Serialize;

use crate::config;
use crate::errors::NatsError;
use crate::layout::Layout;
use crate::port;
use crate::secrets;
use crate::settings::Settings;

/// The one user.
pub const USER: &str = "recovery";

/// Where the broker of a recovery will be.
#[derive(Debug, Serialize)]
pub struct Prepared {
    /// The configuration to start it with.
    pub config: std::path::PathBuf,
    /// Its address.
    pub url: String,
    /// The user's name.
    pub user: &'static str,
    /// The file with his password.
    pub password_file: std::path::PathBuf,
    /// What all streams together may take on the disk, in bytes.
    pub storage_bytes: u64,
}

/// Writes the configuration, with a new password.
pub fn prepare(layout: &Layout) -> Result<Prepared, NatsError> {
    let known =
        Settings::load(layout)?.ok_or_else(|| NatsError::NotReady { detail: format!("{} is not there", layout.settings().display()) })?;
    let settings = Settings { max_file_store: known.max_file_store, ..Settings::on_port(port::any()?) };
    let (config, password_file) = (layout.recovery_config(), layout.recovery_password());
    let password = secrets::new_password()?;
    secrets::write_private(&password_file, &password)?;
    let hash = secrets::new_hash(USER, &password)?;
    secrets::write_private(&config, &config::render_for_recovery(layout, &settings, USER, &hash))?;
    Ok(Prepared { config, url: settings.url(), user: USER, password_file, storage_bytes: settings.max_file_store })
}

/// Takes configuration and password away again.
pub fn clear(layout: &Layout) -> Result<(), NatsError> {
    for path in [layout.recovery_config(), layout.recovery_password()] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(NatsError::file("remove", path)(error)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
