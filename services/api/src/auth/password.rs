//! Passwords: argon2id, off the threads that answer, and no more of them at once than there are processors.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString, rand_core::OsRng};
use argon2::{Argon2, password_hash};
use tokio::sync::Semaphore;

use crate::problems::{Answer, Refusal};

/// A password has at least so many characters.
pub const LEAST: usize = 12;

/// Hashing takes 19 MiB and a processor: an attacker must not be able to ask for many at once.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// The hash of nobody's password: an unknown user takes as long as a wrong password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$mAqhVOBMyiuH7GWqRBGSYsNqj3PIRJbq+7Vuh1mqVfs";

/// Refuses what is too short or too long to be a password.
///
/// # Errors
/// 422 with the rule.
pub fn must_be_good(password: &str) -> Answer<()> {
    match password.chars().count() {
        count if count < LEAST => Err(Refusal::invalid(format!("the new password has {count} characters; {LEAST} are the least"))),
        count if count > 1024 => Err(Refusal::invalid("the new password has more than 1024 characters")),
        _ => Ok(()),
    }
}

/// The hash to keep.
///
/// # Errors
/// When hashing itself breaks.
pub async fn hash(password: String) -> Answer<String> {
    blocking(move || Argon2::default().hash_password(password.as_bytes(), &SaltString::generate(&mut OsRng)).map(|hash| hash.to_string()))
        .await
}

/// Whether this is the password behind the hash; without a hash it takes as long and is not.
///
/// # Errors
/// When hashing itself breaks.
pub async fn is_right(password: String, hash: Option<String>) -> Answer<bool> {
    blocking(move || {
        let known = hash.is_some();
        let text = hash.unwrap_or_else(|| NOBODY.to_owned());
        let parsed = PasswordHash::new(&text)?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known)
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> password_hash::Result<T> + Send + 'static) -> Answer<T> {
    let _turn = AT_ONCE.acquire().await.map_err(|error| Refusal::internal("hashing a password", &error))?;
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| Refusal::internal("hashing a password", &error))?;
    done.map_err(|error| {
        tracing::error!("hashing a password failed: {error}");
        Refusal::new(orrery_contracts::Code::Internal, "hashing a password failed; the log of the api says why")
    })
}

#[cfg(test)]
mod tests {
    use super::{hash, is_right, must_be_good};

    #[tokio::test]
    async fn only_the_password_itself_is_right() {
        let kept = hash("correct horse battery".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$"));
        assert!(is_right("correct horse battery".into(), Some(kept.clone())).await.unwrap());
        assert!(!is_right("correct horse batterz".into(), Some(kept)).await.unwrap());
        assert!(!is_right("anything".into(), None).await.unwrap());
        assert!(must_be_good("eleven char").is_err() && must_be_good("twelve chars").is_ok());
    }
}
