//! Random values that prove who somebody is: made once, shown once, kept as a SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};

/// A secret of 256 random bits, as text.
pub(crate) fn made_up() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is kept of a secret. It has too many bits to be guessed, so one round is enough.
pub(crate) fn kept(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// A password that a person can type: six groups of four.
pub(crate) fn made_up_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";
    let mut bytes = [0_u8; 24];
    rand::rng().fill_bytes(&mut bytes);
    let letter = |byte: &u8| char::from(*LETTERS.get(usize::from(byte % 31)).unwrap_or(&b'a'));
    let groups: Vec<String> = bytes.chunks(4).map(|group| group.iter().map(letter).collect()).collect();
    groups.join("-")
}
