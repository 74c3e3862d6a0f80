//! The first start: an administrator, his password, and a token for scripts.
//!
//! It happens once in the life of a database; whoever comes second finds the user and does nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use uuid::Uuid;

use super::{password, secrets, tokens};
use crate::state::Api;

/// The first administrator's name.
pub const ADMINISTRATOR: &str = "admin";

/// Serialises first starts of several processes on one database.
const FIRST_START_LOCK: i64 = 0x6f72_7265_7279;

/// Why the administrator could not be made.
#[derive(Debug, Error)]
pub enum FirstStartError {
    /// The database is away, or not migrated yet.
    #[error("the database cannot be used")]
    Database(#[from] sqlx::Error),
    /// A file could not be written.
    #[error("cannot write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The password cannot be hashed, or is too short.
    #[error("{0}")]
    Password(String),
}

/// Makes the administrator when there is no user at all.
///
/// # Errors
/// When the database or a file cannot be written; nothing was made then.
pub async fn ensure_administrator(api: &Api) -> Result<(), FirstStartError> {
    let mut transaction = api.database.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", FIRST_START_LOCK).execute(&mut *transaction).await?;
    let users = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM auth.users"#).fetch_one(&mut *transaction).await?;
    if users > 0 {
        return Ok(());
    }
    let told = api.config.admin_password.clone();
    let (secret, made_up) = told.map_or_else(|| (secrets::made_up_password(), true), |given| (given, false));
    let refused =
        |refusal: crate::problems::Refusal| FirstStartError::Password(format!("ORRERY_ADMIN_PASSWORD: {}", refusal.problem().detail));
    password::must_be_good(&secret).map_err(refused)?;
    let hash = password::hash(secret.clone()).await.map_err(refused)?;
    let id = Uuid::now_v7();
    sqlx::query!("INSERT INTO auth.users (id, username, password_hash, role) VALUES ($1, $2, $3, 'admin')", id, ADMINISTRATOR, hash)
        .execute(&mut *transaction)
        .await?;
    let token = format!("{}{}", tokens::PREFIX, secrets::made_up());
    sqlx::query!(
        "INSERT INTO auth.tokens (id, user_id, name, token_hash) VALUES ($1, $2, 'first', $3)",
        Uuid::now_v7(),
        id,
        secrets::kept(&token)
    )
    .execute(&mut *transaction)
    .await?;
    write_private(&api.config.data_dir.join("admin.token"), &token)?;
    if made_up {
        write_private(&password_file(&api.config.data_dir), &secret)?;
    }
    transaction.commit().await?;
    announce(&secret, made_up);
    Ok(())
}

/// Says the made-up password once, where a person looks at the first start. It is not a line of the log.
fn announce(secret: &str, made_up: bool) {
    tracing::info!("made the administrator {ADMINISTRATOR:?}");
    if made_up {
        let line = format!("administrator: {ADMINISTRATOR}\npassword: {secret}\n");
        if let Err(error) = std::io::stdout().write_all(line.as_bytes()) {
            tracing::warn!("the administrator's password could not be printed, it is in admin.password: {error}");
        }
    }
}

/// Removes the file with the first password, once it is not the password any more.
pub(crate) async fn forget_the_password(data_dir: &Path) {
    let path = password_file(data_dir);
    match tokio::fs::remove_file(&path).await {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), "{} holds an old password and cannot be removed: {error}", path.display()),
    }
}

fn password_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.password")
}

/// Writes a file that its owner alone can read, whole or not at all.
fn write_private(path: &Path, content: &str) -> Result<(), FirstStartError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |source| FirstStartError::File { path: path.to_owned(), source };
    let part = path.with_extension("part");
    match std::fs::remove_file(&part) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(failed)?;
    file.write_all(format!("{content}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)
}
