//! The network in which a daemon of the tests' own and its guests live: what is opened there is reached from there.

use std::fs::File;
use std::io::{Read as _, Result, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
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

/// Another host, joined to a network by a cable: what it sends comes from outside.
#[derive(Debug)]
pub struct Neighbour {
    /// Its network.
    pub network: Inside,
    /// Keeps it.
    keeper: Child,
}

impl Neighbour {
    /// Where it finds the host at the other end of its cable.
    pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

    /// Joins one to a network.
    ///
    /// # Errors
    /// When it cannot be made, which takes root.
    pub fn of(network: &Inside) -> anyhow::Result<Self> {
        let mut keep = Command::new("unshare");
        keep.args(["--net", "sh", "-c", "echo here; exec sleep infinity"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut keeper = keep.spawn().context("unshare does not run")?;
        let mut here = [0; 5];
        let heard = keeper.stdout.take().context("it says nothing")?.read_exact(&mut here);
        let made = heard.map_err(anyhow::Error::from).and_then(|()| Inside::of(keeper.id()));
        // From here on its keeper ends with it.
        let neighbour = match made {
            Ok(network) => Self { network, keeper },
            Err(error) => {
                let _ = keeper.kill();
                let _ = keeper.wait();
                return Err(error);
            }
        };
        let (pid, there) = (neighbour.keeper.id(), network.clone());
        there.run(move || ip(&format!("link add cable type veth peer name cable netns {pid}")))?;
        for (end, address) in [(network, Self::HOST), (&neighbour.network, IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2)))] {
            end.run(move || {
                ip(&format!("address add {address}/24 dev cable"))?;
                ip("link set lo up")?;
                ip("link set cable up")
            })?;
        }
        neighbour.network.run(|| ip(&format!("route add default via {}", Self::HOST)))?;
        Ok(neighbour)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn ip(words: &str) -> anyhow::Result<()> {
    let output = Command::new("ip").args(words.split(' ')).stdin(Stdio::null()).output().context("ip does not run")?;
    ensure!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Carries bytes one way until it ends.
fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to).and_then(|_| to.flush());
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}
