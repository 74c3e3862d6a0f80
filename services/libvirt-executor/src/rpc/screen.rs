//! A screen: its protocol (VNC, RFC 6143) both ways over a socket that libvirt hands out. No port is open anywhere.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Socket;

use orrery_queue::frames::{Closed, Frames};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{interval, timeout};

use super::views::{PIECE, SIGN_OF_LIFE, breathe, send};

/// The socket, as the runtime takes it.
pub(super) fn stream(socket: OwnedFd) -> std::io::Result<UnixStream> {
    let socket = Socket::from(socket);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

/// Tells until the guest or the asker ends it.
pub(super) async fn tell(screen: UnixStream, frames: &mut Frames) -> Result<(), Closed> {
    let (mut from_guest, mut to_guest) = screen.into_split();
    let (mut buffer, mut quiet) = (vec![0; PIECE], interval(SIGN_OF_LIFE));
    loop {
        while let Some(said) = frames.said() {
            // One that takes nothing for so long has hung, and would hold up its end.
            if !matches!(timeout(SIGN_OF_LIFE, to_guest.write_all(&said)).await, Ok(Ok(()))) {
                return Ok(());
            }
        }
        tokio::select! {
            word = frames.listen() => word?,
            read = from_guest.read(&mut buffer) => match read {
                Ok(count) if count > 0 => send(frames, buffer.get(..count).unwrap_or_default()).await?,
                Ok(_) | Err(_) => return Ok(()),
            },
            _ = quiet.tick() => breathe(frames).await?,
        }
    }
}
