//! What the tests of the broker share: looking at streams, and trying a subject and hearing the broker's refusal.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use async_nats::{Event, jetstream};
use orrery_nats::User;
use orrery_nats::testing::{Broker, Credentials};
use tokio::sync::mpsc;

/// Every message of a stream: subject and body, in order.
pub(crate) async fn bodies(broker: &Broker, stream: &str) -> Vec<(String, String)> {
    let client = broker.connect(User::Projector).await.unwrap();
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
    let client = broker.connect(User::Projector).await.unwrap();
    let mut stream = jetstream::new(client).get_stream(stream).await.unwrap();
    stream.info().await.unwrap().state.messages
}

/// Nobody may publish here. The broker refuses in order: once this one is refused, an attempt before it was too, or never
/// will be.
const CERTAINLY_REFUSED: &str = "nobody.may.publish.here";

/// Whether the broker refuses a publish on that subject.
pub(crate) async fn refused(credentials: &Credentials, subject: &str) -> bool {
    let (client, errors) = listening(credentials).await;
    client.publish(subject.to_owned(), "".into()).await.unwrap();
    violates(&client, errors, subject).await
}

/// Whether the broker refuses to let that subject be heard.
pub(crate) async fn deaf(credentials: &Credentials, subject: &str) -> bool {
    let (client, errors) = listening(credentials).await;
    let _subscription = client.subscribe(subject.to_owned()).await.unwrap();
    violates(&client, errors, subject).await
}

async fn violates(client: &async_nats::Client, mut errors: mpsc::UnboundedReceiver<String>, subject: &str) -> bool {
    client.publish(CERTAINLY_REFUSED, "".into()).await.unwrap();
    client.flush().await.unwrap();
    let mut said = false;
    loop {
        let error = tokio::time::timeout(Duration::from_secs(10), errors.recv())
            .await
            .expect("the broker refuses what nobody may publish")
            .unwrap()
            .to_lowercase();
        if error.contains(CERTAINLY_REFUSED) {
            return said;
        }
        said |= error.contains(&format!("\"{}\"", subject.to_lowercase()));
    }
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
