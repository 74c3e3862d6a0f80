//! The listener: a connection whose other side takes nothing for a while, though something is sent, is closed. A reader who
//! does not read costs nobody else anything, and finds his place again when he comes back.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutWriter;

/// How long a write may wait for the other side.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much the kernel takes of what is not sent yet, in bytes; the rest is not made before there is room. Without it a reader
/// who does not read holds megabytes there (`tcp(7)`, `TCP_NOTSENT_LOWAT`).
const UNSENT: u32 = 128 * 1024;

/// A TCP listener with that patience.
pub struct Patient(pub TcpListener);

/// Who is on the other side.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Listener for Patient {
    type Io = Pin<Box<TimeoutWriter<TcpStream>>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        // The library's own listener goes on after errors of single connections, and after having no more files to open.
        let (stream, address) = Listener::accept(&mut self.0).await;
        // An event is worth a packet of its own.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
        let mut patient = TimeoutWriter::new(stream);
        patient.set_timeout(Some(PATIENCE));
        (Box::pin(patient), address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Patient>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Patient>) -> Self {
        Self(*stream.remote_addr())
    }
}
