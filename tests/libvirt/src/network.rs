//! The network in which a daemon of the tests' own and its guests live: what is opened there is reached from there.

use std::fs::File;
use std::io::{Result, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use anyhow::Context as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network of its own.
#[derive(Clone, Debug)]
pub struct Inside(Arc<File>);

impl Inside {
    /// The network of a process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/ns/net");
        Ok(Self(Arc::new(File::open(&path).context(path)?)))
    }

    /// Does something there, on a thread of its own: sockets that it opens stay there, and so do processes that it starts.
    ///
    /// # Panics
    /// When `work` does, or the network cannot be entered.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let network = Arc::clone(&self.0);
        let there = move || -> Result<T> {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        };
        match std::thread::spawn(there).join() {
            Ok(entered) => entered.unwrap_or_else(|error| panic!("the network cannot be entered: {error}")),
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    }

    /// A port there.
    ///
    /// # Errors
    /// When it is taken.
    pub fn listen(&self, at: SocketAddr) -> Result<TcpListener> {
        self.run(move || TcpListener::bind(at))
    }

    /// Leads this port there to the same port here.
    ///
    /// # Errors
    /// When it is taken there.
    pub fn lead_out(&self, at: SocketAddr) -> Result<()> {
        let listener = self.listen(at)?;
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(there), Ok(here)) = (stream, TcpStream::connect(at)) else { continue };
                let (Ok(there_too), Ok(here_too)) = (there.try_clone(), here.try_clone()) else { continue };
                carry(there_too, here_too);
                carry(here, there);
            }
        });
        Ok(())
    }
}

/// Carries bytes one way until it ends.
fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to).and_then(|_| to.flush());
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}
