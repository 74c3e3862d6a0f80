//! What each service can do as its own user, and what it cannot: tried on a real broker, subject by subject.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use futures::StreamExt;
use orrery_nats::User;
use orrery_nats::testing::Broker;
use support::{deaf, refused};

const SERVICES: [User; 4] = [User::Api, User::Projector, User::DockerExecutor, User::LibvirtExecutor];

const STREAMS: [&str; 9] = ["COMMANDS", "EVENTS", "VERSIONS", "BUNDLES", "OBSERVED", "PROGRESS", "KV_HEADS", "KV_POLICY", "OBJ_UPLOADS"];

/// One subject of every kind that is written, and who may write it.
const WRITERS: [(&str, &[User]); 18] = [
    ("orrery.commands.api.x", &[User::Api]),
    ("orrery.commands.ops.x", &[User::Ops]),
    ("orrery.commands.ci.x", &[]),
    ("orrery.events.command.1", &[User::Api, User::DockerExecutor, User::LibvirtExecutor]),
    ("orrery.events.command.1.cancel", &[User::Api]),
    ("orrery.events.command.1.step", &[User::DockerExecutor, User::LibvirtExecutor]),
    ("orrery.events.stack.x", &[User::DockerExecutor]),
    ("orrery.events.machine.x", &[User::LibvirtExecutor]),
    ("orrery.versions.stack.x.1", &[User::DockerExecutor]),
    ("orrery.versions.machine.x.1", &[User::LibvirtExecutor]),
    ("orrery.observed.local.container.x", &[User::DockerExecutor]),
    ("orrery.bundles.x.0", &[User::DockerExecutor, User::LibvirtExecutor]),
    ("$KV.HEADS.stack.x", &[User::DockerExecutor]),
    ("$KV.HEADS.queue.libvirt", &[User::LibvirtExecutor]),
    ("$KV.HEADS.installation", &[User::Ops]),
    ("$KV.POLICY.publisher.ci", &[User::Api]),
    ("orrery.metrics.heartbeat.docker.local", &[User::DockerExecutor]),
    ("orrery.metrics.machine.local", &[User::LibvirtExecutor]),
];

#[tokio::test]
async fn each_subject_is_written_by_its_own_writers_alone() {
    let broker = Broker::provisioned().await.unwrap();
    for user in User::ALL {
        let credentials = broker.credentials(user).unwrap();
        for (subject, writers) in WRITERS {
            let may = !refused(&credentials, subject).await;
            assert_eq!(may, writers.contains(&user), "{user:?} on {subject}");
        }
    }
}

#[tokio::test]
async fn nobody_can_delete_purge_or_rewrite_what_the_streams_hold() {
    let broker = Broker::provisioned().await.unwrap();
    for user in User::ALL {
        let credentials = broker.credentials(user).unwrap();
        for stream in STREAMS {
            for request in ["STREAM.DELETE", "STREAM.MSG.DELETE", "STREAM.SNAPSHOT", "STREAM.RESTORE"] {
                let subject = format!("$JS.API.{request}.{stream}");
                assert!(refused(&credentials, &subject).await, "{user:?}: {subject}");
            }
            let purge = format!("$JS.API.STREAM.PURGE.{stream}");
            let may = !refused(&credentials, &purge).await;
            assert_eq!(may, stream == "OBJ_UPLOADS" && user == User::Api, "{user:?}: {purge}");
        }
    }
}

#[tokio::test]
async fn only_the_provisioning_user_makes_or_changes_streams() {
    let broker = Broker::provisioned().await.unwrap();
    for user in SERVICES {
        let credentials = broker.credentials(user).unwrap();
        for request in ["CREATE.EXTRA", "UPDATE.COMMANDS", "CREATE.COMMANDS"] {
            let subject = format!("$JS.API.STREAM.{request}");
            assert!(refused(&credentials, &subject).await, "{user:?}: {subject}");
        }
    }
}

#[tokio::test]
async fn even_the_provisioning_user_cannot_take_back_that_commands_are_kept() {
    let broker = Broker::provisioned().await.unwrap();
    let jetstream = jetstream::new(broker.connect(User::Ops).await.unwrap());
    let config = jetstream.get_stream("COMMANDS").await.unwrap().cached_info().config.clone();
    let loosened = jetstream::stream::Config { deny_delete: false, deny_purge: false, ..config };
    assert!(jetstream.update_stream(loosened).await.is_err());
}

#[tokio::test]
async fn no_service_hears_anothers_answers() {
    let broker = Broker::provisioned().await.unwrap();
    for user in SERVICES {
        let credentials = broker.credentials(user).unwrap();
        for subject in [">", "orrery.commands.>", "orrery.events.>", "_INBOX.>", "$JS.>", "$KV.>"] {
            assert!(deaf(&credentials, subject).await, "{user:?}: {subject}");
        }
        for other in User::ALL {
            let inbox = format!("{}.>", other.inbox_prefix());
            assert_eq!(deaf(&credentials, &inbox).await, other != user, "{user:?}: {inbox}");
        }
    }
}

#[tokio::test]
async fn a_follower_gets_every_message_with_a_consumer_of_its_own() {
    let broker = Broker::provisioned().await.unwrap();
    let api = jetstream::new(broker.connect(User::Api).await.unwrap());
    for n in 0..3 {
        api.publish(format!("orrery.commands.api.{n}"), format!("{n}").into()).await.unwrap().await.unwrap();
    }
    for user in [User::Projector, User::DockerExecutor, User::LibvirtExecutor] {
        let jetstream = jetstream::new(broker.connect(user).await.unwrap());
        let stream = jetstream.get_stream("COMMANDS").await.unwrap();
        let consumer =
            stream.create_consumer(OrderedConfig::default()).await.unwrap_or_else(|error| panic!("{user:?}: {error}\n{}", broker.log()));
        let followed: Vec<String> = consumer
            .messages()
            .await
            .unwrap()
            .take(3)
            .map(|message| String::from_utf8(message.unwrap().payload.to_vec()).unwrap())
            .collect()
            .await;
        assert_eq!(followed, ["0", "1", "2"], "{user:?}");
    }
}

#[tokio::test]
async fn heads_and_policies_are_watched_by_those_who_decide_by_them() {
    let broker = Broker::provisioned().await.unwrap();
    let api = jetstream::new(broker.connect(User::Api).await.unwrap());
    let policy = api.get_key_value("POLICY").await.unwrap();
    policy.put("publisher.ci", "{}".into()).await.unwrap();
    for user in [User::DockerExecutor, User::LibvirtExecutor] {
        let jetstream = jetstream::new(broker.connect(user).await.unwrap());
        let policy = jetstream.get_key_value("POLICY").await.unwrap();
        assert_eq!(policy.get("publisher.ci").await.unwrap().unwrap(), "{}", "{user:?}");
        let mut changes = policy.watch_with_history("publisher.>").await.unwrap();
        let entry = changes.next().await.unwrap().unwrap();
        assert_eq!(entry.key, "publisher.ci", "{user:?}");
        assert!(policy.put("publisher.ci", "{\"role\":\"admin\"}".into()).await.is_err(), "{user:?}");
    }
    assert_eq!(policy.get("publisher.ci").await.unwrap().unwrap(), "{}");
}

#[tokio::test]
async fn an_upload_goes_from_the_api_to_an_executor_and_can_be_replaced_by_nobody_else() {
    use tokio::io::AsyncReadExt;
    let broker = Broker::provisioned().await.unwrap();
    let api = jetstream::new(broker.connect(User::Api).await.unwrap());
    let uploads = api.get_object_store("UPLOADS").await.unwrap();
    let large = vec![7_u8; 3 * 1024 * 1024];
    uploads.put("digest", &mut large.as_slice()).await.unwrap();
    // Once more: the chunks of the first are purged.
    uploads.put("digest", &mut large.as_slice()).await.unwrap();
    let executor = jetstream::new(broker.connect(User::DockerExecutor).await.unwrap());
    let theirs = executor.get_object_store("UPLOADS").await.unwrap();
    let mut read = Vec::new();
    theirs.get("digest").await.unwrap().read_to_end(&mut read).await.unwrap();
    assert!(read == large);
    for user in [User::DockerExecutor, User::Projector] {
        let credentials = broker.credentials(user).unwrap();
        assert!(refused(&credentials, "$O.UPLOADS.C.x").await, "{user:?}");
    }
}

#[tokio::test]
async fn an_executor_answers_the_api_with_many_frames() {
    let broker = Broker::provisioned().await.unwrap();
    let executor = broker.connect(User::DockerExecutor).await.unwrap();
    let mut questions = executor.subscribe("orrery.rpc.docker.local.>").await.unwrap();
    executor.flush().await.unwrap();
    let api = broker.connect(User::Api).await.unwrap();
    let inbox = api.new_inbox();
    let mut frames = api.subscribe(inbox.clone()).await.unwrap();
    // The two connections are apart: the question is asked until the subscription has reached the broker.
    let question = loop {
        api.publish_with_reply("orrery.rpc.docker.local.logs", inbox.clone(), "".into()).await.unwrap();
        let wait = std::time::Duration::from_millis(200);
        if let Ok(question) = tokio::time::timeout(wait, questions.next()).await {
            break question.unwrap();
        }
    };
    let reply = question.reply.unwrap();
    for n in 0..3 {
        executor.publish(reply.clone(), format!("{n}").into()).await.unwrap();
    }
    executor.flush().await.unwrap();
    for n in 0..3 {
        let frame = loop {
            let frame = frames.next().await.unwrap();
            // Asking before anybody listened is answered by the broker itself.
            if frame.status.is_none() {
                break frame;
            }
        };
        assert_eq!(frame.payload, format!("{n}"));
    }
}

#[tokio::test]
async fn provisioning_again_changes_nothing_and_keeps_the_installations_id() {
    let broker = Broker::provisioned().await.unwrap();
    let id = || async {
        let jetstream = jetstream::new(broker.connect(User::Projector).await.unwrap());
        let heads = jetstream.get_key_value("HEADS").await.unwrap();
        let record = heads.get("installation").await.unwrap().unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        (record["id"].clone(), record["engines"].clone())
    };
    let first = id().await;
    assert_eq!(first.1, serde_json::json!(["docker", "libvirt"]));
    let again = orrery_nats::provision::provision(&broker.layout(), "docker").await.unwrap();
    assert!(again.iter().all(|(_, ensured)| *ensured == orrery_queue::topology::Ensured::Verified), "{again:?}");
    assert_eq!(id().await, (first.0, serde_json::json!(["docker"])));
}

#[tokio::test]
async fn a_stream_of_that_name_that_is_not_ours_is_refused_with_what_differs() {
    let broker = Broker::bare().await.unwrap();
    let jetstream = jetstream::new(broker.connect(User::Ops).await.unwrap());
    jetstream
        .create_stream(jetstream::stream::Config {
            name: "COMMANDS".to_owned(),
            subjects: vec!["orrery.commands.>".to_owned()],
            ..jetstream::stream::Config::default()
        })
        .await
        .unwrap();
    let error = orrery_nats::provision::provision(&broker.layout(), "docker").await.unwrap_err();
    let chain = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(chain.contains("COMMANDS") && chain.contains("deny_delete"), "{chain}");
}
