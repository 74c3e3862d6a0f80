//! Streams to Postgres: the only writer of the read model.
//!
//! Messages come from the broker or from the raw copies ([`message`]), are gathered into batches in which every event finds
//! its command ([`inbox`]), become rows by one rule each ([`project`]), and are committed with copies, offsets and feed at
//! once ([`ingest`]). A [`session`] waits, compares the broker with what was seen ([`marks`]), follows, and ends with
//! whatever goes wrong; [`rebuild`] makes the rows anew beside those that are read; [`recover`], which is no part of the
//! service, puts back what a broker lost.
//!
//! **Invariants:** the service publishes and changes nothing on the broker; no message stops the projector, but one whose number has
//! changed its meaning; raw copies are appended to and never changed; no value in the read model comes from a clock here.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod changes;
pub mod database;
pub mod errors;
pub mod inbox;
pub mod ingest;
pub mod marks;
pub mod message;
pub mod project;
pub mod queries;
pub mod rebuild;
pub mod recover;
pub mod session;
pub mod source;
pub mod text;
pub mod verify;
