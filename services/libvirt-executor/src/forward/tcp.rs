//! A door for TCP: each connection to it is one to the guest, byte for byte, each direction ended by itself.

use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Road;

/// How many connections a door carries at once; more wait to be taken.
const CONNECTIONS: usize = 1024;
/// How long a guest may take to answer a new connection.
const CONNECT: Duration = Duration::from_secs(5);
/// After so long a silence a peer is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(60);
/// A pause when the host cannot give another socket.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until it is dropped, and with it they end.
pub(super) async fn serve(listener: TcpListener, road: Road) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let road = road.clone();
                open.spawn(async move {
                    carry(client, &road).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(port = %road.way.front, "a connection could not be taken: {error}");
                sleep(PAUSE).await;
            }
        }
        while open.try_join_next().is_some() {}
    }
}

/// One connection. A guest that does not take it, or not yet, is one that closes it.
async fn carry(mut client: TcpStream, road: &Road) {
    let Some(target) = road.target().await else { return road.refused("unreachable") };
    let Ok(Ok(mut guest)) = timeout(CONNECT, TcpStream::connect(target)).await else {
        road.forget();
        return road.refused("unreachable");
    };
    let _counted = road.counted();
    for stream in [&client, &guest] {
        let keepalive = TcpKeepalive::new().with_time(QUIET);
        // A socket that has neither is slower, and finds out later who has gone.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
    // Who breaks off has broken off both ways: nobody is there to be told.
    if let Ok((to_guest, from_guest)) = copy_bidirectional(&mut client, &mut guest).await {
        road.carried(to_guest, from_guest);
    }
}
