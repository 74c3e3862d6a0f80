//! Two that would move one command: the api on behalf of a person, and the executor's own loop, on the real broker. The
//! compare-and-set lets one of them win, and both are told what is so.
//!
//! A bounded sample by default; `ORRERY_SOAK_RACES` says how many races of each kind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use orrery_contracts::command::Target;
use orrery_contracts::{Change, Engine, Status, TransitionMessage, subjects};
use orrery_nats::User;
use orrery_queue::{
    Accepted, Broker, BrokerConfig, Executor, ExecutorConfig, JudgeError, Report, Run, RunError, StepDone, StepFailure, StepSpec, serve,
};
use orrery_tests::history::History;
use orrery_tests::race::{Races, Side};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Answer, Caller, World};

/// Commands make steps of nothing. In `held…` the first step waits for the test; in `fails…` the last one of the first
/// attempt fails.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<HashMap<u64, Arc<Gate>>>>);

/// Where a command waits.
struct Gate {
    entered: Semaphore,
    open: Semaphore,
}

impl Steps {
    fn gate(&self, seq: u64) -> Arc<Gate> {
        let closed = || Arc::new(Gate { entered: Semaphore::new(0), open: Semaphore::new(0) });
        Arc::clone(self.0.lock().unwrap().entry(seq).or_insert_with(closed))
    }

    /// Waits until the command is in its held step.
    async fn entered(&self, seq: u64) {
        self.gate(seq).entered.acquire().await.unwrap().forget();
    }

    /// Lets it go on.
    fn open(&self, seq: u64) {
        self.gate(seq).open.add_permits(1);
    }

    async fn make(&self, what: Step, seq: u64) -> Result<StepDone, StepFailure> {
        match what {
            Step::Quick => {}
            Step::Held => {
                let gate = self.gate(seq);
                gate.entered.add_permits(1);
                gate.open.acquire().await.unwrap().forget();
            }
            Step::Failing => return Err(StepFailure::new("told", "it was told to fail")),
        }
        Ok(StepDone::done("made"))
    }
}

#[derive(Clone, Copy)]
enum Step {
    Quick,
    Held,
    Failing,
}

impl Executor for Steps {
    type Job = String;

    async fn judge(&self, command: &Accepted) -> Result<String, JudgeError> {
        match &command.message.target {
            Target::Own(name) => Ok(name.to_string()),
            Target::Id(_) | Target::Of(..) => Err(JudgeError::Transient("the test names its commands".into())),
        }
    }

    async fn execute(&self, name: String, run: &Run) -> Result<String, RunError> {
        let seq = run.command().seq;
        let first = if name.starts_with("held") { Step::Held } else { Step::Quick };
        let last = if name.starts_with("fails") && run.attempt() == 1 { Step::Failing } else { Step::Quick };
        for (number, what) in [first, Step::Quick, last].into_iter().enumerate() {
            run.step(StepSpec::new("make", format!("step {number}")), |_| self.make(what, seq)).await?;
        }
        Ok("made".into())
    }
}

/// The api and an executor on one broker, and somebody who publishes.
struct Ring {
    world: World,
    admin: Caller,
    steps: Steps,
    publisher: async_nats::Client,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), orrery_queue::ServeError>>,
}

impl Ring {
    async fn open() -> Self {
        let world = World::start().await;
        let user = User::DockerExecutor;
        let link = BrokerConfig {
            url: world.broker.url(),
            user: user.name().to_owned(),
            password_file: Some(world.broker.layout().password(user)),
            authority: None,
        };
        let broker = Broker::connect(&link).await.unwrap();
        broker.connected().await;
        let (steps, stop) = (Steps::default(), CancellationToken::new());
        let data = world.broker.data().join("executor");
        let config = ExecutorConfig::in_folders(Engine::Docker, &broker, &data, &data.join("locks"), Report::new(|_, _| {}));
        let task = tokio::spawn(serve(config, steps.clone(), stop.clone()));
        let publisher = orrery_nats::testing::connect(&world.broker.publisher("ci").await.unwrap()).await.unwrap();
        Self { admin: world.admin(), world, steps, publisher, stop, task }
    }

    /// Publishes a command that does what its name says; answers its sequence.
    async fn publish(&self, name: &str) -> u64 {
        let body = json!({"type": "stack.start", "target": name}).to_string();
        let answer = self.publisher.request(format!("orrery.commands.{}", Uuid::now_v7()), body.into()).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        answer["seq"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }

    async fn asks(&self, seq: u64, what: &str) -> Answer {
        self.admin.post_nothing(&format!("/api/v1/commands/{seq}/{what}")).await
    }

    /// The command as the api shows it when nothing more happens to it by itself.
    async fn settled(&self, seq: u64) -> Answer {
        let answer = self.admin.get(&format!("/api/v1/commands/{seq}?wait=60s")).await.expect(200);
        assert_ne!(answer.json["status"], "PENDING", "{}", answer.text);
        assert_ne!(answer.json["status"], "RUNNING", "{}", answer.text);
        answer
    }

    /// Its transitions, as the broker has them.
    async fn story(&self, seq: u64) -> Vec<TransitionMessage> {
        let jetstream = async_nats::jetstream::new(self.world.api.broker.client().clone());
        let events = jetstream.get_stream_no_info(subjects::EVENTS).await.unwrap();
        let (mut story, mut from) = (Vec::new(), 1);
        while let Ok(next) = events.raw_message_builder().sequence(from).next_by_subject(subjects::transition(seq)).send().await {
            from = next.sequence + 1;
            story.push(serde_json::from_slice(&next.payload).unwrap());
        }
        story
    }

    /// Whether the broker has a request to stop this command.
    async fn was_asked_to_stop(&self, seq: u64) -> bool {
        let jetstream = async_nats::jetstream::new(self.world.api.broker.client().clone());
        let events = jetstream.get_stream_no_info(subjects::EVENTS).await.unwrap();
        events.get_last_raw_message_by_subject(&subjects::cancel(seq)).await.is_ok()
    }

    async fn close(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn words(story: &[TransitionMessage]) -> Vec<Status> {
    story.iter().map(|message| message.change.status()).collect()
}

/// Who asked to cancel, and what he was told, against what the broker has in the end.
async fn is_true(ring: &Ring, seq: u64, told: &Answer, story: &[TransitionMessage]) {
    let shown = ring.settled(seq).await;
    let last = words(story).last().copied().unwrap_or(Status::Pending);
    assert_eq!(shown.json["status"], last.as_str(), "the api shows what the broker has: {story:#?}");
    let asked = ring.was_asked_to_stop(seq).await;
    let by_person = matches!(&story.last().unwrap().change, Change::Cancelled { reason } if reason == "cancelled by admin");
    match (told.status, last) {
        // The answer shows the command as it was then: asked to stop, or ended already.
        (202, Status::Cancelled) => assert!(by_person, "he is named: {story:#?}"),
        (202, Status::Done) => assert!(asked && told.json["status"] != "CANCELLED", "{}", told.text),
        (409, Status::Done) => {
            assert!(!asked, "who is refused has asked for nothing");
            assert_eq!(told.json["detail"], format!("command {seq} is DONE and cannot be cancelled"));
        }
        other => panic!("{other:?}: {} {story:#?}", told.text),
    }
    if told.json["status"] == "CANCELLED" {
        assert_eq!(last, Status::Cancelled, "what was told to be over is over: {story:#?}");
    }
}

/// A command that waits is cancelled while the one before it ends.
async fn cancel_against_start(ring: &Ring) -> anyhow::Result<()> {
    let mut races = Races::of("cancel against start");
    while races.go_on() {
        let before = ring.publish("held").await;
        let seq = ring.publish("quick").await;
        ring.steps.entered(before).await;
        ring.admin.get(&format!("/api/v1/commands/{seq}")).await.expect(200);
        let (told, ()) = races.run(ring.asks(seq, "cancel"), async { ring.steps.open(before) }).await;
        ring.settled(seq).await;
        let story = ring.story(seq).await;
        is_true(ring, seq, &told, &story).await;
        let side = match words(&story)[..] {
            [Status::Cancelled] => Side::First,
            [Status::Running, Status::Done | Status::Cancelled] => Side::Second,
            ref other => panic!("no such story is possible: {other:?}"),
        };
        races.won_by(side);
    }
    races.end("transitions", "cancelled before it started", "started first")
}

/// A command that runs is cancelled while it makes its last steps.
async fn cancel_against_end(ring: &Ring) -> anyhow::Result<()> {
    let mut races = Races::of("cancel against end");
    let mut refused = 0;
    while races.go_on() {
        let seq = ring.publish("held").await;
        ring.steps.entered(seq).await;
        ring.admin.get(&format!("/api/v1/commands/{seq}")).await.expect(200);
        let (told, ()) = races.run(ring.asks(seq, "cancel"), async { ring.steps.open(seq) }).await;
        ring.settled(seq).await;
        let story = ring.story(seq).await;
        is_true(ring, seq, &told, &story).await;
        refused += u32::from(told.status == 409);
        let side = match words(&story)[..] {
            [Status::Running, Status::Cancelled] => Side::First,
            [Status::Running, Status::Done] => Side::Second,
            ref other => panic!("no such story is possible: {other:?}"),
        };
        races.won_by(side);
    }
    races.end("transitions", "cancelled between two steps", "done first")?;
    println!("transitions: cancel against end: {refused} who asked were told that it was done, the others that they had asked");
    Ok(())
}

/// Two people find a failed command: one has it tried again, the other cancels it.
async fn retry_against_cancel(ring: &Ring) -> anyhow::Result<()> {
    let mut races = Races::of("retry against cancel");
    while races.go_on() {
        let seq = ring.publish("fails").await;
        assert_eq!(ring.settled(seq).await.json["status"], "FAILED");
        let (retried, cancelled) = races.run(ring.asks(seq, "retry"), ring.asks(seq, "cancel")).await;
        let side = match retried.status {
            202 => Side::First,
            409 => Side::Second,
            other => panic!("{other}: {}", retried.text),
        };
        ring.settled(seq).await;
        let story = ring.story(seq).await;
        is_true(ring, seq, &cancelled, &story).await;
        match (side, &words(&story)[..]) {
            (Side::Second, [Status::Running, Status::Failed, Status::Cancelled]) => {
                assert_eq!(retried.json["detail"], format!("command {seq} is CANCELLED and cannot be retried"));
                assert_eq!(cancelled.status, 202, "{}", cancelled.text);
            }
            (Side::First, [Status::Running, Status::Failed, Status::Pending, rest @ ..]) => {
                let ended = matches!(rest, [Status::Cancelled] | [Status::Running, Status::Cancelled | Status::Done]);
                assert!(ended && retried.json["attempt"] == 2, "{rest:?} {}", retried.text);
            }
            other => panic!("no such story is possible: {other:?}"),
        }
        races.won_by(side);
    }
    races.end("transitions", "tried again first", "cancelled first")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_move_one_command_one_wins_and_both_are_told() {
    let ring = Ring::open().await;
    cancel_against_start(&ring).await.unwrap();
    cancel_against_end(&ring).await.unwrap();
    retry_against_cancel(&ring).await.unwrap();
    let reading = async_nats::jetstream::new(ring.world.broker.connect(User::Projector).await.unwrap());
    History::stored(&reading).await.unwrap().audited("transitions").unwrap();
    ring.close().await;
}
