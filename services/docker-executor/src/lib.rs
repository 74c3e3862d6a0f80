//! The docker-executor: converges the Docker Engine to a stack's version, in the queue's order, and says what it sees.
//!
//! [`definition`] says what a version wants, [`engine`] what there is and how to change it, [`plan`] compares the two
//! without any effect, [`converge`] carries a plan out step by step.
//!
//! **Invariants:** only [`engine`] talks to the engine; [`plan`] is pure; every effect of a command goes through a step of
//! its ledger; what the labels do not call ours is never touched.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm))]

pub mod commands;
pub mod converge;
pub mod definition;
pub mod engine;
pub mod files;
pub mod observe;
pub mod plan;
pub mod rpc;
pub mod secrets;
pub mod service;
