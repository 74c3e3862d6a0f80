//! The door to the broker for the executor of libvirt, which lives in the host's network. What goes through is TLS from end to
//! end; here are neither its keys nor anybody's password.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};

use crate::broker::{HOST, PORT};

/// One executor comes, and comes again while the broker has not yet seen that it went.
const MOST: usize = 16;

/// Listens for ever. It holds nothing, so a signal ends it at once.
pub(crate) fn keep() -> Result<()> {
    let port: u16 = PORT.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("the door cannot be opened")?;
    println!("carries port {port} to {HOST}");
    carry_all(&listener, &format!("{HOST}:{PORT}"))
}

fn carry_all(listener: &TcpListener, target: &str) -> Result<()> {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let (client, _) = listener.accept().context("the door is broken")?;
        if open.fetch_add(1, Ordering::SeqCst) >= MOST {
            open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (open, target) = (Arc::clone(&open), target.to_owned());
        std::thread::spawn(move || {
            if let Err(error) = carry(&client, &target) {
                println!("a connection ended: {error}");
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Both ways, until either end has said all.
fn carry(client: &TcpStream, target: &str) -> io::Result<()> {
    let broker = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    std::thread::scope(|scope| {
        let back = scope.spawn(|| pour(&broker, client));
        let there = pour(client, &broker);
        let back = back.join().unwrap_or_else(|_| Err(io::Error::other("the way back broke")));
        there.and(back)
    })
}

fn pour(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let poured = io::copy(&mut from, &mut to).map(drop);
    // The other direction must not wait for somebody who has gone.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
    poured
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn what_is_said_goes_through_both_ways_and_an_end_is_passed_on() {
        let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = broker.local_addr().unwrap().to_string();
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = door.local_addr().unwrap();
        std::thread::spawn(move || carry_all(&door, &target));
        let mut client = TcpStream::connect(address).unwrap();
        let (mut seen, _) = broker.accept().unwrap();
        seen.write_all(b"INFO ").unwrap();
        let mut greeting = [0; 5];
        client.read_exact(&mut greeting).unwrap();
        client.write_all(b"PING").unwrap();
        let mut said = [0; 4];
        seen.read_exact(&mut said).unwrap();
        assert_eq!((&greeting, &said), (b"INFO ", b"PING"));
        drop(client);
        assert_eq!(seen.read(&mut said).unwrap(), 0);
    }
}
