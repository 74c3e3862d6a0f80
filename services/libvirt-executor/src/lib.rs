//! The libvirt-executor: converges libvirt to a machine's version, in the queue's order, and says what it sees.
//!
//! [`definition`] says what a version wants, [`engine`] what there is and how to change it, [`plan`] compares the two without any
//! effect, `converge` carries a plan out step by step.
//!
//! **Invariants:** only [`engine`] talks to libvirt; [`plan`] is pure; every effect of a command is a step of its run; what the
//! metadata does not call ours is never touched; no disk goes without a word.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod commands;
pub mod console;
mod converge;
pub mod definition;
pub mod engine;
mod figures;
pub mod forward;
pub mod observe;
pub mod picture;
pub mod plan;
pub mod restart;
mod rpc;
pub mod service;
pub mod uploads;
