//! A hand that acts as an executor: it publishes what one would, and answers questions.

use async_nats::jetstream;
use futures::StreamExt as _;
use orrery_contracts::rpc::{Heartbeat, Raw, StreamFrame};
use orrery_contracts::{
    Change, Digest, Engine, Failure, StackChange, StackEvent, StackId, StepEntry, StepMessage, StepOutcome, TransitionMessage, subjects,
};
use orrery_nats::User;
use orrery_nats::testing::Broker;
use orrery_queue::frames::{Closed, Frames};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub struct Executor {
    pub client: async_nats::Client,
    engine: Engine,
    jetstream: jetstream::Context,
}

impl Executor {
    pub async fn connect(broker: &Broker, engine: Engine) -> Self {
        let user = match engine {
            Engine::Docker => User::DockerExecutor,
            Engine::Libvirt => User::LibvirtExecutor,
        };
        let client = broker.connect(user).await.unwrap();
        Self { jetstream: jetstream::new(client.clone()), client, engine }
    }

    /// Moves a command on.
    pub async fn moves(&self, seq: u64, attempt: u32, run: u32, change: Change) {
        let commands = self.jetstream.get_stream_no_info(subjects::COMMANDS).await.unwrap();
        let body = commands.get_raw_message(seq).await.unwrap().payload;
        let message = TransitionMessage {
            event_id: Uuid::now_v7(),
            seq,
            command_sha256: Digest::of(&body),
            attempt,
            run,
            at: OffsetDateTime::now_utc().into(),
            by: "docker@local".to_owned(),
            change,
        };
        self.publish(subjects::transition(seq), &message).await;
    }

    pub async fn runs(&self, seq: u64, attempt: u32) {
        self.moves(seq, attempt, 1, Change::Running { deadline_seconds: None }).await;
    }

    pub async fn done(&self, seq: u64) {
        self.moves(seq, 1, 1, Change::Done { summary: "did it".to_owned() }).await;
    }

    pub async fn done_after_running(&self, seq: u64) {
        self.runs(seq, 1).await;
        self.done(seq).await;
    }

    pub async fn fails(&self, seq: u64, attempt: u32) {
        let failure = Failure { code: "unhealthy".to_owned(), message: "web did not become healthy".to_owned(), step: Some(1) };
        self.moves(seq, attempt, 1, Change::Failed { failure }).await;
    }

    /// One step, begun and ended.
    pub async fn steps(&self, seq: u64, n: u32) {
        let entries = [
            StepEntry::Started { action: "container.create".to_owned(), subject: "shop-web-1".to_owned(), plan: None },
            StepEntry::Ended { outcome: StepOutcome::Done, detail: "created".to_owned(), output: None, log: None },
        ];
        for entry in entries {
            let at = OffsetDateTime::now_utc().into();
            let message = StepMessage { event_id: Uuid::now_v7(), seq, attempt: 1, run: 1, n, at, entry };
            self.publish(subjects::step(seq), &message).await;
        }
    }

    /// Carries a `stack.create` out: the stack, its first version, and the end.
    pub async fn creates(&self, seq: u64, id: &str, name: &str, bundle: &orrery_contracts::Bundle) {
        let id: StackId = id.parse().unwrap();
        self.runs(seq, 1).await;
        let (name, owner) = (name.parse().unwrap(), "admin".parse().unwrap());
        let project = String::from(Clone::clone(&name));
        self.tells(seq, id, StackChange::Created { name, owner, project, host: "local".to_owned() }).await;
        self.makes_version(seq, id, 1, bundle).await;
        self.done(seq).await;
    }

    /// Writes a version down, and what is in it.
    pub async fn makes_version(&self, seq: u64, id: StackId, version: u32, bundle: &orrery_contracts::Bundle) {
        for (number, chunk) in bundle.canonical_bytes().chunks(subjects::CHUNK_BYTES).enumerate() {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert(subjects::CHUNKS_HEADER, "1");
            let subject = subjects::bundle_chunk(&bundle.digest(), number);
            // A bundle that lies there already is refused, which is as good.
            let _ = self.jetstream.publish_with_headers(subject, headers, chunk.to_vec().into()).await.unwrap().await;
        }
        let (digest, files) = (bundle.digest(), bundle.file_list());
        let parent = version.checked_sub(1).filter(|parent| *parent > 0);
        let author = "admin".parse().unwrap();
        self.tells(seq, id, StackChange::VersionCreated { version, parent, author, comment: String::new(), digest, files }).await;
    }

    pub async fn tells(&self, seq: u64, stack_id: StackId, change: StackChange) {
        let event_id = StackEvent::derive_id(stack_id, seq, 1, &change);
        let event = StackEvent { event_id, stack_id, seq, at: OffsetDateTime::now_utc().into(), change };
        self.publish(subjects::stack_event(stack_id), &event).await;
    }

    /// A sign of life.
    pub async fn lives(&self) {
        let beat = Heartbeat { executor: "docker@local".to_owned(), running: None, engine_ready: true, waiting_for: None };
        let subject = subjects::heartbeat(Engine::Docker, "local");
        self.client.publish(subject, serde_json::to_vec(&beat).unwrap().into()).await.unwrap();
        self.client.flush().await.unwrap();
    }

    /// Tells what machines use.
    pub async fn measures(&self, machines: serde_json::Value) {
        let samples = serde_json::json!({"host": "local", "machines": machines}).to_string();
        self.client.publish(subjects::machine_samples("local"), samples.into()).await.unwrap();
        self.client.flush().await.unwrap();
    }

    /// Answers every question of this kind with the same frames, until it is aborted.
    pub async fn answers(&self, verb: &str, frames: Vec<serde_json::Value>) -> JoinHandle<()> {
        let mut questions = self.questions(verb).await;
        let client = self.client.clone();
        tokio::spawn(async move {
            while let Some(question) = questions.next().await {
                let reply = question.reply.unwrap();
                for frame in &frames {
                    client.publish(reply.clone(), frame.to_string().into()).await.unwrap();
                }
            }
        })
    }

    /// Every question of this kind.
    pub async fn hears(&self, verb: &str) -> mpsc::UnboundedReceiver<serde_json::Value> {
        let mut questions = self.questions(verb).await;
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(question) = questions.next().await {
                let _ = tell.send(serde_json::from_slice(&question.payload).unwrap());
            }
        });
        heard
    }

    /// Answers every question of this kind with a stream that says back what it is told, up to the word `end`; tells how many are open.
    pub async fn echoes(&self, verb: &str) -> watch::Receiver<usize> {
        let mut questions = self.questions(verb).await;
        let (client, engine, open) = (self.client.clone(), self.engine, watch::Sender::new(0));
        let opened = open.subscribe();
        tokio::spawn(async move {
            while let Some(question) = questions.next().await {
                let (client, open) = (client.clone(), open.clone());
                tokio::spawn(async move {
                    let mut frames = Frames::open(&client, question.reply.unwrap(), engine, "local").await.unwrap();
                    open.send_modify(|open| *open += 1);
                    let _ = echo(&mut frames).await;
                    open.send_modify(|open| *open -= 1);
                });
            }
        });
        opened
    }

    pub(super) async fn questions(&self, verb: &str) -> async_nats::Subscriber {
        let questions = self.client.subscribe(subjects::rpc(self.engine, "local", verb)).await.unwrap();
        self.client.flush().await.unwrap();
        questions
    }

    async fn publish<T: Serialize>(&self, subject: String, message: &T) {
        self.jetstream.publish(subject, serde_json::to_vec(message).unwrap().into()).await.unwrap().await.unwrap();
    }
}

async fn echo(frames: &mut Frames) -> Result<(), Closed> {
    loop {
        frames.listen().await?;
        while let Some(said) = frames.said() {
            if said == b"end" {
                frames.end(None).await;
                return Ok(());
            }
            frames.send(&StreamFrame::Bytes(Raw(said))).await?;
        }
    }
}
