//! A port for an installation that lives no longer than a test.

use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that the system gives to outgoing connections: none of them takes it while the installation is down
/// for a moment, as it would take one that was asked for with port 0.
const QUIET: std::ops::Range<u16> = 12_000..32_000;

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(QUIET);
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}
