//! Sealed values: anybody who has an executor's public key can seal one, and only that executor can open it.
//!
//! The form is the sealed box of NaCl (`crypto_box_seal`), which libraries of every language know: PyNaCl's `SealedBox`, libsodium,
//! TweetNaCl. What is sealed does not say to whom; a box for another key does not open.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::aead::OsRng;
use crypto_box::{PublicKey, SecretKey};
use orrery_contracts::{Sealed, SealingKey};
use thiserror::Error;

/// Why a value could not be sealed or opened. Never says anything of the value.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SealingError {
    /// What was given as a public key is none.
    #[error("the executor's public key is none: 32 bytes in base64 are wanted")]
    Key,
    /// It was not sealed, or sealed to another key.
    #[error("the value is not sealed to this executor's key; ask for the key again, and seal it anew")]
    Foreign,
    /// The library refused.
    #[error("the value could not be sealed")]
    Seal,
}

/// Seals a value to an executor.
///
/// # Errors
/// When the key is none.
pub fn seal(to: &SealingKey, value: &[u8]) -> Result<Sealed, SealingError> {
    let bytes = STANDARD.decode(&to.key).map_err(|_| SealingError::Key)?;
    let key = PublicKey::from_slice(&bytes).map_err(|_| SealingError::Key)?;
    key.seal(&mut OsRng, value).map(Sealed).map_err(|_| SealingError::Seal)
}

/// The secret half of an executor's key.
pub struct Opener(SecretKey);

impl Opener {
    /// The bytes of a key.
    pub const LENGTH: usize = crypto_box::KEY_SIZE;

    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(SecretKey::generate(&mut OsRng))
    }

    /// From bytes that [`Self::to_bytes`] gave.
    ///
    /// # Errors
    /// When they are not as many as a key has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealingError> {
        SecretKey::from_slice(bytes).map(Self).map_err(|_| SealingError::Key)
    }

    /// Its bytes, to be kept where nobody else reads them.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        self.0.to_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn key(&self) -> SealingKey {
        SealingKey { key: STANDARD.encode(self.0.public_key().as_bytes()) }
    }

    /// Opens what was sealed to it.
    ///
    /// # Errors
    /// When it was sealed to another, or not at all.
    pub fn open(&self, sealed: &Sealed) -> Result<Vec<u8>, SealingError> {
        self.0.unseal(&sealed.0).map_err(|_| SealingError::Foreign)
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_whom_it_is_meant_alone() {
        let (ours, theirs) = (Opener::generate(), Opener::generate());
        let sealed = seal(&ours.key(), b"pass\0word").unwrap();
        assert_eq!(ours.open(&sealed).unwrap(), b"pass\0word");
        assert_eq!(theirs.open(&sealed), Err(SealingError::Foreign));
        assert_eq!(ours.open(&Sealed(b"pass\0word".to_vec())), Err(SealingError::Foreign));
        assert_ne!(seal(&ours.key(), b"pass\0word").unwrap(), sealed, "nobody can tell that two values are the same");
        assert_eq!(Opener::from_bytes(&ours.to_bytes()).unwrap().open(&sealed).unwrap(), b"pass\0word");
    }

    #[test]
    fn a_key_that_is_none_is_told() {
        for key in ["", "AAAA", "not base64!"] {
            assert_eq!(seal(&SealingKey { key: key.to_owned() }, b"x"), Err(SealingError::Key));
        }
    }

    /// Sealed by libsodium (`crypto_box_seal`, by way of PyNaCl) to the public half of this key.
    #[test]
    fn a_box_of_another_library_opens() {
        let opener = Opener::from_bytes(&[7; 32]).unwrap();
        let sealed: Sealed = SEALED_BY_LIBSODIUM.to_owned().try_into().unwrap();
        assert_eq!(opener.open(&sealed).unwrap(), b"from elsewhere");
    }

    const SEALED_BY_LIBSODIUM: &str = "kGY4dGoAxnNvGSTITxPGqJt3YcsAONcQvSEc6Zw8WjcjKamx/JY9XXxsknR3wvmGyYquG6yTs9o2/Y5tWmU=";
}
