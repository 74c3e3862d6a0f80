//! The api on its real parts: PostgreSQL, nats-server and the projector, each of the test's own. Where an executor is
//! needed, the test publishes as one, so that every state can be had.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, unreachable_pub)]

mod accounts;
mod away;
mod bundles;
mod commands;
mod contract;
mod events;
mod machines;
mod page;
mod publishers;
mod questions;
mod races;
mod room;
mod stacks;
mod support;
mod uploads;
