//! Who is asking, and what he may do: passwords, sessions, tokens, and the extractor that every handler but a few has.
//!
//! **Invariant:** secrets are stored as hashes only, and a credential in an address is never looked at.

pub mod audit;
pub mod first_start;
mod limits;
pub mod login;
pub mod logout;
pub mod me;
mod origin;
pub mod password;
pub mod password_change;
mod principal;
pub mod rights;
pub mod secrets;
mod sessions;
mod tokens;
pub mod users;

pub use principal::{Claim, Client, Principal, Via};
