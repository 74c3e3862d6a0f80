//! What the end-to-end tests stand on: a whole Orrery of one's own, made of the real parts, and the ways in which people
//! and programs meet it.
//!
//! Nothing is faked: the broker is nats-server with the configuration that is shipped, the database is PostgreSQL, the
//! engine is Docker, the services are the programs that are released. A test gets its own of each but the engine.

#![allow(clippy::print_stdout)] // What a failed test has to say.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod bundles;
pub mod daemon;
pub mod engine;
pub mod garbage;
pub mod history;
pub mod images;
pub mod installation;
pub mod live;
pub mod loss;
pub mod machines;
pub mod memory;
pub mod postgres;
pub mod private_registry;
pub mod publisher;
pub mod race;
pub mod registry;
pub mod service;
pub mod wait;

pub use api::{Answer, Api};
pub use engine::{Engine, Seen};
pub use installation::Installation;
pub use service::Service;
pub use wait::eventually;
