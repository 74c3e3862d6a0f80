//! What the tests of this crate share.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod guests;
pub mod lab;
pub mod libvirtd;
pub mod wired;
