//! Ports of the host that lead to machines. The executor carries them itself: a [door](Door) listens on the host for as long as
//! its machine runs, and every connection through it is one to the guest's address.
//!
//! What doors there should be follows from two things alone: which machines run, and the version that the metadata of each
//! names. So nothing is kept: whoever starts looks once, and then only when libvirt tells of something.

mod book;
mod doors;
mod keeper;
mod socket;
mod tcp;
mod udp;
mod way;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

pub use doors::{Doors, Unopened};
pub(crate) use keeper::{Blind, Keeper};
pub use way::{Front, Way, ways};

use crate::engine::DomainRef;

/// How long an address that was looked up counts, unless nobody answers there.
const KNOWN: Duration = Duration::from_secs(5);

/// Looks up the address of a domain's interface, by its hardware address.
pub type Find = Arc<dyn Fn(DomainRef, String) -> BoxFuture<'static, Option<IpAddr>> + Send + Sync>;

/// The way behind a door: where the guest is, and what is counted.
#[derive(Clone)]
struct Road {
    way: Arc<Way>,
    find: Find,
    known: Arc<Mutex<Option<(Instant, IpAddr)>>>,
}

impl Road {
    fn new(way: Way, find: Find) -> Self {
        Self { way: Arc::new(way), find, known: Arc::default() }
    }

    /// Where the guest's port is; none while nobody knows its address.
    async fn target(&self) -> Option<SocketAddr> {
        let guest = |ip| SocketAddr::new(ip, self.way.guest);
        if let Some(ip) = self.way.reserved {
            return Some(guest(ip));
        }
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, ip)) = known.filter(|(at, _)| at.elapsed() < KNOWN) {
            return Some(guest(ip));
        }
        let ip = (self.find)(self.way.domain, self.way.mac.clone()).await?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), ip));
        Some(guest(ip))
    }

    /// Nobody answers at the address that was known.
    fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn labels(&self) -> [(&'static str, String); 3] {
        let Front { port, protocol, .. } = self.way.front;
        [("machine", self.way.machine.to_string()), ("port", port.to_string()), ("protocol", protocol.as_str().to_owned())]
    }

    /// Counts a connection (of UDP, a peer), for as long as the answer lives.
    fn counted(&self) -> Counted {
        let labels = self.labels();
        metrics::counter!("orrery_forward_connections_total", &labels).increment(1);
        let open = metrics::gauge!("orrery_forward_connections", &labels);
        open.increment(1.0);
        Counted(open)
    }

    /// Counts what could not be carried: `unreachable` when the guest does not take it, `limit` when there are too many.
    fn refused(&self, why: &'static str) {
        let [machine, port, protocol] = self.labels();
        metrics::counter!("orrery_forward_refused_total", &[machine, port, protocol, ("reason", why.to_owned())]).increment(1);
    }

    /// Counts what was carried, in bytes.
    fn carried(&self, to_guest: u64, from_guest: u64) {
        let labels = self.labels();
        metrics::counter!("orrery_forward_to_guest_bytes_total", &labels).increment(to_guest);
        metrics::counter!("orrery_forward_from_guest_bytes_total", &labels).increment(from_guest);
    }
}

/// Something that is open, in the figures.
struct Counted(metrics::Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
