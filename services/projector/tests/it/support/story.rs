//! Stories: what publishers and executors say, in the order in which they say it.

use bytes::Bytes;
use orrery_contracts::heads::ServiceExpectation;
use orrery_contracts::{
    CancelRequest, Change, ContainerObservation, Desired, Digest, EngineMarker, Failure, Health, Plan, PlanNote, StackChange, StackEvent,
    StackId, StepEntry, StepMessage, StepOutcome, Time, TransitionMessage, subjects,
};
use orrery_projector::message::{Message, Stream};
use serde_json::{Value, json};
use uuid::Uuid;

use super::database::INSTALLATION;

/// The first second of every story.
const BEGINNING: i64 = 1_790_000_000;

/// Messages in the order in which they were said, numbered per stream.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub said: Vec<Message>,
    pub installation: Option<Uuid>,
}

impl Story {
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, in another installation.
    pub fn of(installation: Uuid) -> Self {
        Self { said: Vec::new(), installation: Some(installation) }
    }

    fn last(&self, stream: Stream) -> u64 {
        self.said.iter().filter(|message| message.stream == stream).map(|message| message.seq).max().unwrap_or_default()
    }

    /// The time of what is said next: one second later each time.
    fn now(&self) -> Time {
        let second = BEGINNING + i64::try_from(self.said.len()).unwrap();
        Time::new(time::OffsetDateTime::from_unix_timestamp(second).unwrap())
    }

    /// Says something on a stream; answers its number.
    pub fn say(&mut self, stream: Stream, subject: String, body: impl Into<Bytes>) -> u64 {
        let seq = self.last(stream) + 1;
        let at_ns = i64::try_from(self.now().inner().unix_timestamp_nanos()).unwrap() + 123_456_789;
        self.said.push(Message { stream, seq, subject, headers: None, body: body.into(), at_ns });
        seq
    }

    /// A command of a publisher; its id is made from its number.
    pub fn command(&mut self, publisher: &str, body: &Value) -> u64 {
        let id = Uuid::from_u128(u128::from(self.last(Stream::Commands) + 1));
        self.say(Stream::Commands, format!("orrery.commands.{publisher}.{id}"), body.to_string())
    }

    /// A command that the api publishes for ann.
    pub fn ann(&mut self, kind: &str, target: &str, payload: Value) -> u64 {
        self.command("api", &json!({"type": kind, "schema": 1, "target": target, "payload": payload, "actor": "ann"}))
    }

    pub fn create(&mut self, name: &str) -> u64 {
        self.ann("stack.create", name, json!({"bundle": {"files": {"compose.yaml": "services: {}"}}, "comment": "first"}))
    }

    pub fn stack(&self, command: u64) -> StackId {
        StackId::derive(self.installation.unwrap_or(INSTALLATION), command)
    }

    fn sha256(&self, command: u64) -> Digest {
        let body = self.said.iter().find(|message| message.stream == Stream::Commands && message.seq == command);
        Digest::of(&body.map(|message| message.body.clone()).unwrap_or_default())
    }

    pub fn transition(&mut self, seq: u64, attempt: u32, run: u32, change: Change) -> u64 {
        let transition = TransitionMessage {
            event_id: Uuid::from_u128(u128::from(self.last(Stream::Events) + 1)),
            seq,
            command_sha256: self.sha256(seq),
            attempt,
            run,
            at: self.now(),
            by: "docker@local".into(),
            change,
        };
        self.say(Stream::Events, subjects::transition(seq), serde_json::to_vec(&transition).unwrap())
    }

    pub fn running(&mut self, seq: u64, attempt: u32, run: u32) -> u64 {
        self.transition(seq, attempt, run, Change::Running { deadline_seconds: None })
    }

    pub fn done(&mut self, seq: u64, attempt: u32, run: u32, summary: &str) -> u64 {
        self.transition(seq, attempt, run, Change::Done { summary: summary.into() })
    }

    pub fn failed(&mut self, seq: u64, attempt: u32, run: u32) -> u64 {
        let failure = Failure { code: "unhealthy".into(), message: "web did not become healthy".into(), step: Some(2) };
        self.transition(seq, attempt, run, Change::Failed { failure })
    }

    pub fn cancelled(&mut self, seq: u64, attempt: u32, run: u32, reason: &str) -> u64 {
        self.transition(seq, attempt, run, Change::Cancelled { reason: reason.into() })
    }

    pub fn cancel_request(&mut self, seq: u64, attempt: u32) -> u64 {
        let request = CancelRequest { event_id: Uuid::nil(), seq, attempt, at: self.now(), by: "ann".into() };
        self.say(Stream::Events, subjects::cancel(seq), serde_json::to_vec(&request).unwrap())
    }

    pub fn step(&mut self, seq: u64, attempt: u32, run: u32, n: u32, entry: StepEntry) -> u64 {
        let step = StepMessage { event_id: Uuid::nil(), seq, attempt, run, n, at: self.now(), entry };
        self.say(Stream::Events, subjects::step(seq), serde_json::to_vec(&step).unwrap())
    }

    pub fn started(&mut self, seq: u64, attempt: u32, n: u32, action: &str) -> u64 {
        self.step(seq, attempt, 1, n, StepEntry::Started { action: action.into(), subject: "shop-web-1".into(), plan: Some(n) })
    }

    pub fn ended(&mut self, seq: u64, attempt: u32, n: u32, outcome: StepOutcome) -> u64 {
        self.step(seq, attempt, 1, n, StepEntry::Ended { outcome, detail: "so it went".into(), output: None, log: None })
    }

    pub fn planned(&mut self, seq: u64, attempt: u32) -> u64 {
        let plan = Plan { empty: false, notes: vec![PlanNote::note("a note")], ..Plan::default() };
        self.step(seq, attempt, 1, 0, StepEntry::Planned { plan })
    }

    pub fn became(&mut self, id: StackId, seq: u64, change: StackChange) -> u64 {
        let event_id = StackEvent::derive_id(id, seq, 1, &change);
        let event = StackEvent { event_id, stack_id: id, seq, at: self.now(), change };
        self.say(Stream::Events, subjects::stack_event(id), serde_json::to_vec(&event).unwrap())
    }

    pub fn version(&mut self, id: StackId, seq: u64, version: u32) -> u64 {
        let change = StackChange::VersionCreated {
            version,
            parent: version.checked_sub(1).filter(|parent| *parent > 0),
            author: "ann".parse().unwrap(),
            comment: format!("version {version}"),
            digest: Digest::of(&version.to_be_bytes()),
            files: Vec::new(),
        };
        self.say(Stream::Versions, subjects::version(id.into(), version), json!({"version": version}).to_string());
        self.became(id, seq, change)
    }

    /// A stack from its create to its DONE; answers its id.
    pub fn made(&mut self, name: &str) -> StackId {
        let seq = self.create(name);
        let id = self.stack(seq);
        self.running(seq, 1, 1);
        let (project, host) = (format!("{name}-project"), "local".to_owned());
        self.became(id, seq, StackChange::Created { name: name.parse().unwrap(), owner: "ann".parse().unwrap(), project, host });
        self.version(id, seq, 1);
        self.done(seq, 1, 1, "version 1");
        id
    }

    /// Applies a version with these services, with steps; answers the command.
    pub fn applied(&mut self, id: StackId, version: u32, services: &[(&str, u32, bool)]) -> u64 {
        let seq = self.ann("stack.apply", &id.to_string(), json!({"version": version}));
        self.running(seq, 1, 1);
        self.step(seq, 1, 1, 0, StepEntry::Opened { by: "docker@local".into() });
        self.planned(seq, 1);
        self.started(seq, 1, 1, "container.create");
        self.ended(seq, 1, 1, StepOutcome::Done);
        let expect = |(name, containers, may_finish): &(&str, u32, bool)| ServiceExpectation {
            name: (*name).into(),
            containers: *containers,
            may_finish: *may_finish,
        };
        let services = services.iter().map(expect).collect();
        self.became(id, seq, StackChange::HeadMoved { current: Some(version), services, lock: None });
        self.became(id, seq, StackChange::DesiredChanged { desired: Desired::Running });
        self.done(seq, 1, 1, "1 container created");
        seq
    }

    /// A container of a service as an engine lists it.
    pub fn container(&self, id: &str, stack: Option<StackId>, service: &str, state: &str, epoch: u64) -> ContainerObservation {
        ContainerObservation {
            id: id.into(),
            name: format!("shop-{service}-1"),
            host: "local".into(),
            installation: stack.map(|_| self.installation.unwrap_or(INSTALLATION)),
            stack_id: stack,
            project: Some("shop".into()),
            service: Some(service.into()),
            number: Some(1),
            version: Some(1),
            image: "base".into(),
            image_id: "sha256:1".into(),
            state: state.into(),
            health: Health::None,
            exit_code: None,
            ports: Vec::new(),
            created_at: None,
            started_at: None,
            finished_at: None,
            transient: false,
            drift: Vec::new(),
            epoch,
        }
    }

    pub fn observed(&mut self, it: &ContainerObservation) -> u64 {
        self.say(Stream::Observed, subjects::observed(&it.host, "container", &it.id), serde_json::to_vec(it).unwrap())
    }

    pub fn gone(&mut self, id: &str) -> u64 {
        self.say(Stream::Observed, subjects::observed("local", "container", id), Bytes::new())
    }

    pub fn listed(&mut self, epoch: u64) -> u64 {
        let marker = EngineMarker {
            host: "local".into(),
            epoch,
            engine_version: "28.5.2".into(),
            api_version: "1.51".into(),
            cpus: 2,
            memory: 1 << 32,
            at: self.now(),
            accelerator: None,
        };
        self.say(Stream::Observed, subjects::observed("local", "marker", "docker"), serde_json::to_vec(&marker).unwrap())
    }
}
