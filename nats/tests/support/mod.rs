//! What the tests of the broker share: looking at streams, and trying a subject and hearing the broker's refusal.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_nats::{Event, jetstream};
use orrery_nats::User;
use orrery_nats::testing::{Broker, Credentials};
use tokio::sync::mpsc;

/// Every message of a stream: subject and body, in order.
pub(crate) async fn bodies(broker: &Broker, stream: &str) -> Vec<(String, String)> {
    let client = broker.connect(User::DockerExecutor).await.unwrap();
    let mut stream = jetstream::new(client).get_stream(stream).await.unwrap();
    let state = stream.info().await.unwrap().state.clone();
    let mut found = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        if let Ok(message) = stream.get_raw_message(sequence).await {
            found.push((message.subject.to_string(), String::from_utf8_lossy(&message.payload).into_owned()));
        }
    }
    found
}

/// How many messages a stream holds.
pub(crate) async fn count(broker: &Broker, stream: &str) -> u64 {
    let client = broker.connect(User::DockerExecutor).await.unwrap();
    let mut stream = jetstream::new(client).get_stream(stream).await.unwrap();
    stream.info().await.unwrap().state.messages
}

/// Nobody may publish here. The broker refuses in order: once this one is refused, an attempt before it was too, or never
/// will be.
const CERTAINLY_REFUSED: &str = "nobody.may.publish.here";

/// How many attempts are made before their refusals are waited for: the client forgets errors of which it has too many.
const AT_ONCE: usize = 50;

/// How an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// To say something.
    Publish,
    /// To hear it, alone and in a group of listeners.
    Subscribe,
}

/// Whether the broker refuses a publish on that subject.
pub(crate) async fn refused(credentials: &Credentials, subject: &str) -> bool {
    !refusals(credentials, Attempt::Publish, &[subject.to_owned()]).await.is_empty()
}

/// Whether the broker refuses to let that subject be heard.
pub(crate) async fn deaf(credentials: &Credentials, subject: &str) -> bool {
    !refusals(credentials, Attempt::Subscribe, &[subject.to_owned()]).await.is_empty()
}

/// Those of the subjects that the broker refuses, each by its own word: a permissions violation that names it.
pub(crate) async fn refusals(credentials: &Credentials, attempt: Attempt, subjects: &[String]) -> BTreeSet<String> {
    let (client, mut errors) = listening(credentials).await;
    let mut refused = BTreeSet::new();
    for some in subjects.chunks(AT_ONCE) {
        let mut heard = Vec::new();
        for subject in some {
            match attempt {
                Attempt::Publish => client.publish(subject.clone(), "".into()).await.unwrap(),
                Attempt::Subscribe => {
                    heard.push(client.subscribe(subject.clone()).await.unwrap());
                    heard.push(client.queue_subscribe(subject.clone(), "group".to_owned()).await.unwrap());
                }
            }
        }
        client.publish(CERTAINLY_REFUSED, "".into()).await.unwrap();
        client.flush().await.unwrap();
        let mut said = BTreeMap::new();
        loop {
            let error = tokio::time::timeout(Duration::from_secs(10), errors.recv()).await;
            let error = error.expect("the broker refuses what nobody may publish").unwrap().to_lowercase();
            let subject = violated(&error).unwrap_or_else(|| panic!("{}: {error}", credentials.name));
            if subject == CERTAINLY_REFUSED {
                break;
            }
            *said.entry(subject.to_owned()).or_insert(0) += 1;
        }
        let times = if attempt == Attempt::Publish { 1 } else { 2 };
        for subject in some {
            match said.get(&subject.to_lowercase()) {
                Some(refusals) if *refusals == times => drop(refused.insert(subject.clone())),
                Some(refusals) => panic!("{}: {attempt:?} {subject} was refused {refusals} times of {times}", credentials.name),
                None => {}
            }
        }
    }
    refused
}

/// The subject that the broker says is not allowed; it spells errors in letters of one size.
fn violated(error: &str) -> Option<&str> {
    let (_, rest) = error.split_once("permissions violation for ")?;
    rest.split('"').nth(1)
}

async fn listening(credentials: &Credentials) -> (async_nats::Client, mpsc::UnboundedReceiver<String>) {
    let (say, errors) = mpsc::unbounded_channel();
    let client = async_nats::ConnectOptions::with_user_and_password(credentials.name.clone(), credentials.password.clone())
        .custom_inbox_prefix(&credentials.inbox_prefix)
        .event_callback(move |event| {
            let say = say.clone();
            async move {
                if let Event::ServerError(error) = event {
                    let _ = say.send(error.to_string());
                }
            }
        })
        .connect(&credentials.url)
        .await
        .unwrap();
    (client, errors)
}

/// What `look` finds, tried again until the deadline.
pub(crate) async fn until<T>(within: Duration, look: impl AsyncFn() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
