//! The query and command service: REST, server-sent events and the page.
//!
//! `queries` read Postgres, `commands` validate and publish, `streams` tell what happens. `router` is the one list of
//! routes; [`app`] serves `main` and the tests alike.
//!
//! **Invariants:** the read model is never written here; an accepted write is on the broker before it is answered; what
//! a caller may see is decided inside the one function that fetches it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod auth;
pub mod broker;
pub mod bundles;
pub mod commands;
pub mod config;
pub mod consistency;
mod drain;
pub mod executors;
pub mod extract;
pub mod feed;
pub mod figures;
pub mod health;
pub mod listener;
pub mod openapi;
pub mod page;
pub mod problems;
pub mod queries;
pub mod router;
mod service;
pub mod state;
pub mod streams;
pub mod uploads;

pub use router::app;
pub use service::{ServeError, background, serve};
pub use state::Api;
