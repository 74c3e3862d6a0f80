//! Whether a service is healthy, asked from inside its own container, where there is neither a shell nor curl: the services on
//! their sockets, the broker on its loopback address.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::broker::MONITOR_PORT;
use crate::members::Member;

const PATIENCE: Duration = Duration::from_secs(3);

/// Fails with what the service waits for.
pub(crate) fn check(member: Member, data: &Path) -> Result<()> {
    match member {
        Member::Nats => {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, MONITOR_PORT)).context("the broker does not listen")?;
            stream.set_read_timeout(Some(PATIENCE))?;
            ask(stream, "/healthz?js-server-only=true")
        }
        Member::Api | Member::Projector | Member::DockerExecutor | Member::LibvirtExecutor => {
            let socket = data.join("run").join(format!("{}.sock", member.name()));
            let stream = UnixStream::connect(&socket).with_context(|| format!("nobody answers at {}", socket.display()))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            ask(stream, "/readyz")
        }
        Member::Postgres => bail!("PostgreSQL is asked by pg_isready"),
    }
}

/// A GET by hand; anything but 200 is what is waited for.
fn ask(mut stream: impl Read + Write, path: &str) -> Result<()> {
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.take(64 * 1024).read_to_string(&mut text).context("there is no answer")?;
    let (head, body) = text.split_once("\r\n\r\n").context("the answer is something strange")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "it waits: {body}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn answering(response: &'static str) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        let listener = UnixListener::bind(folder.path().join("run/api.sock")).unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(response.as_bytes()).unwrap();
        });
        let checked = check(Member::Api, folder.path());
        serving.join().unwrap();
        checked
    }

    #[test]
    fn a_service_is_healthy_when_it_waits_for_nothing() {
        assert!(answering("HTTP/1.1 200 OK\r\n\r\n{\"ready\":true}").is_ok());
        let waiting = answering("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"waiting_for\":[{\"what\":\"broker\"}]}");
        assert!(waiting.unwrap_err().to_string().contains("broker"));
        assert!(answering("nonsense").is_err());
    }

    #[test]
    fn nobody_there_is_not_healthy() {
        assert!(check(Member::Projector, Path::new("/nowhere")).is_err());
    }
}
