//! Boxes from an address that does not behave: broken off, stalled, another file than was promised.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use orrery_contracts::{Change, Digest};
use serde_json::{Value, json};
use support::executor::{Lab, until};

/// Where the servers of these tests stop.
const HALF: usize = 1 << 20;

fn content() -> Vec<u8> {
    (0..3 * HALF).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect()
}

fn request(mut stream: &TcpStream) -> String {
    let mut text = [0; 4096];
    let read = stream.read(&mut text).unwrap();
    String::from_utf8_lossy(&text[..read]).to_lowercase()
}

/// Serves the first half and closes; then what is asked for. Tells each request.
fn breaks_off_once(listener: TcpListener, content: Vec<u8>) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        tell.send(request(&first)).unwrap();
        write!(first, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len()).unwrap();
        first.write_all(&content[..HALF]).unwrap();
        drop(first);
        let (mut second, _) = listener.accept().unwrap();
        let asked = request(&second);
        let from = asked.split("range: bytes=").nth(1).and_then(|rest| rest.split('-').next()).and_then(|from| from.parse().ok());
        let from: usize = from.unwrap_or_default();
        tell.send(asked).unwrap();
        let (left, all) = (content.len() - from, content.len());
        let range = format!("Content-Range: bytes {from}-{}/{all}", all - 1);
        write!(second, "HTTP/1.1 206 Partial Content\r\n{range}\r\nContent-Length: {left}\r\nConnection: close\r\n\r\n").unwrap();
        second.write_all(&content[from..]).unwrap();
    });
    told
}

fn payload(url: &str, content: &[u8]) -> Value {
    json!({"url": url, "sha256": Digest::of(content), "format": "file"})
}

#[tokio::test]
async fn a_download_that_broke_off_goes_on_where_it_was() {
    let lab = Lab::start().await;
    let (listener, content) = (lab.listen(), content());
    let url = format!("http://{}/box", listener.local_addr().unwrap());
    let asked = breaks_off_once(listener, content.clone());
    let why = lab.refused("box.import", "kernel", payload(&url, &content)).await;
    assert!(why.contains("broke off after"), "{why}");
    let done = lab.done("box.import", "kernel", payload(&url, &content)).await;
    assert_eq!(done, format!("box kernel imported: file, {} bytes", content.len()));
    let asked: Vec<String> = asked.into_iter().collect();
    assert!(!asked[0].contains("range:"), "{asked:?}");
    assert!(asked[1].contains(&format!("range: bytes={HALF}-")), "{asked:?}");
}

#[tokio::test]
async fn what_is_not_what_was_promised_is_thrown_away() {
    let lab = Lab::start().await;
    let mut wrong = lab.payload(content(), json!({"format": "file"}));
    wrong["sha256"] = json!(Digest::of(b"something else"));
    let why = lab.refused("box.import", "kernel", wrong).await;
    assert!(why.contains("was asked for; it was thrown away"), "{why}");
    assert_eq!(downloads(&lab), 0);
}

fn downloads(lab: &Lab) -> usize {
    std::fs::read_dir(lab.folder().join("downloads")).map_or(0, |all| all.flatten().count())
}

#[tokio::test]
async fn an_import_is_cancelled_in_the_middle_and_leaves_nothing() {
    let lab = Lab::start().await;
    let (listener, content) = (lab.listen(), content());
    let url = format!("http://{}/box", listener.local_addr().unwrap());
    let long = content.clone();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        request(&stream);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", long.len()).unwrap();
        stream.write_all(&long[..HALF]).unwrap();
        std::thread::sleep(Duration::from_secs(120));
    });
    let seq = lab.send("box.import", "kernel", payload(&url, &content)).await;
    until("half of it has come", async || (downloads(&lab) == 1).then_some(())).await;
    let began = Instant::now();
    lab.cancel(seq).await;
    let ended = lab.ended(seq).await;
    assert!(matches!(ended, Change::Cancelled { .. }), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(downloads(&lab), 0);
    lab.import("kernel", content, json!({"format": "file"})).await;
}
