//! The network in which a daemon of the tests' own and its guests live: what is opened there is reached from there.
#![allow(unsafe_code)] // A call of Linux that has no safe form here.

use std::fs::File;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

/// A network of its own.
#[derive(Clone, Debug)]
pub struct Inside(Arc<File>);

impl Inside {
    /// The network of a process.
    pub fn of(pid: u32) -> Self {
        Self(Arc::new(File::open(format!("/proc/{pid}/ns/net")).unwrap()))
    }

    /// Does something there, on a thread of its own: sockets that it opens stay there, and so do processes that it starts.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let network = Arc::clone(&self.0);
        let there = move || {
            // SAFETY: a descriptor that is open, and only this thread changes.
            assert_eq!(unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) }, 0, "{}", std::io::Error::last_os_error());
            work()
        };
        std::thread::spawn(there).join().unwrap()
    }

    /// A port there.
    pub fn listen(&self, at: SocketAddr) -> TcpListener {
        self.run(move || TcpListener::bind(at).unwrap())
    }

    /// Leads this port there to the same port here.
    pub fn lead_out(&self, at: SocketAddr) {
        let listener = self.listen(at);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(there), Ok(here)) = (stream, TcpStream::connect(at)) else { continue };
                carry(there.try_clone().unwrap(), here.try_clone().unwrap());
                carry(here, there);
            }
        });
    }
}

/// Carries bytes one way until it ends.
fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to).and_then(|_| to.flush());
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}
