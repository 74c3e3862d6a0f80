//! Asking a service or an engine how it is: HTTP/1.0 by hand over a Unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

const PATIENCE: Duration = Duration::from_secs(3);

/// What a service says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Ready,
    /// It runs and waits, for these.
    Waits(Vec<String>),
    /// Nobody answers.
    Silent,
}

#[derive(Deserialize)]
struct Body {
    ready: bool,
    #[serde(default)]
    waiting_for: Vec<WaitingFor>,
}

#[derive(Deserialize)]
struct WaitingFor {
    what: String,
    #[serde(default)]
    detail: serde_json::Value,
}

/// Asks a service on its socket.
pub(crate) fn of_service(socket: &Path) -> Answer {
    let Some((_, body)) = unix(socket, "/readyz") else {
        return Answer::Silent;
    };
    match serde_json::from_str::<Body>(&body) {
        Ok(body) if body.ready => Answer::Ready,
        Ok(body) => Answer::Waits(body.waiting_for.into_iter().map(WaitingFor::spelled).collect()),
        Err(_) => Answer::Silent,
    }
}

impl WaitingFor {
    fn spelled(self) -> String {
        match self.detail {
            serde_json::Value::String(detail) if !detail.is_empty() => {
                format!("{} ({detail})", self.what)
            }
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => self.what,
        }
    }
}

/// Status and body of a GET over a Unix socket.
pub(crate) fn unix(socket: &Path, path: &str) -> Option<(u16, String)> {
    let stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    get(stream, path)
}

fn get(mut stream: impl Read + Write, path: &str) -> Option<(u16, String)> {
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.take(1024 * 1024).read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn answering(response: &'static str) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("x.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(response.as_bytes()).unwrap();
        });
        let answer = of_service(&socket);
        serving.join().unwrap();
        answer
    }

    #[test]
    fn a_service_says_that_it_is_ready_or_what_it_waits_for() {
        assert_eq!(answering("HTTP/1.0 200 OK\r\n\r\n{\"ready\":true,\"waiting_for\":[]}"), Answer::Ready);
        assert_eq!(
            answering(
                "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\r\n\
                 {\"ready\":false,\"waiting_for\":[{\"what\":\"broker\",\"detail\":\"refused\"}]}"
            ),
            Answer::Waits(vec!["broker (refused)".to_owned()])
        );
        assert_eq!(answering("nonsense"), Answer::Silent);
    }

    #[test]
    fn nobody_there_is_silence() {
        assert_eq!(of_service(Path::new("/nowhere/x.sock")), Answer::Silent);
    }
}
