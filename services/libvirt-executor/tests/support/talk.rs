//! Clients of the tests, on whichever host: what they say, and what they are answered.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use orrery_test_libvirt::Inside;

/// How long an answer may take.
const SOON: Duration = Duration::from_secs(20);

/// What is answered to a client that says this and then no more; none when nobody takes the connection or nothing is answered.
pub fn tcp(from: &Inside, to: SocketAddr, said: &[u8]) -> Option<Vec<u8>> {
    let said = said.to_vec();
    from.run(move || {
        let mut stream = TcpStream::connect_timeout(&to, SOON).ok()?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let write = std::thread::spawn(move || {
            let written = writer.write_all(&said);
            let _ = writer.shutdown(Shutdown::Write);
            written
        });
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        write.join().unwrap().ok()?;
        read.ok()?;
        Some(answer).filter(|answer| !answer.is_empty())
    })
}

/// The first line of a server that speaks first.
pub fn greeting(from: &Inside, to: SocketAddr) -> Option<String> {
    from.run(move || {
        let mut stream = TcpStream::connect_timeout(&to, SOON).ok()?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut words = [0; 64];
        let count = stream.read(&mut words).ok()?;
        String::from_utf8(words[..count].to_vec()).ok().filter(|words| !words.is_empty())
    })
}

/// A page of a server.
pub fn page(from: &Inside, to: SocketAddr, path: &str) -> Option<String> {
    from.run({
        let request = format!("GET {path} HTTP/1.0\r\nHost: {to}\r\n\r\n");
        move || {
            let mut stream = TcpStream::connect_timeout(&to, SOON).ok()?;
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream.write_all(request.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            head.contains(" 200 ").then(|| body.trim().to_owned())
        }
    })
}

/// What is answered to one datagram, from where it was sent to.
pub fn udp(from: &Inside, to: SocketAddr, said: &str) -> Option<String> {
    let said = said.to_owned();
    from.run(move || {
        let socket = UdpSocket::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket.connect(to).ok()?;
        socket.send(said.as_bytes()).ok()?;
        let mut answer = [0; 2048];
        let count = socket.recv(&mut answer).ok()?;
        String::from_utf8(answer[..count].to_vec()).ok().map(|answer| answer.trim().to_owned())
    })
}
