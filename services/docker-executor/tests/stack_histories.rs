//! Simulated histories of the whole docker-executor: reader, planner and convergence on the engine in memory, killed, frozen,
//! cut off and overtaken while stacks are made, changed, rolled back, stopped and deleted. Afterwards every stack is what its
//! head says.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "support/wired.rs"]
mod wired;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use orrery_contracts::bundle::BundleLimits;
use orrery_contracts::rpc::{PlanQuestion, PlanTarget};
use orrery_contracts::{Desired, Engine as Which, StackHead, subjects};
use orrery_docker_executor::commands::DockerExecutor;
use orrery_docker_executor::engine::memory::MemoryEngine;
use orrery_docker_executor::files::DataDir;
use orrery_queue::{Definitions, ServeError};
use orrery_simulation::{Cast, Control, Dice, Place, Plan, Wire, World, sweep};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use wired::{Mischief, Wired};

const IMAGE: &str = "shop:1";
const STEPS: u64 = 5_000;

/// The executor of stacks; that of machines has nothing to do.
struct Stacks;

struct Stage {
    engine: Arc<MemoryEngine>,
    data: tempfile::TempDir,
    drifted: Arc<AtomicBool>,
}

impl Stage {
    fn executor(&self, wire: &Arc<Wire>, busy: u32) -> DockerExecutor<Wired> {
        let engine = Wired {
            engine: Arc::clone(&self.engine),
            wire: Arc::clone(wire),
            mischief: Mischief::Busy(busy),
            acts: Arc::new(AtomicU64::new(0)),
            drifted: Arc::clone(&self.drifted),
        };
        let definitions = Definitions::new(&wire.streams());
        DockerExecutor::new(definitions, engine, DataDir::in_step(self.data.path()), BundleLimits::default(), "local".to_owned())
    }
}

impl Cast for Stacks {
    type Stage = Stage;

    fn stage(&self) -> Stage {
        let engine = Arc::new(MemoryEngine::with_images(&[IMAGE]));
        Stage { engine, data: tempfile::tempdir().unwrap(), drifted: Arc::default() }
    }

    fn start(&self, stage: &Stage, world: &World, place: &Place) -> JoinHandle<Result<(), ServeError>> {
        match place.engine {
            Which::Docker => world.start(&place.wire, place.engine, place.host, stage.executor(&place.wire, 20)),
            Which::Libvirt => tokio::spawn(std::future::pending()),
        }
    }

    fn body(&self, _stage: &Stage, dice: &mut Dice) -> Vec<u8> {
        let stack = if dice.chance(500) { "ada" } else { "bob" };
        let version = 1 + dice.below(4);
        let plain = |kind: &'static str| (kind, json!({}));
        let (kind, payload) = match dice.below(20) {
            0..4 => ("stack.create", json!({ "bundle": bundle(stack, dice) })),
            4..7 => ("stack.version.create", json!({ "bundle": bundle(stack, dice) })),
            7..12 => ("stack.apply", json!({ "version": version })),
            12..14 => ("stack.rollback", json!({ "version": version })),
            14..16 => ("stack.deploy", json!({ "bundle": bundle(stack, dice) })),
            16 => plain("stack.start"),
            17 => plain("stack.stop"),
            18 => plain("stack.restart"),
            _ => ("stack.delete", json!({ "volumes": dice.chance(500) })),
        };
        let mut command = json!({ "type": kind, "target": stack, "payload": payload });
        if dice.chance(300) {
            command["on_failure"] = "release".into();
        }
        if dice.chance(50) {
            command["deadline_seconds"] = (5 + dice.below(60)).into();
        }
        command.to_string().into_bytes()
    }

    async fn settled(&self, stage: &Stage, world: &World) -> Result<(), String> {
        let wire = world.wire(Control::None);
        let executor = stage.executor(&wire, 0);
        let process = world.start(&wire, Which::Docker, 0, executor.clone());
        if stage.drifted.load(Ordering::Relaxed) {
            // The last call of a run that was overtaken is drift, and drift is mended by an apply.
            for (number, head) in heads(world).into_iter().enumerate().filter(|(_, head)| !head.deleted) {
                mend(world, number, &head).await?;
            }
        }
        for head in heads(world) {
            as_its_head_says(stage, &executor, &head).await?;
        }
        process.abort();
        let leftovers: Vec<String> = stage.engine.inventory().into_iter().filter(|line| line.contains(".orrery-")).collect();
        if leftovers.is_empty() { Ok(()) } else { Err(format!("left under names for a while: {leftovers:?}")) }
    }
}

fn bundle(stack: &str, dice: &mut Dice) -> Value {
    let mark = dice.below(3);
    let port = if dice.chance(100) { 8080 } else { 8081 + u64::from(stack == "ada") };
    let health = if dice.chance(150) { "unhealthy" } else { "healthy" };
    let job = if dice.chance(100) { 3 } else { 0 };
    let extra = if dice.chance(400) { format!("  extra:\n    image: {IMAGE}\n    volumes: [files:/files]\n") } else { String::new() };
    let text = format!(
        "services:\n  web:\n    image: {IMAGE}\n    environment: {{MARK: '{mark}'}}\n    ports: ['{port}:80']\n    depends_on:\n      db: {{condition: service_healthy}}\n      job: {{condition: service_completed_successfully}}\n  db:\n    image: {IMAGE}\n    environment: {{BEHAVE: {health}}}\n  job:\n    image: {IMAGE}\n    environment: {{BEHAVE: 'ends:{job}', MARK: '{mark}'}}\n{extra}volumes:\n  files:\n"
    );
    json!({ "files": { "compose.yaml": text } })
}

fn heads(world: &World) -> Vec<StackHead> {
    let mut heads = BTreeMap::new();
    for item in world.all(&format!("KV_{}", subjects::HEADS)).into_iter().filter(|item| item.subject.contains(".stack.")) {
        heads.insert(item.subject, serde_json::from_slice::<StackHead>(&item.body).unwrap());
    }
    heads.into_values().collect()
}

async fn mend(world: &World, number: usize, head: &StackHead) -> Result<(), String> {
    let mut commands = Vec::new();
    if let Some(version) = head.current {
        commands.push(json!({ "type": "stack.apply", "target": head.id, "payload": { "version": version } }));
    }
    if head.desired == Desired::Stopped || head.current.is_none() {
        commands.push(json!({ "type": "stack.stop", "target": head.id }));
    }
    for (place, command) in commands.into_iter().enumerate() {
        let id = u128::try_from(1_000_000 + number * 10 + place).unwrap();
        let seq = world.publish(id, command.to_string().into()).ok_or("the broker refuses a command")?;
        let mut waited = 0;
        while !world.status(seq).is_some_and(|status| status.has_ended()) {
            sleep(Duration::from_secs(1)).await;
            waited += 1;
            if waited > 3600 {
                return Err(format!("drift of {} is not mended: command {seq} is {:?}", head.name, world.status(seq)));
            }
        }
    }
    Ok(())
}

async fn as_its_head_says(stage: &Stage, executor: &DockerExecutor<Wired>, head: &StackHead) -> Result<(), String> {
    let runs: Vec<String> = stage.engine.up_of(head.id);
    match (head.deleted, head.desired, head.current) {
        (true, ..) | (false, Desired::Stopped, _) | (false, _, None) if runs.is_empty() => Ok(()),
        (false, Desired::Running, Some(version)) => {
            let question = PlanQuestion {
                stack_id: Some(head.id),
                project: head.project.clone(),
                actor: head.owner.to_string(),
                target: PlanTarget::Version(version),
            };
            let plan = executor.plan_for(&question).await.map_err(|problem| format!("{}: {problem:?}", head.name))?;
            if plan.empty { Ok(()) } else { Err(format!("{} at version {version} is not what its head says: {plan:?}", head.name)) }
        }
        _ => Err(format!("{} runs {runs:?}, and its head says {head:?}", head.name)),
    }
}

#[test]
fn stacks_come_to_what_their_heads_say() {
    let Some(sums) = sweep("stacks", &Stacks, STEPS, 200_000) else { return };
    assert!(sums.kills > 20 && sums.cuts > 20 && sums.rivals > 5 && sums.lost > 50, "nothing was tried: {sums:?}");
    assert!(sums.commands > 200 && sums.done * 6 > sums.commands, "nothing was done: {sums:?}");
}

#[test]
fn a_seed_is_a_history() {
    let history = |seed| Plan { seed, steps: STEPS, control: Control::None, tell: false }.run(&Stacks).unwrap();
    for seed in 1..=5 {
        assert_eq!(history(seed), history(seed));
    }
    assert_ne!(history(1).trace, history(2).trace);
}
