//! The whole executor as a process, on a real broker and a libvirtd of its own: a command goes in, a guest runs, and everything that
//! is told of it can be read back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm, dead_code)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use orrery_contracts::{
    Change, MachineId, MachineObservation, PolicyEntry, Quota, Role, StepEntry, StepMessage, TransitionMessage, subjects,
};
use orrery_nats::User;
use orrery_nats::testing::Broker;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::guests;
use support::libvirtd::Libvirtd;
use uuid::Uuid;

/// How long anything may take: guests run in software, beside other tests.
const PATIENCE: Duration = Duration::from_secs(300);

struct Lab {
    broker: Broker,
    libvirt: Libvirtd,
    api: jetstream::Context,
    eyes: jetstream::Context,
    process: Child,
    folder: tempfile::TempDir,
}

impl Lab {
    async fn start() -> Self {
        let broker = Broker::provisioned().await.unwrap();
        let libvirt = Libvirtd::start();
        let folder = tempfile::tempdir().unwrap();
        let api = jetstream::new(broker.connect(User::Api).await.unwrap());
        let eyes = jetstream::new(broker.connect(User::LibvirtExecutor).await.unwrap());
        for key in ["user.ada", "publisher.api"] {
            let entry = PolicyEntry { role: Role::Admin, quota: Quota::default() };
            api.publish(format!("$KV.POLICY.{key}"), serde_json::to_vec(&entry).unwrap().into()).await.unwrap().await.unwrap();
        }
        let process = executor(&broker, &libvirt, folder.path());
        Self { broker, libvirt, api, eyes, process, folder }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = executor(&self.broker, &self.libvirt, self.folder.path());
    }

    async fn send(&self, kind: &str, target: &str, payload: Value) -> u64 {
        let body = json!({"type": kind, "target": target, "payload": payload, "actor": "ada", "on_failure": "release"}).to_string();
        let subject = subjects::command("api", orrery_contracts::CommandId::new(Uuid::now_v7()));
        self.api.publish(subject, body.into()).await.unwrap().await.unwrap().sequence
    }

    /// Enqueues and waits for the end.
    async fn run(&self, kind: &str, target: &str, payload: Value) -> (u64, Change) {
        let seq = self.send(kind, target, payload).await;
        (seq, self.ended(seq).await)
    }

    async fn ended(&self, seq: u64) -> Change {
        let events = self.api.get_stream_no_info(subjects::EVENTS).await.unwrap();
        until(&format!("the end of command {seq}"), async || {
            let last = events.get_last_raw_message_by_subject(&subjects::transition(seq)).await.ok()?;
            let message: TransitionMessage = serde_json::from_slice(&last.payload).unwrap();
            match message.change {
                Change::Done { .. } | Change::Cancelled { .. } => Some(message.change),
                Change::Pending {} | Change::Running { .. } | Change::Failed { .. } => None,
            }
        })
        .await
    }

    /// The same of a command that must end well; answers its one line.
    async fn done(&self, kind: &str, target: &str, payload: Value) -> String {
        match self.run(kind, target, payload).await {
            (_, Change::Done { summary }) => summary,
            (seq, other) => {
                panic!("{kind} {target} ended as {other:?}; steps: {:#?}; the executor says:\n{}", self.steps(seq).await, self.log())
            }
        }
    }

    async fn steps(&self, seq: u64) -> Vec<String> {
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
                _ => {}
            }
        }
        all
    }

    async fn machine(&self, id: MachineId) -> Option<MachineObservation> {
        let observed = self.eyes.get_stream_no_info(subjects::OBSERVED).await.unwrap();
        let last = observed.get_last_raw_message_by_subject(&subjects::observed("local", "machine", &id.to_string())).await.ok()?;
        serde_json::from_slice(&last.payload).ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What `virsh` says of this libvirt.
    fn virsh(&self, arguments: &[&str]) -> String {
        let output = Command::new("virsh").arg("-c").arg(self.libvirt.uris().vm).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    async fn id_of(&self, seq: u64) -> MachineId {
        let heads = self.eyes.get_stream_no_info("KV_HEADS").await.unwrap();
        let installation = heads.get_last_raw_message_by_subject("$KV.HEADS.installation").await.unwrap();
        let installation: Value = serde_json::from_slice(&installation.payload).unwrap();
        MachineId::derive(installation["id"].as_str().unwrap().parse().unwrap(), seq)
    }

    /// Imports kernel and first file system of the tests' guest.
    async fn boxes(&self) {
        let boot = guests::boot(self.folder.path());
        for (name, file) in [("kernel", &boot.kernel), ("initrd", &boot.initrd)] {
            let content = std::fs::read(file).unwrap();
            let sha256: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
            let url = served(content);
            let summary = self.done("box.import", name, json!({"url": url, "sha256": sha256, "format": "file"})).await;
            assert!(summary.starts_with(&format!("box {name} imported: file")), "{summary}");
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn executor(broker: &Broker, libvirt: &Libvirtd, folder: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    let uris = libvirt.uris();
    Command::new(env!("CARGO_BIN_EXE_orrery-libvirt-executor"))
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

async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An address at which this content is served.
fn served(content: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content));
        }
    });
    url
}

fn definition(more: &str) -> Value {
    let yaml = format!(
        "kind: vm\nsource: {{kernel: kernel, initramfs: initrd, cmdline: console=ttyS0 quiet}}\nmemory: 192MiB\n\
         disks: [{{name: data, size: 16MiB}}]\nnetworks: []\nready: {{console: hello from the guest}}\n{more}"
    );
    json!({"bundle": {"files": {"machine.yaml": yaml}}})
}

#[tokio::test]
async fn a_machine_lives_its_whole_life() {
    let lab = Lab::start().await;
    lab.boxes().await;
    let (seq, made) = lab.run("machine.create", "web", definition("")).await;
    assert!(matches!(made, Change::Done { .. }), "{made:?}\n{}", lab.log());
    let id = lab.id_of(seq).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "machine created");
    assert_eq!(lab.virsh(&["domstate", "web"]), "running");
    let seen = until("the machine to be observed", async || lab.machine(id).await.filter(|seen| seen.state.is_up())).await;
    assert_eq!((seen.version, seen.drift.as_slice(), seen.name.as_str()), (Some(1), [].as_slice(), "web"));

    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "nothing to do");
    assert_eq!(lab.done("machine.suspend", "web", json!({})).await, "the guest stands still");
    assert_eq!(lab.virsh(&["domstate", "web"]), "paused");
    assert_eq!(lab.done("machine.resume", "web", json!({})).await, "the guest goes on");

    // What the guest takes while it runs, and the way back.
    lab.done("machine.version.create", "web", definition("description: more\nshares: {cpu: 512}\n")).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 2})).await, "machine updated");
    assert_eq!(lab.done("machine.rollback", "web", json!({"version": 1})).await, "machine updated");

    // A hand from outside is seen, and put right.
    lab.virsh(&["dumpxml", "web"]);
    lab.virsh(&["setmem", "web", "131072", "--config"]);
    until("the drift to be seen", async || lab.machine(id).await.filter(|seen| !seen.drift.is_empty())).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "machine restarted");
    until("the drift to be gone", async || lab.machine(id).await.filter(|seen| seen.drift.is_empty())).await;

    assert_eq!(lab.done("machine.stop", "web", json!({})).await, "the guest was ended");
    assert_eq!(lab.done("machine.start", "web", json!({})).await, "machine started");
    let gone = lab.done("machine.delete", "web", json!({"disks": true})).await;
    assert!(gone.starts_with("machine and 1 volume"), "{gone}");
    assert_eq!(lab.virsh(&["list", "--all", "--name"]), "");
    until("its observation to be gone", async || lab.machine(id).await.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_failed_apply_leaves_the_old_machine_running() {
    let lab = Lab::start().await;
    lab.boxes().await;
    lab.done("machine.create", "web", definition("")).await;
    lab.done("machine.apply", "web", json!({"version": 1})).await;
    let never = definition("").to_string().replace("192MiB", "224MiB");
    let never = never.replace("hello from the guest}", "what nobody says, timeout: 5s}");
    lab.done("machine.version.create", "web", serde_json::from_str(&never).unwrap()).await;
    let (seq, ended) = lab.run("machine.apply", "web", json!({"version": 2})).await;
    let Change::Cancelled { reason } = ended else { panic!("{ended:?}") };
    assert!(reason.contains("did not say"), "{reason}; {:#?}", lab.steps(seq).await);
    assert_eq!(lab.virsh(&["domstate", "web"]), "running");
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 1})).await, "nothing to do");
}

#[tokio::test]
async fn what_cannot_be_is_rejected_and_disturbs_nobody() {
    let lab = Lab::start().await;
    for (kind, target, payload, why) in [
        (
            "machine.create",
            "a",
            json!({"bundle": {"files": {"machine.yaml": "kind: vm\nsource: {box: x}\nmemroy: 1GiB\n"}}}),
            "machine.yaml:3:1",
        ),
        ("machine.apply", "nobody", json!({"version": 1}), "there is no machine"),
        ("box.remove", "nothing", json!({}), "there is no box nothing"),
        ("box.import", "a", json!({"url": "http://127.0.0.1:1/x"}), "http is not encrypted"),
    ] {
        let (_, ended) = lab.run(kind, target, payload).await;
        let Change::Cancelled { reason } = ended else { panic!("{kind}: {ended:?}") };
        assert!(reason.starts_with("rejected: ") && reason.contains(why), "{kind}: {reason}");
    }
    lab.done("machine.create", "web", definition("")).await;
    let (_, ended) = lab.run("machine.apply", "web", json!({"version": 1})).await;
    let Change::Cancelled { reason } = ended else { panic!("{ended:?}") };
    assert!(reason.contains("there is no box kernel") && reason.contains("there is no box initrd"), "{reason}");
}

#[tokio::test]
async fn an_executor_that_dies_in_the_middle_of_an_apply_goes_on() {
    let mut lab = Lab::start().await;
    lab.boxes().await;
    lab.done("machine.create", "web", definition("")).await;
    for (round, pause) in [50, 150, 400, 900].into_iter().enumerate() {
        let seq = lab.send("machine.apply", "web", json!({"version": 1})).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        lab.kill();
        lab.start_again();
        let ended = lab.ended(seq).await;
        assert!(matches!(ended, Change::Done { .. }), "round {round}: {ended:?}\n{}", lab.log());
        assert_eq!(lab.virsh(&["list", "--all", "--name"]), "web");
        assert_eq!(lab.virsh(&["domstate", "web"]), "running");
        lab.done("machine.delete", "web", json!({"disks": true})).await;
        lab.done("machine.create", "web", definition("")).await;
    }
}
