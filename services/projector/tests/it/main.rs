//! The projector on a real PostgreSQL and a real NATS, each test with its own.
#![cfg(test)]
#![allow(unreachable_pub)] // A test binary has no outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod arrival;
mod feed;
mod observed;
mod recover;
mod replay;
mod rights;
mod shuffled;
mod stacks;
mod streams;
mod support;
mod transitions;
