//! A port for the broker: the usual one, the remembered one, or any free one.

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

/// Any free port.
pub fn any() -> Result<u16, NatsError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(NatsError::Port)
}
