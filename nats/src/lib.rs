//! The broker's configuration: who may connect, what each may say and hear, and where its data lies.
//!
//! The configuration is rendered from code, so that the permissions that run, the table in `README.md` and the
//! tests are one thing. [`testing`] starts a private broker with exactly this configuration.
//!
//! This crate never talks to an engine or a database, and no service depends on it outside its tests.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod config;
pub mod errors;
pub mod layout;
pub mod permissions;
pub mod port;
pub mod provision;
pub mod publishers;
pub mod readme;
pub mod recovery;
pub mod reload;
pub mod secrets;
pub mod server;
pub mod settings;
pub mod signin;
pub mod testing;
pub mod users;

pub use errors::NatsError;
pub use layout::Layout;
pub use users::User;
