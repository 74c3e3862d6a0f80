//! Doors on this host, with listeners of this host in the place of guests.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use orrery_contracts::MachineId;
use orrery_libvirt_executor::engine::DomainRef;
use orrery_libvirt_executor::forward::{Doors, Find, Front, Way};
use orrery_machine::model::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use uuid::Uuid;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SOON: Duration = Duration::from_secs(10);

/// A port that nobody has now.
async fn free(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Tcp => TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap().port(),
        Protocol::Udp => UdpSocket::bind((HERE, 0)).await.unwrap().local_addr().unwrap().port(),
    }
}

async fn way(protocol: Protocol, guest: u16) -> Way {
    let machine = MachineId::new(Uuid::from_u128(7));
    let front = Front { ip: Some(HERE), port: free(protocol).await, protocol };
    let (holder, mac) = ("machine web of ada".to_owned(), "52:54:00:00:00:07".to_owned());
    Way { front, machine, holder, domain: DomainRef::vm(machine.uuid()), guest, mac, reserved: Some(HERE) }
}

fn nobody_asks() -> Find {
    Arc::new(|_, _| async { None }.boxed())
}

/// A guest that says back everything once it has heard it all.
async fn repeats() -> u16 {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).await.unwrap();
                let _ = stream.write_all(&heard).await;
            });
        }
    });
    port
}

async fn connect(way: &Way) -> std::io::Result<TcpStream> {
    TcpStream::connect(SocketAddr::new(HERE, way.front.port)).await
}

/// What comes back of what is said.
async fn asked(way: &Way, said: &[u8]) -> Vec<u8> {
    let mut stream = connect(way).await.unwrap();
    let mut answer = Vec::new();
    let talk = async {
        let _ = stream.write_all(said).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    timeout(SOON, talk).await.expect("it is answered in time");
    answer
}

#[tokio::test]
async fn a_connection_is_carried_each_direction_to_its_own_end() {
    let (doors, way) = (Doors::default(), way(Protocol::Tcp, repeats().await).await);
    let (changed, unopened) = doors.set(vec![way.clone()], &nobody_asks()).await;
    assert!(changed && unopened.is_empty(), "{unopened:?}");
    let said: Vec<u8> = (0..3_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    assert!(asked(&way, &said).await == said, "everything comes back, after the client has said its last");
    assert_eq!(doors.of(way.machine).len(), 1);
    assert!(doors.held_by_others(way.machine).is_empty());
    assert_eq!(doors.held_by_others(MachineId::new(Uuid::nil()))[0].holder, "machine web of ada");
}

#[tokio::test]
async fn a_guest_that_does_not_listen_yet_is_one_that_closes() {
    let (doors, way) = (Doors::default(), way(Protocol::Tcp, free(Protocol::Tcp).await).await);
    doors.set(vec![way.clone()], &nobody_asks()).await;
    assert_eq!(asked(&way, b"anybody?").await, b"");
    let unknown = Way { reserved: None, ..way };
    let (changed, _) = doors.set(vec![unknown.clone()], &nobody_asks()).await;
    assert!(changed, "it leads elsewhere");
    assert_eq!(asked(&unknown, b"anybody?").await, b"", "an address that nobody knows is no error");
}

#[tokio::test]
async fn an_address_is_looked_up_once_for_many_connections_and_again_when_nobody_answers() {
    let looked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&looked);
    let find: Find = Arc::new(move |_, mac| {
        assert_eq!(mac, "52:54:00:00:00:07");
        count.fetch_add(1, Ordering::Relaxed);
        async { Some(HERE) }.boxed()
    });
    let (doors, way) = (Doors::default(), way(Protocol::Tcp, repeats().await).await);
    let way = Way { reserved: None, ..way };
    doors.set(vec![way.clone()], &find).await;
    for _ in 0..3 {
        assert_eq!(asked(&way, b"hello").await, b"hello");
    }
    assert_eq!(looked.load(Ordering::Relaxed), 1);
    let deaf = Way { guest: free(Protocol::Tcp).await, ..way };
    doors.set(vec![deaf.clone()], &find).await;
    for _ in 0..3 {
        assert_eq!(asked(&deaf, b"hello").await, b"");
    }
    assert_eq!(looked.load(Ordering::Relaxed), 4, "where nobody answers the address may be another one");
}

#[tokio::test]
async fn a_door_that_stays_keeps_its_connections_and_one_that_goes_ends_them() {
    let (doors, guest) = (Doors::default(), repeats().await);
    let (stays, goes) = (way(Protocol::Tcp, guest).await, way(Protocol::Tcp, guest).await);
    doors.set(vec![stays.clone(), goes.clone()], &nobody_asks()).await;
    let (mut kept, mut ended) = (connect(&stays).await.unwrap(), connect(&goes).await.unwrap());
    kept.write_all(b"before ").await.unwrap();
    ended.write_all(b"before ").await.unwrap();
    doors.set(vec![stays.clone()], &nobody_asks()).await;
    assert!(connect(&goes).await.is_err(), "nobody listens any more");
    let mut rest = Vec::new();
    let _ = timeout(SOON, ended.read_to_end(&mut rest)).await.expect("its connections end");
    assert_eq!(rest, b"");
    kept.write_all(b"and after").await.unwrap();
    kept.shutdown().await.unwrap();
    timeout(SOON, kept.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"before and after");
    let (changed, unopened) = doors.set(vec![stays], &nobody_asks()).await;
    assert!(!changed && unopened.is_empty());
}

#[tokio::test]
async fn a_port_that_somebody_has_is_told_and_disturbs_no_other() {
    let (doors, guest) = (Doors::default(), repeats().await);
    let taken = TcpListener::bind((HERE, 0)).await.unwrap();
    let (well, mut ill) = (way(Protocol::Tcp, guest).await, way(Protocol::Tcp, guest).await);
    ill.front.port = taken.local_addr().unwrap().port();
    let (_, unopened) = doors.set(vec![ill.clone(), well.clone()], &nobody_asks()).await;
    assert_eq!(unopened.len(), 1);
    assert!(unopened[0].way == ill && unopened[0].why.contains("in use"), "{unopened:?}");
    assert_eq!(asked(&well, b"hello").await, b"hello");
    drop(taken);
    let (changed, unopened) = doors.set(vec![ill.clone(), well], &nobody_asks()).await;
    assert!(changed && unopened.is_empty());
    assert_eq!(asked(&ill, b"hello").await, b"hello");
}

#[tokio::test]
async fn each_peer_of_udp_hears_its_own_answers() {
    let guest = UdpSocket::bind((HERE, 0)).await.unwrap();
    let (doors, way) = (Doors::default(), way(Protocol::Udp, guest.local_addr().unwrap().port()).await);
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((count, peer)) = guest.recv_from(&mut buffer).await {
            guest.send_to(&buffer[..count], peer).await.unwrap();
        }
    });
    doors.set(vec![way.clone()], &nobody_asks()).await;
    let peers = [UdpSocket::bind((HERE, 0)).await.unwrap(), UdpSocket::bind((HERE, 0)).await.unwrap()];
    for word in ["one", "two"] {
        for (at, peer) in peers.iter().enumerate() {
            peer.send_to(format!("{word} {at}").as_bytes(), SocketAddr::new(HERE, way.front.port)).await.unwrap();
        }
        for (at, peer) in peers.iter().enumerate() {
            let mut buffer = [0; 64];
            let (count, _) = timeout(SOON, peer.recv_from(&mut buffer)).await.expect("it is answered").unwrap();
            assert_eq!(buffer[..count], *format!("{word} {at}").as_bytes());
        }
    }
}
