//! A door for UDP: each peer has a socket of its own to the guest for as long as something moves, so that answers find their way.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Road;

/// How many peers a door knows at once; what others send is dropped.
const PEERS: usize = 1024;
/// How long a peer is known after the last datagram either way.
const QUIET: Duration = Duration::from_secs(90);
/// How many datagrams of a peer may wait; what comes on top is dropped, as any network would.
const WAITING: usize = 64;
/// The largest datagram.
const LARGEST: usize = 65_536;
/// A pause when the host's socket fails.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes datagrams until it is dropped.
pub(super) async fn serve(socket: UdpSocket, road: Road) {
    let socket = Arc::new(socket);
    let mut peers: HashMap<SocketAddr, mpsc::Sender<Bytes>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        tokio::select! {
            Some(ended) = tasks.join_next() => {
                if let Ok(peer) = ended {
                    peers.remove(&peer);
                }
            }
            received = socket.recv_from(&mut buffer) => match received {
                Ok((count, peer)) => {
                    let datagram = Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default());
                    if !peers.contains_key(&peer) && peers.len() >= PEERS {
                        road.refused("limit");
                        continue;
                    }
                    let to_guest = peers.entry(peer).or_insert_with(|| {
                        let (give, take) = mpsc::channel(WAITING);
                        let (socket, road) = (Arc::clone(&socket), road.clone());
                        tasks.spawn(async move {
                            carry(&socket, peer, take, &road).await;
                            peer
                        });
                        give
                    });
                    // One too many is one lost.
                    let _ = to_guest.try_send(datagram);
                }
                // The host tells of a peer that did not want its answer: that is the peer's own.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(error) => {
                    tracing::warn!(port = %road.way.front, "a datagram could not be taken: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// What a peer and the guest say to each other, until both are silent.
async fn carry(socket: &UdpSocket, peer: SocketAddr, mut take: mpsc::Receiver<Bytes>, road: &Road) {
    let Some(guest) = connect(road).await else { return road.refused("unreachable") };
    let _counted = road.counted();
    let (mut to_guest, mut from_guest) = (0_u64, 0_u64);
    let mut buffer = vec![0; LARGEST];
    let size = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let moved = async {
        loop {
            let said = tokio::select! {
                datagram = take.recv() => match datagram {
                    Some(datagram) => guest.send(&datagram).await.map(|count| to_guest = to_guest.saturating_add(size(count))),
                    None => return,
                },
                received = guest.recv(&mut buffer) => match received {
                    Ok(count) => {
                        from_guest = from_guest.saturating_add(size(count));
                        socket.send_to(buffer.get(..count).unwrap_or_default(), peer).await.map(drop)
                    }
                    Err(error) => Err(error),
                },
                () = sleep(QUIET) => return,
            };
            if said.is_err() {
                // Nobody listens in the guest, or the peer has gone: its next datagram begins anew.
                road.forget();
                return;
            }
        }
    };
    moved.await;
    road.carried(to_guest, from_guest);
}

async fn connect(road: &Road) -> Option<UdpSocket> {
    let target = road.target().await?;
    let any: IpAddr = if target.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await.ok()?;
    timeout(PAUSE, socket.connect(target)).await.ok()?.ok()?;
    Some(socket)
}
