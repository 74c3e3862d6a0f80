//! Programs of the engine's host that listen on ports: a container can be given none of those. Known only where the engine
//! shares this process's network, which the other end of its socket tells.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use orrery_queue::ports::{Program, listening};

/// Who listens on these ports of the engine's host, as far as it can be known.
pub(super) fn on(engine: &str, ports: &BTreeSet<u16>) -> Vec<Program> {
    if ports.is_empty() || !shares_our_network(engine) { Vec::new() } else { listening(ports) }
}

/// Whether whoever listens on the engine's socket lives in the network namespace of this process.
fn shares_our_network(engine: &str) -> bool {
    let Some(path) = engine.strip_prefix("unix://") else { return false };
    let Ok(socket) = UnixStream::connect(path) else { return false };
    let Ok(peer) = rustix::net::sockopt::socket_peercred(&socket) else { return false };
    let network = |process: &str| fs::read_link(Path::new("/proc").join(process).join("ns/net")).ok();
    let theirs = network(&peer.pid.as_raw_nonzero().to_string());
    theirs.is_some() && theirs == network("self")
}
