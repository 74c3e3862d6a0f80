//! The executor as a process of its own, on a broker and a libvirtd of a test's own. It lives in the daemon's network, as an executor does
//! that reaches its guests; the broker and what is downloaded are reached from there by the same addresses.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use orrery_contracts::{
    CancelRequest, Change, MachineId, MachineObservation, PolicyEntry, Quota, Role, StepEntry, StepMessage, Time, TransitionMessage,
    subjects,
};
use orrery_nats::User;
use orrery_nats::testing::Broker;
use orrery_test_libvirt::{Libvirtd, Neighbour};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::asker::Asker;
use super::certificate::Certificate;
use super::{guests, talk};

/// How long anything may take: guests run in software, beside other tests.
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Lab {
    broker: Broker,
    pub libvirt: Libvirtd,
    api: jetstream::Context,
    eyes: jetstream::Context,
    process: Child,
    folder: tempfile::TempDir,
    /// What the executor's host trusts.
    authority: Certificate,
}

impl Lab {
    pub async fn start() -> Self {
        let broker = Broker::provisioned().await.unwrap();
        let libvirt = Libvirtd::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = Certificate::new();
        std::fs::write(trusted(folder.path()), authority.pem()).unwrap();
        let api = jetstream::new(broker.connect(User::Api).await.unwrap());
        let eyes = jetstream::new(broker.connect(User::LibvirtExecutor).await.unwrap());
        for key in ["user.ada", "publisher.api"] {
            let entry = PolicyEntry { role: Role::Admin, quota: Quota::default() };
            api.publish(format!("$KV.POLICY.{key}"), serde_json::to_vec(&entry).unwrap().into()).await.unwrap().await.unwrap();
        }
        libvirt.network().unwrap().lead_out(broker.url().trim_start_matches("nats://").parse().unwrap()).unwrap();
        let process = executor(&broker, &libvirt, folder.path());
        Self { broker, libvirt, api, eyes, process, folder, authority }
    }

    /// A folder of the test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Somebody who asks the executor.
    pub async fn asker(&self) -> Asker {
        Asker(self.broker.connect(User::Api).await.unwrap())
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Tells the executor to end, and waits until it has.
    pub fn terminate(&mut self) {
        let told = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(told.success() && self.process.wait().unwrap().success(), "{}", self.log());
    }

    pub fn start_again(&mut self) {
        self.process = executor(&self.broker, &self.libvirt, self.folder.path());
    }

    pub async fn send(&self, kind: &str, target: &str, payload: Value) -> u64 {
        let body = json!({"type": kind, "target": target, "payload": payload, "actor": "ada", "on_failure": "release"}).to_string();
        let subject = subjects::command("api", orrery_contracts::CommandId::new(Uuid::now_v7()));
        self.api.publish(subject, body.into()).await.unwrap().await.unwrap().sequence
    }

    /// Asks that a command of one attempt be cancelled.
    pub async fn cancel(&self, seq: u64) {
        let at = Time::new(std::time::SystemTime::now().into());
        let request = CancelRequest { event_id: Uuid::now_v7(), seq, attempt: 1, at, by: "ada".into() };
        self.api.publish(subjects::cancel(seq), serde_json::to_vec(&request).unwrap().into()).await.unwrap().await.unwrap();
    }

    /// Enqueues and waits for the end.
    pub async fn run(&self, kind: &str, target: &str, payload: Value) -> (u64, Change) {
        let seq = self.send(kind, target, payload).await;
        (seq, self.ended(seq).await)
    }

    pub async fn ended(&self, seq: u64) -> Change {
        until(&format!("the end of command {seq}"), async || self.end_of(seq).await).await
    }

    /// How a command ended, when it has.
    pub async fn end_of(&self, seq: u64) -> Option<Change> {
        let events = self.api.get_stream_no_info(subjects::EVENTS).await.unwrap();
        let last = events.get_last_raw_message_by_subject(&subjects::transition(seq)).await.ok()?;
        let message: TransitionMessage = serde_json::from_slice(&last.payload).unwrap();
        match message.change {
            Change::Done { .. } | Change::Cancelled { .. } => Some(message.change),
            Change::Pending {} | Change::Running { .. } | Change::Failed { .. } => None,
        }
    }

    /// The same of a command that must end well; answers its one line.
    pub async fn done(&self, kind: &str, target: &str, payload: Value) -> String {
        match self.run(kind, target, payload).await {
            (_, Change::Done { summary }) => summary,
            (seq, other) => {
                panic!("{kind} {target} ended as {other:?}; steps: {:#?}; the executor says:\n{}", self.steps(seq).await, self.log())
            }
        }
    }

    pub async fn steps(&self, seq: u64) -> Vec<String> {
        let events = self.api.get_stream_no_info(subjects::EVENTS).await.unwrap();
        let (mut all, mut from) = (Vec::new(), 1);
        while let Ok(message) = events.get_first_raw_message_by_subject(subjects::step(seq), from).await {
            from = message.sequence + 1;
            let step: StepMessage = serde_json::from_slice(&message.payload).unwrap();
            match step.entry {
                StepEntry::Started { action, subject, .. } => all.push(format!("{action} {subject}")),
                StepEntry::Planned { plan } => {
                    all.extend(plan.actions.iter().map(|action| format!("planned: {} ({})", action.action, action.reason)))
                }
                StepEntry::Opened { .. } | StepEntry::Ended { .. } | StepEntry::Closed { .. } => {}
            }
        }
        all
    }

    pub async fn machine(&self, id: MachineId) -> Option<MachineObservation> {
        let observed = self.eyes.get_stream_no_info(subjects::OBSERVED).await.unwrap();
        let last = observed.get_last_raw_message_by_subject(&subjects::observed("local", "machine", &id.to_string())).await.ok()?;
        serde_json::from_slice(&last.payload).ok()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What `virsh` says of this libvirt.
    pub fn virsh(&self, arguments: &[&str]) -> String {
        virsh(&self.libvirt.vm(), arguments)
    }

    /// The same of its containers.
    pub fn virsh_lxc(&self, arguments: &[&str]) -> String {
        virsh(&self.libvirt.container(), arguments)
    }

    pub async fn id_of(&self, seq: u64) -> MachineId {
        let heads = self.eyes.get_stream_no_info("KV_HEADS").await.unwrap();
        let installation = heads.get_last_raw_message_by_subject("$KV.HEADS.installation").await.unwrap();
        let installation: Value = serde_json::from_slice(&installation.payload).unwrap();
        MachineId::derive(installation["id"].as_str().unwrap().parse().unwrap(), seq)
    }

    /// Imports kernel and first file system of the tests' guest.
    pub async fn boxes(&self) {
        let boot = guests::boot(self.folder.path());
        for (name, file) in [("kernel", &boot.kernel), ("initrd", &boot.initrd)] {
            let summary = self.import(name, std::fs::read(file).unwrap(), json!({"format": "file"})).await;
            assert!(summary.starts_with(&format!("box {name} imported: file")), "{summary}");
        }
    }

    /// Imports a box with this content.
    pub async fn import(&self, name: &str, content: Vec<u8>, payload: Value) -> String {
        self.done("box.import", name, self.payload(content, payload)).await
    }

    /// What an import of this content is asked for with.
    pub fn payload(&self, content: Vec<u8>, mut payload: Value) -> Value {
        payload["sha256"] = json!(sha256(&content));
        payload["url"] = json!(self.served(content));
        payload
    }

    /// The reason for which a command ends without an effect.
    pub async fn refused(&self, kind: &str, target: &str, payload: Value) -> String {
        match self.run(kind, target, payload).await {
            (_, Change::Cancelled { reason }) => reason,
            (seq, other) => panic!("{kind} {target} ended as {other:?}; steps: {:#?}", self.steps(seq).await),
        }
    }

    /// Makes a machine and applies its first version.
    pub async fn machine_of(&self, name: &str, definition: Value) -> MachineId {
        let (seq, made) = self.run("machine.create", name, definition).await;
        assert!(matches!(made, Change::Done { .. }), "{made:?}\n{}", self.log());
        self.done("machine.apply", name, json!({"version": 1})).await;
        self.id_of(seq).await
    }

    /// What a program on the host of the guests answers at this port to a client that says this and then no more; none when
    /// nobody takes the connection or nothing is answered.
    pub fn asked(&self, port: u16, said: &[u8]) -> Option<Vec<u8>> {
        talk::tcp(&self.libvirt.network().unwrap(), SocketAddr::from(([127, 0, 0, 1], port)), said)
    }

    /// A host beside the one of the guests.
    pub fn neighbour(&self) -> Neighbour {
        Neighbour::of(&self.libvirt.network().unwrap()).unwrap()
    }

    /// Kills the broker, and starts it again with what it had.
    pub async fn broker_starts_again(&mut self) {
        self.broker.kill();
        self.broker.start().await.unwrap();
    }

    /// Everything as at a start of the host: the daemon knows that it has not been there since. What runs must have been ended.
    pub fn host_starts_again(&mut self) {
        self.libvirt.kill().unwrap();
        forget_starts(&self.libvirt.folder().join("run/libvirt"));
        self.libvirt.start_again().unwrap();
    }

    /// An address at which this content is served to the executor.
    pub fn served(&self, content: Vec<u8>) -> String {
        served(self.listen(), content)
    }

    /// The same over TLS, with the certificate that the executor's host trusts.
    pub fn served_over_tls(&self, content: Vec<u8>) -> String {
        self.authority.served(self.listen(), content)
    }

    /// The same with another one.
    pub fn served_by_a_stranger(&self, content: Vec<u8>) -> String {
        Certificate::new().served(self.listen(), content)
    }

    /// A socket on the host that the executor can reach.
    pub fn listen(&self) -> TcpListener {
        self.libvirt.network().unwrap().listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The file of the certificates that the executor's host trusts.
fn trusted(folder: &Path) -> PathBuf {
    folder.join("trusted.pem")
}

fn executor(broker: &Broker, libvirt: &Libvirtd, folder: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orrery-libvirt-executor"));
    command
        .env("ORRERY_NATS_URL", broker.url())
        .env("ORRERY_NATS_PASSWORD_FILE", broker.layout().password(User::LibvirtExecutor))
        .env("ORRERY_DATA_DIR", folder)
        .env("ORRERY_LOCK_DIR", folder.join("locks"))
        .env("ORRERY_LIBVIRT_URI", libvirt.vm())
        .env("ORRERY_LIBVIRT_LXC_URI", libvirt.container())
        .env("ORRERY_LIBVIRT_POOL_DIR", libvirt.folder().join("pool"))
        .env("ORRERY_LIBVIRT_ACCEL", "tcg")
        .env("SSL_CERT_FILE", trusted(folder))
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log);
    libvirt.network().unwrap().run(move || command.spawn().unwrap())
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

/// Removes the marks by which libvirt knows that it has started what starts with the host.
fn forget_starts(folder: &Path) {
    for entry in folder.read_dir().unwrap().flatten() {
        if entry.path().is_dir() {
            forget_starts(&entry.path());
        } else if entry.file_name() == "autostarted" {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn virsh(uri: &str, arguments: &[&str]) -> String {
    let output = Command::new("virsh").args(["-c", uri]).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The SHA-256 of this content, in hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A definition of these lines.
pub fn definition(yaml: &str) -> Value {
    json!({"bundle": {"files": {"machine.yaml": yaml}}})
}

fn served(listener: TcpListener, content: Vec<u8>) -> String {
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = answer(stream.unwrap(), &content);
        }
    });
    url
}

/// Answers one request of HTTP's with this.
pub fn answer(mut stream: impl Read + Write, content: &[u8]) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(content)?;
    stream.flush()
}
