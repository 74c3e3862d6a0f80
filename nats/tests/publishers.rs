//! What a third party can do to the queue through his own account, tried on a real broker: enqueue under his own name,
//! ask about his own commands, and nothing else, whatever reply subject he invents.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream;
use futures::StreamExt;
use orrery_nats::testing::{self, Broker};
use orrery_nats::{NatsError, User};
use support::{bodies, count, until};

const ID: &str = "01997f2e-6f0a-7c3e-9a51-3f0b8a4a2c11";
const OTHER_ID: &str = "01997f2e-6f0a-7c3e-9a51-3f0b8a4a2c12";

async fn ci(broker: &Broker) -> Client {
    testing::connect(&broker.publisher("ci").await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_command_arrives_under_the_publishers_own_name_and_is_acknowledged() {
    let broker = Broker::provisioned().await.unwrap();
    let ci = ci(&broker).await;
    let acknowledged = ci.request(format!("orrery.commands.{ID}"), "{}".into()).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&acknowledged.payload).unwrap();
    assert_eq!(answer["stream"], "COMMANDS");
    assert_eq!(answer["seq"], 1);
    assert_eq!(bodies(&broker, "COMMANDS").await, vec![(format!("orrery.commands.ci.{ID}"), "{}".to_owned())]);
}

#[tokio::test]
async fn the_same_id_again_is_refused_by_the_broker() {
    let broker = Broker::provisioned().await.unwrap();
    let ci = ci(&broker).await;
    for (body, accepted) in [("first", true), ("second", false)] {
        let answer = ci.request(format!("orrery.commands.{ID}"), body.into()).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer.get("error").is_none(), accepted, "{answer}");
    }
    assert_eq!(bodies(&broker, "COMMANDS").await, vec![(format!("orrery.commands.ci.{ID}"), "first".to_owned())]);
}

#[tokio::test]
async fn a_forged_reply_subject_puts_nothing_under_another_name() {
    let broker = Broker::provisioned().await.unwrap();
    let ci = ci(&broker).await;
    let before = count(&broker, "EVENTS").await;
    let forged = [
        format!("orrery.commands.api.{OTHER_ID}"),
        format!("orrery.commands.ops.{OTHER_ID}"),
        format!("orrery.commands.ci.{OTHER_ID}"),
        "orrery.events.command.1".to_owned(),
        "orrery.events.command.1.step".to_owned(),
        "$JS.API.STREAM.PURGE.COMMANDS".to_owned(),
        "$JS.API.STREAM.DELETE.EVENTS".to_owned(),
        "$KV.POLICY.publisher.ci".to_owned(),
        "$KV.HEADS.installation".to_owned(),
        "_INBOX.api.stolen".to_owned(),
    ];
    for (n, reply) in forged.iter().enumerate() {
        ci.publish_with_reply(format!("orrery.commands.01997f2e-6f0a-7c3e-9a51-3f0b8a4a{n:04}"), reply.clone(), "{}".into()).await.unwrap();
    }
    ci.flush().await.unwrap();
    let own = format!("orrery.commands.{ID}");
    ci.request(own, "last".into()).await.unwrap();

    let commands = bodies(&broker, "COMMANDS").await;
    assert_eq!(commands.last().unwrap().1, "last");
    for (subject, body) in &commands {
        assert!(subject.starts_with("orrery.commands.ci.0"), "{subject}: {body}");
        assert!(!subject.ends_with(OTHER_ID), "{subject}: {body}");
    }
    assert_eq!(commands.len(), forged.len() + 1);
    assert_eq!(count(&broker, "EVENTS").await, before);
    let policy = bodies(&broker, "KV_POLICY").await;
    assert!(policy.is_empty(), "{policy:?}");
}

#[tokio::test]
async fn a_reply_that_is_itself_a_command_subject_stays_in_the_publishers_own_name() {
    let broker = Broker::provisioned().await.unwrap();
    let ci = ci(&broker).await;
    ci.publish_with_reply(format!("orrery.commands.{ID}"), format!("orrery.commands.{OTHER_ID}"), "{}".into()).await.unwrap();
    ci.request("orrery.commands.01997f2e-6f0a-7c3e-9a51-3f0b8a4a2c13", "last".into()).await.unwrap();
    for (subject, _) in bodies(&broker, "COMMANDS").await {
        assert!(subject.starts_with("orrery.commands.ci."), "{subject}");
    }
}

#[tokio::test]
async fn nothing_but_the_two_subjects_can_be_published() {
    let broker = Broker::provisioned().await.unwrap();
    let credentials = broker.publisher("ci").await.unwrap();
    for subject in [
        "orrery.commands.api.x",
        "orrery.commands.ci.x",
        "orrery.commands",
        "orrery.events.command.1",
        "orrery.rpc.docker.local.plan",
        "orrery.rpc.api.status.ci",
        "orrery.metrics.heartbeat.docker.local",
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.COMMANDS",
        "$SYS.REQ.SERVER.PING",
        "_INBOX.api.x",
    ] {
        assert!(support::refused(&credentials, subject).await, "{subject}");
    }
    for subject in [format!("orrery.commands.{ID}").as_str(), "orrery.status"] {
        assert!(!support::refused(&credentials, subject).await, "{subject}");
    }
}

#[tokio::test]
async fn nothing_but_the_own_inbox_can_be_heard() {
    let broker = Broker::provisioned().await.unwrap();
    let credentials = broker.publisher("ci").await.unwrap();
    for subject in [">", "orrery.>", "orrery.commands.*", "_INBOX.>", "_INBOX.api.>", "_R_.>", "$JS.>"] {
        assert!(support::deaf(&credentials, subject).await, "{subject}");
    }
    assert!(!support::deaf(&credentials, "_INBOX.ci.>").await);
}

#[tokio::test]
async fn a_status_question_reaches_the_api_under_the_publishers_name_and_is_answered() {
    let broker = Broker::provisioned().await.unwrap();
    let api = broker.connect(User::Api).await.unwrap();
    let mut questions = api.subscribe("orrery.rpc.api.status.*").await.unwrap();
    api.flush().await.unwrap();
    let answering = tokio::spawn(async move {
        let question = questions.next().await.unwrap();
        let subject = question.subject.to_string();
        api.publish(question.reply.unwrap(), "answer".into()).await.unwrap();
        api.flush().await.unwrap();
        subject
    });
    let answer = ci(&broker).await.request("orrery.status", "{}".into()).await.unwrap();
    assert_eq!(answer.payload, "answer");
    assert_eq!(answering.await.unwrap(), "orrery.rpc.api.status.ci");
}

#[tokio::test]
async fn two_publishers_never_see_each_other() {
    let broker = Broker::provisioned().await.unwrap();
    let first = ci(&broker).await;
    let second = testing::connect(&broker.publisher("release-bot").await.unwrap()).await.unwrap();
    // The first one's connection survives the reload that let the second one in.
    for (name, client) in [("release-bot", &second), ("ci", &first)] {
        let answer = client.request(format!("orrery.commands.{ID}"), "{}".into()).await;
        assert!(answer.is_ok(), "{name}: {answer:?}");
    }
    let subjects: Vec<String> = bodies(&broker, "COMMANDS").await.into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(subjects, vec![format!("orrery.commands.release-bot.{ID}"), format!("orrery.commands.ci.{ID}")]);
}

#[tokio::test]
async fn a_wrong_password_and_no_password_are_refused() {
    let broker = Broker::bare().await.unwrap();
    let mut credentials = broker.publisher("ci").await.unwrap();
    credentials.password.push('x');
    let error = testing::connect(&credentials).await.unwrap_err();
    assert!(matches!(error, NatsError::Connect { .. }), "{error:?}");
    assert!(async_nats::connect(broker.url()).await.is_err());
}

#[tokio::test]
async fn an_acknowledged_command_outlives_a_killed_broker() {
    let mut broker = Broker::provisioned().await.unwrap();
    ci(&broker).await.request(format!("orrery.commands.{ID}"), "kept".into()).await.unwrap();
    broker.kill();
    broker.start().await.unwrap();
    let kept = until(Duration::from_secs(10), async || {
        let client = broker.connect(User::Projector).await.ok()?;
        let stream = jetstream::new(client).get_stream("COMMANDS").await.ok()?;
        stream.get_raw_message(1).await.ok()
    })
    .await
    .unwrap();
    assert_eq!(kept.payload, "kept");
}
