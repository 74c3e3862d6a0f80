//! One order across both executors: a command starts only when every command before it has ended, whoever owns it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::jetstream::consumer::DeliverPolicy;
use futures::StreamExt as _;
use orrery_contracts::rest::{Command, QueueState};
use orrery_contracts::subjects::{self, EventSubject};
use orrery_contracts::{Change, Status, TransitionMessage};
use orrery_tests::wait::until_equal;
use orrery_tests::{Installation, Service};
use serde_json::json;

use crate::small_stacks::sleepers;

/// The place in EVENTS of each command's first RUNNING, and of its end.
#[derive(Default, Debug)]
struct Life {
    running: Option<u64>,
    ended: Option<u64>,
}

/// Reads every transition that there is.
async fn lives(orrery: &Installation) -> anyhow::Result<BTreeMap<u64, Life>> {
    let jetstream = orrery.reading().await?;
    let mut stream = jetstream.get_stream(subjects::EVENTS).await?;
    let last = stream.info().await?.state.last_sequence;
    let config = async_nats::jetstream::consumer::pull::OrderedConfig {
        filter_subject: subjects::ALL_TRANSITIONS.into(),
        deliver_policy: DeliverPolicy::All,
        ..Default::default()
    };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    let mut lives: BTreeMap<u64, Life> = BTreeMap::new();
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_secs(3), messages.next()).await {
        let message = message?;
        let at = message.info().map_err(|error| anyhow::anyhow!("{error}"))?.stream_sequence;
        let Some(EventSubject::Transition(seq)) = subjects::parse_event(&message.subject) else { continue };
        let transition: TransitionMessage = serde_json::from_slice(&message.payload)?;
        let life = lives.entry(seq).or_default();
        match transition.change {
            Change::Running { .. } => life.running = life.running.or(Some(at)),
            Change::Done { .. } | Change::Cancelled { .. } => life.ended = Some(at),
            Change::Failed { .. } | Change::Pending {} => {}
        }
        if at == last {
            break;
        }
    }
    Ok(lives)
}

#[tokio::test]
async fn commands_of_both_executors_keep_one_order() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let name = orrery.name("order");
    let mut published = Vec::new();
    let machine = |kind: &str, n: usize| json!({"type": kind, "target": format!("vm{n}"), "payload": {}});
    published.push(ci.publish(&json!({"type": "stack.create", "target": name, "payload": {"bundle": sleepers(&["a", "b"])}})).await?);
    for n in 0..6 {
        published.push(ci.publish(&machine("machine.create", n)).await?);
        published.push(ci.publish(&json!({"type": "stack.apply", "target": name, "payload": {"version": 1}})).await?);
        published.push(ci.publish(&machine("box.import", n)).await?);
        published.push(ci.publish(&json!({"type": "stack.stop", "target": name})).await?);
    }
    for answer in &published {
        let command = ci.settled(&answer.id).await?;
        let is_machine = command.r#type.as_deref().is_some_and(|kind| kind.starts_with("machine.") || kind.starts_with("box."));
        let wanted = if is_machine { Status::Cancelled } else { Status::Done };
        ensure!(command.status == wanted, "{command:#?}");
    }
    let lives = lives(&orrery).await?;
    ensure!(lives.len() == published.len(), "{} of {} commands have transitions", lives.len(), published.len());
    let mut last_end = 0;
    for (seq, life) in &lives {
        ensure!(life.running.is_none_or(|running| running > last_end), "{seq} started before an earlier one had ended: {lives:#?}");
        last_end = last_end.max(life.ended.with_context(|| format!("{seq} has not ended"))?);
    }
    orrery.end().await
}

#[tokio::test]
async fn while_an_executor_is_away_its_command_waits_at_the_head_and_the_queue_says_so() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let name = orrery.name("away");
    ci.done(&json!({"type": "stack.create", "target": name, "payload": {"bundle": sleepers(&["a"])}})).await?;
    orrery.process(Service::LibvirtExecutor).kill();
    let machine = ci.publish(&json!({"type": "machine.start", "target": "vm", "payload": {}})).await?;
    let behind = ci.publish(&json!({"type": "stack.apply", "target": name, "payload": {"version": 1}})).await?;
    until_equal("the queue to say who is away", Duration::from_secs(30), &Some("libvirt".to_owned()), || async {
        Ok(orrery.api.read::<QueueState>("/queue").await?.executor_away)
    })
    .await?;
    let waiting: Command = orrery.api.read(&format!("/commands/{}", behind.seq)).await?;
    ensure!(waiting.status == Status::Pending, "it went past the machine: {waiting:#?}");
    ensure!(orrery.engine.of_project(&name).await?.is_empty());

    orrery.process(Service::LibvirtExecutor).start()?;
    ensure!(ci.settled(&machine.id).await?.status == Status::Cancelled);
    ensure!(ci.settled(&behind.id).await?.status == Status::Done);
    orrery.end().await
}
