//! The process itself, against a real broker, on a host without libvirt: it waits for the broker, answers what can be answered, and
//! ends cleanly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use orrery_contracts::{PolicyEntry, Quota, Role, subjects};
use orrery_nats::User;
use orrery_nats::testing::Broker;

fn executor(broker: &Broker, folder: &Path) -> Child {
    let nowhere = format!("qemu+unix:///system?socket={}", folder.join("nobody").display());
    Command::new(env!("CARGO_BIN_EXE_orrery-libvirt-executor"))
        .env("ORRERY_NATS_URL", broker.url())
        .env("ORRERY_NATS_PASSWORD_FILE", broker.layout().password(User::LibvirtExecutor))
        .env("ORRERY_DATA_DIR", folder)
        .env("ORRERY_LOCK_DIR", folder.join("locks"))
        .env("ORRERY_LIBVIRT_URI", nowhere)
        .env("ORRERY_LIBVIRT_LXC_URI", "")
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
async fn without_libvirt_a_machine_can_be_defined_and_the_process_ends_cleanly() {
    let mut broker = Broker::provisioned().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    broker.stop().unwrap();
    let mut process = executor(&broker, folder.path());
    let waiting = until("readiness to name the broker", async || ready(folder.path()).filter(|answer| answer.contains("\"broker\""))).await;
    assert!(waiting.starts_with("HTTP/1.1 503"), "{waiting}");
    broker.start().await.unwrap();
    until("readiness", async || ready(folder.path()).filter(|answer| answer.starts_with("HTTP/1.1 200"))).await;

    let api = jetstream::new(broker.connect(User::Api).await.unwrap());
    for key in ["user.anna", "publisher.api"] {
        let entry = PolicyEntry { role: Role::Admin, quota: Quota::default() };
        api.publish(format!("$KV.POLICY.{key}"), serde_json::to_vec(&entry).unwrap().into()).await.unwrap().await.unwrap();
    }
    let events = api.get_stream_no_info(subjects::EVENTS).await.unwrap();
    let definition = r#"{"bundle":{"files":{"machine.yaml":"kind: vm\nsource: {box: debian}\n"}}}"#;
    for (kind, payload, end) in [
        ("machine.start", "{}", r#""reason":"rejected: there is no machine \"a\" of anna""#),
        ("machine.create", definition, r#""summary":"machine a made with version 1""#),
    ] {
        let command = subjects::command("api", orrery_contracts::CommandId::new(uuid::Uuid::now_v7()));
        let body = format!(r#"{{"type":"{kind}","target":"a","actor":"anna","payload":{payload}}}"#);
        let seq = api.publish(command, body.into()).await.unwrap().await.unwrap().sequence;
        let ended = until("the command to end", async || {
            let last = events.get_last_raw_message_by_subject(&subjects::transition(seq)).await.ok()?;
            let said = String::from_utf8_lossy(&last.payload).into_owned();
            (said.contains("\"DONE\"") || said.contains("\"CANCELLED\"")).then_some(said)
        })
        .await;
        assert!(ended.contains(end), "{kind}: {ended}");
    }

    assert!(Command::new("kill").arg(process.id().to_string()).status().unwrap().success());
    assert!(process.wait().unwrap().success());
}
