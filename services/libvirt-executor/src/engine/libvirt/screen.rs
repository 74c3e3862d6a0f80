//! Screens: a picture, or a socket on which the screen speaks VNC.

use std::os::fd::OwnedFd;

use bytes::{Bytes, BytesMut};
use virt::connect::Connect;
use virt::stream::Stream;

use super::{CALL, LibvirtEngine};
use crate::engine::error::{EngineError, NO_SCREEN};
use crate::engine::{DomainRef, Kind, Picture, raw};

/// The largest picture that is taken: more than a screen of 8,000 by 5,000 pixels.
const LARGEST: usize = 128 << 20;

/// A picture of the first screen.
pub(super) async fn screenshot(engine: &LibvirtEngine, domain: DomainRef) -> Result<Picture, EngineError> {
    has_screen(domain)?;
    // Read on the thread of streams: it blocks until the whole picture is there.
    engine.vm.long.ask(CALL, move |connection| take(connection, domain)).await
}

fn take(connection: &Connect, domain: DomainRef) -> Result<Picture, EngineError> {
    let domain = connection.lookup_domain_by_uuid(domain.uuid)?;
    let stream = Stream::new(connection, 0)?;
    let mime = domain.screenshot(&stream, 0, 0)?;
    let (mut bytes, mut buffer) = (BytesMut::new(), vec![0; 64 * 1024]);
    loop {
        let count = usize::try_from(stream.recv(&mut buffer)?).unwrap_or_default();
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if bytes.len() > LARGEST {
            return Err(EngineError::refuse("too_large", format!("the picture has more than {LARGEST} bytes")));
        }
    }
    stream.finish()?;
    Ok(Picture { mime, bytes: Bytes::from(bytes) })
}

/// A socket on which the first screen speaks.
pub(super) async fn graphics(engine: &LibvirtEngine, domain: DomainRef) -> Result<OwnedFd, EngineError> {
    has_screen(domain)?;
    engine.with(domain, CALL, |domain| Ok(raw::graphics(domain)?)).await
}

fn has_screen(domain: DomainRef) -> Result<(), EngineError> {
    match domain.kind {
        Kind::Vm => Ok(()),
        Kind::Container => Err(EngineError::refuse(NO_SCREEN, "a container has no screen: use its console")),
    }
}
