//! A console that answers each line, and a screen of one pixel.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::engine::error::{EngineError, NO_SCREEN};
use crate::engine::{Console, DomainRef, Kind, Picture};

/// A guest that greets, and answers `ping` with `got ping`.
pub(super) fn console(name: &str) -> Console {
    let (give, from_guest) = mpsc::channel(16);
    let (to_guest, mut take) = mpsc::channel::<Bytes>(16);
    let greeting = format!("hello from {name}\r\n");
    tokio::spawn(async move {
        let mut line = BytesMut::new();
        let mut said = Bytes::from(greeting);
        while give.send(said).await.is_ok() {
            let Some(bytes) = take.recv().await else { return };
            line.extend_from_slice(&bytes);
            let mut answer = String::new();
            while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                let one = line.split_to(end.saturating_add(1));
                answer.push_str(&format!("got {}\r\n", String::from_utf8_lossy(&one).trim_end()));
            }
            said = Bytes::from(answer);
        }
    });
    Console { from_guest, to_guest }
}

/// Refuses what a container has not.
pub(super) fn has_screen(domain: DomainRef) -> Result<(), EngineError> {
    match domain.kind {
        Kind::Vm => Ok(()),
        Kind::Container => Err(EngineError::refuse(NO_SCREEN, "a container has no screen: use its console")),
    }
}

/// One black pixel.
pub(super) fn picture() -> Picture {
    Picture { mime: "image/x-portable-pixmap".to_owned(), bytes: Bytes::from_static(b"P6 1 1 255\n\0\0\0") }
}

/// A socket on which somebody greets as VNC does, and goes.
pub(super) fn screen() -> Result<OwnedFd, EngineError> {
    let broken = |error: std::io::Error| EngineError::refuse("engine", format!("no socket: {error}"));
    let (ours, mut theirs) = UnixStream::pair().map_err(broken)?;
    theirs.write_all(b"RFB 003.008\n").map_err(broken)?;
    Ok(OwnedFd::from(ours))
}
