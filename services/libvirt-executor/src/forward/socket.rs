//! Sockets that listen on the host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use orrery_machine::model::Protocol;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use super::Front;

/// How many connections may wait to be taken: while the limit is reached, they wait here.
const BACKLOG: i32 = 1024;

/// Something that listens.
pub(super) enum Listening {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Listens. On all addresses it is one socket for both families, where this host has both.
pub(super) fn listen(front: Front) -> io::Result<Listening> {
    match front.ip {
        Some(ip) => on(ip, front),
        None => match on(Ipv6Addr::UNSPECIFIED.into(), front) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse && error.kind() != io::ErrorKind::PermissionDenied => {
                on(Ipv4Addr::UNSPECIFIED.into(), front)
            }
            answer => answer,
        },
    }
}

fn on(ip: IpAddr, front: Front) -> io::Result<Listening> {
    let address = SocketAddr::new(ip, front.port);
    let kind = match front.protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    socket.set_nonblocking(true)?;
    if ip.is_ipv6() {
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    match front.protocol {
        Protocol::Tcp => {
            // What the connections of an earlier life left behind keeps nobody from listening.
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            TcpListener::from_std(socket.into()).map(Listening::Tcp)
        }
        Protocol::Udp => {
            socket.bind(&address.into())?;
            UdpSocket::from_std(socket.into()).map(Listening::Udp)
        }
    }
}
