//! A libvirtd of a test's own, the network that it lives in, and the smallest guest there is.

mod daemon;
mod network;
#[cfg(target_arch = "x86_64")]
pub mod sector;

pub use daemon::Libvirtd;
pub use network::{Inside, Neighbour};
