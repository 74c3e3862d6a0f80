//! Definitions and topology on a real broker, by the users and permissions that the services have.

use orrery_contracts::{
    Bundle, Desired, Digest, Engine, FileContent, QueueMark, StackChange, StackEvent, StackHead, StackId, Time, VersionRecord, subjects,
};
use orrery_nats::User;
use orrery_queue::Definitions;
use orrery_queue::definitions::{DefinitionError, Kept, PolicyWatch};
use orrery_queue::topology::{self, Ensured, Settings, TopologyError};
use uuid::Uuid;

use crate::world::{World, until};

fn at() -> Time {
    Time::parse("2026-01-01T00:00:00Z").unwrap()
}

fn version(stack: StackId, number: u32, command: u64) -> VersionRecord {
    VersionRecord {
        of: stack.into(),
        version: number,
        parent: None,
        author: "anna".parse().unwrap(),
        comment: String::new(),
        created_at: at(),
        digest: Digest::of(b"x"),
        files: Vec::new(),
        command,
    }
}

fn head(name: &str) -> StackHead {
    StackHead {
        id: StackId::new(Uuid::now_v7()),
        name: name.parse().unwrap(),
        owner: "anna".parse().unwrap(),
        project: name.into(),
        host: "local".into(),
        latest: 1,
        current: None,
        desired: Desired::Created,
        converged: 0,
        deleted: false,
        command: 1,
        created_at: at(),
        locks: std::collections::BTreeMap::new(),
        pinned: false,
        secrets: std::collections::BTreeMap::new(),
    }
}

#[tokio::test]
async fn a_bundle_of_many_chunks_is_read_back_and_hashed() {
    let world = World::new().await;
    let definitions = Definitions::new(world.connection(User::DockerExecutor).await.streams());
    let mut bundle = Bundle::default();
    bundle.files.insert("compose.yaml".into(), FileContent::text("services: {}"));
    bundle.files.insert("big".into(), FileContent::text("0123456789abcdef".repeat(100_000)));
    let digest = definitions.put_bundle(&bundle).await.unwrap();
    assert_eq!(definitions.put_bundle(&bundle).await.unwrap(), digest, "a repeat changes nothing");
    assert_eq!(definitions.get_bundle(&digest).await.unwrap(), Some(bundle));
    assert_eq!(definitions.get_bundle(&Digest::of(b"never written")).await.unwrap(), None);
}

#[tokio::test]
async fn bytes_under_a_wrong_digest_are_refused_at_every_read() {
    let world = World::new().await;
    let broker = world.connection(User::DockerExecutor).await;
    let claimed = Digest::of(b"something else");
    let mut headers = async_nats::HeaderMap::new();
    headers.insert(subjects::CHUNKS_HEADER, "1");
    let sent = broker.jetstream().publish_with_headers(subjects::bundle_chunk(&claimed, 0), headers, "tampered".into()).await.unwrap();
    sent.await.unwrap();
    let error = Definitions::new(broker.streams()).get_bytes(&claimed).await.unwrap_err();
    assert!(matches!(error, DefinitionError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn an_upload_is_read_by_its_digest_and_hashed() {
    let world = World::new().await;
    let api = world.connection(User::Api).await;
    let store = api.jetstream().get_object_store(subjects::UPLOADS).await.unwrap();
    let bytes = vec![7_u8; 400_000];
    let digest = Digest::of(&bytes);
    store.put(digest.as_str(), &mut bytes.as_slice()).await.unwrap();
    let wrong = Digest::of(b"wrong");
    store.put(wrong.as_str(), &mut b"other bytes".as_slice()).await.unwrap();
    let definitions = Definitions::new(world.connection(User::DockerExecutor).await.streams());
    assert_eq!(definitions.get_upload(&digest, 1_000_000).await.unwrap(), Some(bytes));
    assert!(matches!(definitions.get_upload(&digest, 1_000).await, Err(DefinitionError::Damaged { .. })));
    assert!(matches!(definitions.get_upload(&wrong, 1_000).await, Err(DefinitionError::Damaged { .. })));
    assert_eq!(definitions.get_upload(&Digest::of(b"absent"), 1_000).await.unwrap(), None);
}

#[tokio::test]
async fn a_version_is_written_once_and_a_repeat_of_its_command_counts_as_written() {
    let world = World::new().await;
    let definitions = Definitions::new(world.connection(User::DockerExecutor).await.streams());
    let stack = StackId::new(Uuid::now_v7());
    let first = version(stack, 1, 5);
    definitions.put_version(&first).await.unwrap();
    let later = VersionRecord { created_at: Time::parse("2027-01-01T00:00:00Z").unwrap(), ..first.clone() };
    assert_eq!(definitions.put_version(&later).await.unwrap(), first, "what was written stands");
    let of_another = definitions.put_version(&version(stack, 1, 6)).await.unwrap_err();
    assert!(matches!(of_another, DefinitionError::Taken { by: 5, .. }), "{of_another}");
    assert_eq!(definitions.get_version(stack, 2).await.unwrap(), None);
}

#[tokio::test]
async fn a_head_is_changed_over_the_revision_that_was_read() {
    let world = World::new().await;
    let definitions = Definitions::new(world.connection(User::DockerExecutor).await.streams());
    let mut head = head("shop");
    let revision = definitions.put_head(&head, 0).await.unwrap();
    assert_eq!(definitions.put_head(&head, 0).await.unwrap(), revision, "a repeat counts as written");
    head.latest = 2;
    assert!(matches!(definitions.put_head(&head, 0).await, Err(DefinitionError::Changed { .. })));
    let second = definitions.put_head(&head, revision).await.unwrap();
    let kept = definitions.stack_head(head.id).await.unwrap().unwrap();
    assert_eq!((kept.value.clone(), kept.revision), (head.clone(), second));
    assert_eq!(definitions.stack_heads().await.unwrap(), [kept]);
    let change = StackChange::DesiredChanged { desired: Desired::Running };
    let event_id = StackEvent::derive_id(head.id, 1, 1, &change);
    definitions.tell(&StackEvent { event_id, stack_id: head.id, seq: 1, at: at(), change }).await.unwrap();
}

/// What a list leaves out is a name that is given twice.
#[tokio::test]
async fn a_head_is_in_the_list_at_once_whatever_else_is_written_meanwhile() {
    const HEADS: usize = 300;
    let mut world = World::new().await;
    let definitions = Definitions::new(world.connection(User::DockerExecutor).await.streams());
    let marks = definitions.clone();
    let beside = tokio::spawn(async move {
        for command in 1_u64.. {
            let over = marks.queue_mark(Engine::Docker).await.unwrap().map_or(0, |kept| kept.revision);
            marks.put_queue_mark(Engine::Docker, QueueMark { commands: command, events: 0 }, over).await.unwrap();
        }
    });
    for n in 1..=HEADS {
        definitions.put_head(&head(&format!("stack-{n}")), 0).await.unwrap();
        assert_eq!(definitions.stack_heads().await.unwrap().len(), n);
    }
    beside.abort();
    let _ = beside.await;
    // Another reader's write is seen, and so is everything after the broker was away.
    let other = Definitions::new(world.connection(User::DockerExecutor).await.streams());
    let first = other.stack_heads().await.unwrap().swap_remove(0);
    other.put_head(&StackHead { deleted: true, ..first.value.clone() }, first.revision).await.unwrap();
    let deleted = |heads: &[Kept<StackHead>]| heads.iter().filter(|kept| kept.value.deleted).count();
    let heads = definitions.stack_heads().await.unwrap();
    assert_eq!((heads.len(), deleted(&heads)), (HEADS, 1));
    world.broker.kill();
    world.broker.start().await.unwrap();
    let heads = definitions.patiently(|| definitions.stack_heads()).await.unwrap();
    assert_eq!((heads.len(), deleted(&heads)), (HEADS, 1));
}

#[tokio::test]
async fn rights_are_followed_also_across_a_restart_of_the_broker() {
    let mut world = World::new().await;
    let broker = world.connection(User::DockerExecutor).await;
    let policy = PolicyWatch::start(&broker);
    until("the rights that were there", async || policy.publisher("ci")).await;
    world.broker.kill();
    world.broker.start().await.unwrap();
    world.policy("user.bert", orrery_contracts::Role::User, orrery_contracts::Quota::default()).await;
    until("the rights given since", async || policy.user("bert")).await;
}

#[tokio::test]
async fn what_exists_is_verified_and_what_is_wrong_is_refused_with_the_field() {
    let world = World::new().await;
    let ops = world.connection(User::Ops).await;
    let ensured = topology::ensure(ops.jetstream(), &Settings::default()).await.unwrap();
    assert!(ensured.iter().all(|(_, ensured)| *ensured == Ensured::Verified), "{ensured:?}");
    let smaller = Settings { storage_bytes: 32 * 1024 * 1024 * 1024, ..Settings::default() };
    let resized = topology::ensure(ops.jetstream(), &smaller).await.unwrap();
    assert!(resized.contains(&("COMMANDS".into(), Ensured::Resized)), "{resized:?}");
    let mut observed = ops.jetstream().get_stream(subjects::OBSERVED).await.unwrap().cached_info().config.clone();
    observed.max_messages_per_subject = 5;
    ops.jetstream().update_stream(observed).await.unwrap();
    let error = topology::ensure(ops.jetstream(), &smaller).await.unwrap_err();
    assert!(matches!(&error, TopologyError::Wrong { stream, .. } if stream == subjects::OBSERVED), "{error}");
    assert!(error.to_string().contains("max_msgs_per_subject is 5, should be 1"), "{error}");
}
