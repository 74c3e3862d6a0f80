//! A port for the broker: the usual one, the remembered one, or any free one.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use crate::errors::NatsError;

/// The port that NATS clients expect.
pub const USUAL: u16 = 4222;

/// The first free one of `wanted`, else any that the system gives.
pub fn choose(wanted: &[u16]) -> Result<u16, NatsError> {
    match wanted.iter().copied().find(|port| is_free(*port)) {
        Some(port) => Ok(port),
        None => any(),
    }
}

/// Whether nobody listens on that port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Below the ports that the system gives to outgoing connections, so that none of them takes a port between the look and
/// the start.
const QUIET: std::ops::Range<u16> = 12_000..32_000;

/// How many of them are tried before the system is asked.
const TRIES: u32 = 50;

/// Any free port.
pub fn any() -> Result<u16, NatsError> {
    let span = u64::from(QUIET.end - QUIET.start);
    // A fresh state of the standard hasher is random.
    let mut tried =
        (0..TRIES).map(|_| QUIET.start.saturating_add(u16::try_from(RandomState::new().build_hasher().finish() % span).unwrap_or(0)));
    match tried.find(|port| is_free(*port)) {
        Some(port) => Ok(port),
        None => given(),
    }
}

fn given() -> Result<u16, NatsError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(NatsError::Port)
}
