//! The whole executor as a process: on a broker of its own, and in the network of a libvirtd of its own, where its guests are.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use orrery_contracts::{Change, MachineId, MachineObservation, PolicyEntry, Quota, Role, TransitionMessage, subjects};
use orrery_nats::User;
use orrery_nats::testing::Broker;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::guests;
use super::libvirtd::Libvirtd;

/// How long anything may take: guests run in software, beside other tests.
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Wired {
    pub broker: Broker,
    pub libvirt: Libvirtd,
    api: jetstream::Context,
    eyes: jetstream::Context,
    process: Child,
    folder: tempfile::TempDir,
}

impl Wired {
    /// Starts everything, and imports the kernel and first file system of the tests' guest.
    pub async fn start() -> Self {
        let broker = Broker::provisioned().await.unwrap();
        let libvirt = Libvirtd::start();
        let folder = tempfile::tempdir().unwrap();
        let api = jetstream::new(broker.connect(User::Api).await.unwrap());
        let eyes = jetstream::new(broker.connect(User::LibvirtExecutor).await.unwrap());
        for key in ["user.ada", "publisher.api"] {
            let entry = PolicyEntry { role: Role::Admin, quota: Quota::default() };
            api.publish(format!("$KV.POLICY.{key}"), serde_json::to_vec(&entry).unwrap().into()).await.unwrap().await.unwrap();
        }
        bring_into(&libvirt, &broker.url());
        let process = executor(&broker, &libvirt, folder.path());
        let wired = Self { broker, libvirt, api, eyes, process, folder };
        let boot = guests::boot(wired.folder.path());
        for (name, file) in [("kernel", &boot.kernel), ("initrd", &boot.initrd)] {
            let content = std::fs::read(file).unwrap();
            let sha256: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
            let url = served(&wired.libvirt, content);
            wired.done("box.import", name, json!({"url": url, "sha256": sha256, "format": "file"})).await;
        }
        wired
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        self.process = executor(&self.broker, &self.libvirt, self.folder.path());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Enqueues and waits for the end.
    pub async fn run(&self, kind: &str, target: &str, payload: Value) -> (u64, Change) {
        let body = json!({"type": kind, "target": target, "payload": payload, "actor": "ada", "on_failure": "release"}).to_string();
        let subject = subjects::command("api", orrery_contracts::CommandId::new(Uuid::now_v7()));
        let seq = self.api.publish(subject, body.into()).await.unwrap().await.unwrap().sequence;
        let events = self.api.get_stream_no_info(subjects::EVENTS).await.unwrap();
        let what = format!("the end of {kind} {target}");
        let ended = until(&what, async || {
            let last = events.get_last_raw_message_by_subject(&subjects::transition(seq)).await.ok()?;
            let message: TransitionMessage = serde_json::from_slice(&last.payload).unwrap();
            matches!(message.change, Change::Done { .. } | Change::Cancelled { .. }).then_some(message.change)
        });
        (seq, ended.await)
    }

    /// The same of a command that must end well; answers its one line.
    pub async fn done(&self, kind: &str, target: &str, payload: Value) -> String {
        match self.run(kind, target, payload).await {
            (_, Change::Done { summary }) => summary,
            (_, other) => panic!("{kind} {target} ended as {other:?}; the executor says:\n{}", self.log()),
        }
    }

    /// The same of a command that must not be done; answers why.
    pub async fn refused(&self, kind: &str, target: &str, payload: Value) -> String {
        match self.run(kind, target, payload).await {
            (_, Change::Cancelled { reason }) => reason,
            (_, other) => panic!("{kind} {target} ended as {other:?}"),
        }
    }

    pub async fn id_of(&self, seq: u64) -> MachineId {
        let heads = self.eyes.get_stream_no_info("KV_HEADS").await.unwrap();
        let installation = heads.get_last_raw_message_by_subject("$KV.HEADS.installation").await.unwrap();
        let installation: Value = serde_json::from_slice(&installation.payload).unwrap();
        MachineId::derive(installation["id"].as_str().unwrap().parse().unwrap(), seq)
    }

    pub async fn machine(&self, id: MachineId) -> Option<MachineObservation> {
        let observed = self.eyes.get_stream_no_info(subjects::OBSERVED).await.unwrap();
        let last = observed.get_last_raw_message_by_subject(&subjects::observed("local", "machine", &id.to_string())).await.ok()?;
        serde_json::from_slice(&last.payload).ok()
    }

    /// What `virsh` says of this libvirt.
    pub fn virsh(&self, arguments: &[&str]) -> String {
        let output = Command::new("virsh").arg("-c").arg(self.libvirt.uris().vm).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Does something in the network of the guests' host.
    pub fn on_the_host<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(&self.libvirt.network(), work)
    }

    /// What a program answers to a client of the host that says this and then no more; none when nobody takes the connection or
    /// nothing is answered.
    pub fn asked(&self, port: u16, said: &[u8]) -> Option<Vec<u8>> {
        self.on_the_host(|| {
            let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut writer = stream.try_clone().unwrap();
            let said = said.to_vec();
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
}

impl Drop for Wired {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn executor(broker: &Broker, libvirt: &Libvirtd, folder: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    let uris = libvirt.uris();
    // It becomes the executor, so that its process is the executor's.
    Command::new("nsenter")
        .arg(format!("--net={}", libvirt.network().display()))
        .arg(env!("CARGO_BIN_EXE_orrery-libvirt-executor"))
        .env("ORRERY_NATS_URL", broker.url())
        .env("ORRERY_NATS_PASSWORD_FILE", broker.layout().password(User::LibvirtExecutor))
        .env("ORRERY_DATA_DIR", folder)
        .env("ORRERY_LOCK_DIR", folder.join("locks"))
        .env("ORRERY_LIBVIRT_URI", uris.vm)
        .env("ORRERY_LIBVIRT_LXC_URI", uris.container.unwrap())
        .env("ORRERY_LIBVIRT_POOL_DIR", libvirt.folder().join("pool"))
        .env("ORRERY_LIBVIRT_ACCEL", "tcg")
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log)
        .spawn()
        .unwrap()
}

/// Does something in another network: a thread of its own goes there.
#[allow(unsafe_code)]
fn within<T: Send>(network: &Path, work: impl FnOnce() -> T + Send) -> T {
    let name_space = File::open(network).unwrap();
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            // SAFETY: the descriptor is open, and only this thread moves.
            let moved = unsafe { libc::setns(name_space.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(moved, 0, "entering the network: {}", std::io::Error::last_os_error());
            work()
        });
        there.join().unwrap()
    })
}

/// Has the broker answer in the other network too, at the same address.
fn bring_into(libvirt: &Libvirtd, url: &str) {
    let address: SocketAddr = url.rsplit('/').next().unwrap().parse().unwrap();
    let listener = within(&libvirt.network(), || TcpListener::bind(address).unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(broker) = TcpStream::connect(address) else { continue };
            for (mut from, mut to) in [(client.try_clone().unwrap(), broker.try_clone().unwrap()), (broker, client)] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
}

/// An address of the other network at which this content is served.
fn served(libvirt: &Libvirtd, content: Vec<u8>) -> String {
    let listener = within(&libvirt.network(), || TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content));
        }
    });
    url
}
