//! What the tests of this crate share.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod asker;
pub mod certificate;
pub mod executor;
pub mod guests;
pub mod lab;
pub mod talk;

use orrery_libvirt_executor::engine::libvirt::Uris;
use orrery_test_libvirt::Libvirtd;

/// Where a daemon of the test's own listens.
pub fn uris(daemon: &Libvirtd) -> Uris {
    Uris { vm: daemon.vm(), container: Some(daemon.container()) }
}
