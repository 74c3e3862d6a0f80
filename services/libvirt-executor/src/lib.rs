//! The executor of machines. In this release it owns `machine.*` and `box.*` in the queue, and rejects each of them
//! truthfully, so that an installation with libvirt keeps one order and nothing waits for ever.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod machines;

pub use machines::NoMachinesYet;
