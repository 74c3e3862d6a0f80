//! A broker, a database, and a projector between them that can be killed.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream;
use orrery_contracts::{Installation, Time, subjects};
use orrery_nats::testing::{self, Credentials};
use orrery_nats::users::User;
use orrery_projector::message::{Message, Stream};
use orrery_projector::{rebuild, session};
use orrery_queue::{Broker, BrokerConfig, Report};
use orrery_tests::eventually;
use tokio_util::sync::CancellationToken;

use super::database::INSTALLATION;
use super::{Database, Story};

/// How long anything may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Live {
    pub nats: testing::Broker,
    pub db: Database,
}

impl Live {
    pub async fn new() -> Result<Self> {
        let (nats, db) = tokio::join!(testing::Broker::provisioned(), Database::new());
        Ok(Self { nats: nats?, db: db? })
    }

    /// With a broker that has no streams yet.
    pub async fn of_bare_broker() -> Result<Self> {
        let (nats, db) = tokio::join!(testing::Broker::bare(), Database::new());
        Ok(Self { nats: nats?, db: db? })
    }

    /// Makes streams that begin at this number, for the installation of stories.
    pub async fn streams_from(&self, first: u64) -> Result<()> {
        let ops = jetstream::new(self.nats.connect(User::Ops).await?);
        for (name, subject) in [
            (subjects::COMMANDS, subjects::ALL_COMMANDS),
            (subjects::EVENTS, subjects::ALL_EVENTS),
            (subjects::VERSIONS, subjects::ALL_VERSIONS),
            (subjects::OBSERVED, subjects::ALL_OBSERVED),
        ] {
            let (name, subjects) = (name.to_owned(), vec![subject.to_owned()]);
            ops.create_stream(jetstream::stream::Config { name, subjects, first_sequence: Some(first), ..Default::default() }).await?;
        }
        let (name, subjects) = (format!("KV_{}", subjects::HEADS), vec![format!("$KV.{}.>", subjects::HEADS)]);
        ops.create_stream(jetstream::stream::Config {
            name,
            subjects,
            allow_direct: true,
            max_messages_per_subject: 1,
            ..Default::default()
        })
        .await?;
        let it = Installation { id: INSTALLATION, engines: Vec::new(), created_at: Time::new(time::OffsetDateTime::UNIX_EPOCH) };
        let heads = ops.get_key_value(subjects::HEADS).await?;
        heads.put(subjects::INSTALLATION_KEY, serde_json::to_vec(&it)?.into()).await?;
        Ok(())
    }

    pub fn broker_config(&self) -> BrokerConfig {
        BrokerConfig {
            url: self.nats.url(),
            user: "projector".into(),
            password_file: Some(self.nats.layout().password(User::Projector)),
            authority: None,
        }
    }

    pub async fn broker(&self) -> Result<Broker> {
        Ok(Broker::connect(&self.broker_config()).await?)
    }

    /// A connection as the docker-executor, which reads all heads.
    pub async fn executor(&self) -> Result<Broker> {
        let user = User::DockerExecutor;
        let password_file = Some(self.nats.layout().password(user));
        let broker = Broker::connect(&BrokerConfig { user: user.name().into(), password_file, ..self.broker_config() }).await?;
        broker.connected().await;
        Ok(broker)
    }

    /// A story of this broker's installation.
    pub async fn story(&self) -> Result<Story> {
        let broker = self.broker().await?;
        broker.connected().await;
        let source = orrery_projector::source::Source::new(broker.jetstream().clone());
        Ok(Story::of(source.installation().await?.context("not provisioned")?.id))
    }

    pub async fn speaker(&self) -> Result<Speaker> {
        let connect = async |user| anyhow::Ok(jetstream::new(self.nats.connect(user).await?));
        let (api, executor) = (connect(User::Api).await?, connect(User::DockerExecutor).await?);
        let ci: Credentials = self.nats.publisher("ci").await?;
        Ok(Speaker { api, executor, ci: testing::connect(&ci).await? })
    }

    /// The projector in this process.
    pub async fn projector(&self) -> Result<Running> {
        let conditions = Arc::new(Mutex::new(BTreeMap::new()));
        let seen = Arc::clone(&conditions);
        let report = Report::new(move |what, detail| match (seen.lock(), detail) {
            (Ok(mut seen), Some(detail)) => drop(seen.insert(what, detail)),
            (Ok(mut seen), None) => drop(seen.remove(what)),
            (Err(_), _) => {}
        });
        let (broker, shutdown, url) = (self.broker().await?, CancellationToken::new(), self.db.url());
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { session::run(&url, &broker, &report, &stop).await });
        Ok(Running { conditions, shutdown, task })
    }

    /// The projector as a process of its own.
    pub fn process(&self) -> Result<Killed> {
        let child = self.command(&[]).spawn()?;
        Ok(Killed(child))
    }

    /// The program with these arguments and the environment of a service.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orrery-projector"));
        command
            .args(arguments)
            .env("ORRERY_DATABASE_URL", self.db.url())
            .env("ORRERY_NATS_URL", self.nats.url())
            .env("ORRERY_NATS_PASSWORD_FILE", self.nats.layout().password(User::Projector))
            .env("ORRERY_DATA_DIR", self.nats.data())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    pub async fn rebuild(&self) -> Result<rebuild::Rebuilt> {
        Ok(rebuild::rebuild(&self.db.url(), &self.broker().await?).await?)
    }

    /// Waits until the read model contains the story.
    pub async fn contains(&self, story: &Story) -> Result<()> {
        let wanted: BTreeMap<&str, u64> = story.said.iter().map(|message| (message.stream.name(), message.seq)).collect();
        eventually("the read model contains the story", PATIENCE, || async {
            let offsets = self.db.rows("SELECT stream, seq FROM read.offsets").await?;
            let reached = |stream: &str| offsets.iter().find(|row| row["stream"] == stream).and_then(|row| row["seq"].as_u64());
            let missing = wanted.iter().find(|(stream, seq)| reached(stream) < Some(**seq));
            missing.is_none().then_some(()).map_or_else(|| Err(anyhow::anyhow!("{missing:?} of {offsets:?}")), |()| Ok(Some(())))
        })
        .await
    }
}

/// Says stories to the broker, each message as whoever may.
pub struct Speaker {
    api: jetstream::Context,
    executor: jetstream::Context,
    ci: async_nats::Client,
}

impl Speaker {
    /// Says these messages in order, and checks that each got its number.
    pub async fn say(&self, messages: &[Message]) -> Result<()> {
        for message in messages {
            let seq = self.say_one(message).await.with_context(|| format!("say {} on {}", message.seq, message.subject))?;
            ensure!(message.stream == Stream::Observed || seq == message.seq, "{} got {seq}, not {}", message.subject, message.seq);
        }
        Ok(())
    }

    async fn say_one(&self, message: &Message) -> Result<u64> {
        if let Some(id) = message.subject.strip_prefix("orrery.commands.ci.") {
            let answer = self.ci.request(format!("orrery.commands.{id}"), message.body.clone()).await?;
            let answer: serde_json::Value = serde_json::from_slice(&answer.payload)?;
            return answer["seq"].as_u64().with_context(|| format!("{answer}"));
        }
        let speaker = if message.stream == Stream::Commands || message.subject.ends_with(".cancel") { &self.api } else { &self.executor };
        Ok(speaker.publish(message.subject.clone(), message.body.clone()).await?.await?.sequence)
    }
}

/// A projector within the test.
pub struct Running {
    conditions: Arc<Mutex<BTreeMap<&'static str, String>>>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// What it waits for.
    pub fn waits_for(&self) -> BTreeMap<&'static str, String> {
        self.conditions.lock().unwrap().clone()
    }

    /// Waits until it waits for this; answers the detail.
    pub async fn until_it_waits_for(&self, what: &str) -> Result<String> {
        eventually(what, PATIENCE, || async { Ok(self.waits_for().get(what).cloned()) }).await
    }

    /// Waits until it waits for nothing.
    pub async fn until_ready(&self) -> Result<()> {
        eventually("the projector is ready", PATIENCE, || async {
            let conditions = self.waits_for();
            anyhow::ensure!(conditions.is_empty(), "{conditions:?}");
            Ok(Some(()))
        })
        .await
    }

    pub async fn stop(self) -> Result<()> {
        self.shutdown.cancel();
        Ok(tokio::time::timeout(PATIENCE, self.task).await??)
    }
}

/// A projector that ends by SIGKILL, when dropped at the latest.
pub struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
