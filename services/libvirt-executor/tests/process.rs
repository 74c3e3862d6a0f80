//! The process itself, against a real broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use orrery_contracts::subjects;
use orrery_nats::User;
use orrery_nats::testing::Broker;

fn executor(broker: &Broker, folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_orrery-libvirt-executor"))
        .env("ORRERY_NATS_URL", broker.url())
        .env("ORRERY_NATS_PASSWORD_FILE", broker.layout().password(User::LibvirtExecutor))
        .env("ORRERY_DATA_DIR", folder)
        .env("ORRERY_LOCK_DIR", folder.join("locks"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn ready(folder: &Path) -> Option<String> {
    let mut socket = UnixStream::connect(folder.join("run/libvirt-executor.sock")).ok()?;
    socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    Some(answer)
}

async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_machine_is_rejected_truthfully_and_the_process_ends_cleanly() {
    let mut broker = Broker::provisioned().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    broker.stop().unwrap();
    let mut process = executor(&broker, folder.path());
    let waiting = until("readiness to name the broker", async || ready(folder.path()).filter(|answer| answer.contains("\"broker\""))).await;
    assert!(waiting.starts_with("HTTP/1.1 503"), "{waiting}");
    broker.start().await.unwrap();
    until("readiness", async || ready(folder.path()).filter(|answer| answer.starts_with("HTTP/1.1 200"))).await;

    let api = jetstream::new(broker.connect(User::Api).await.unwrap());
    let command = subjects::command("api", orrery_contracts::CommandId::new(uuid::Uuid::now_v7()));
    let seq =
        api.publish(command, r#"{"type":"machine.create","target":"a","actor":"anna"}"#.into()).await.unwrap().await.unwrap().sequence;
    let events = api.get_stream_no_info(subjects::EVENTS).await.unwrap();
    let ended = until("the command to end", async || events.get_last_raw_message_by_subject(&subjects::transition(seq)).await.ok()).await;
    let ended: serde_json::Value = serde_json::from_slice(&ended.payload).unwrap();
    assert_eq!(ended["to"], "CANCELLED");
    let reason = ended["reason"].as_str().unwrap();
    assert!(reason.starts_with("rejected: machine.create: virtual machines and system containers are not part of"), "{reason}");

    assert!(Command::new("kill").arg(process.id().to_string()).status().unwrap().success());
    assert!(process.wait().unwrap().success());
}
