//! A broker that came back without a part of its streams, under an executor that runs, that has a command in hand, or that starts
//! again: it says so, with the way out, and nothing is made. Each loss is made with the broker's own files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use orrery_contracts::subjects::{COMMANDS, EVENTS};
use orrery_contracts::{Engine, Status};
use orrery_nats::User;
use orrery_queue::topology;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use crate::world::{Running, World, until};

const LOSSES: [&[&str]; 3] = [&[COMMANDS], &[EVENTS], &[COMMANDS, EVENTS]];

/// A queue of which an earlier state of the broker's files was kept.
struct Loss {
    world: World,
    kept: TempDir,
}

impl Loss {
    /// One command is done and the files are kept, then two more are done.
    async fn begin() -> (Self, Running) {
        let mut world = World::new().await;
        let docker = world.start(Engine::Docker).await;
        let first = world.run("a").await;
        world.becomes(first, Status::Done).await;
        let kept = tempfile::tempdir().unwrap();
        world.broker.stop().unwrap();
        copy(&world.broker.layout().store(), &kept.path().join("store"));
        world.broker.start().await.unwrap();
        let loss = Self { world, kept };
        loss.goes_on(&docker).await;
        for script in ["b--c", "d"] {
            let last = loss.published(script).await;
            loss.world.becomes(last, Status::Done).await;
        }
        (loss, docker)
    }

    async fn goes_on(&self, docker: &Running) {
        until("the executor to be connected", async || docker.waits.for_what("broker").is_none().then_some(())).await;
        self.world.publishers_again().await;
    }

    fn streams(&self, name: &str) -> (PathBuf, PathBuf) {
        let of = |store: PathBuf| store.join("jetstream/ORRERY/streams").join(name);
        (of(self.world.broker.layout().store()), of(self.kept.path().join("store")))
    }

    /// These streams of a broker that is down are again what they were after the first command.
    fn cut(&self, names: &[&str]) {
        for name in names {
            let (now, before) = self.streams(name);
            std::fs::remove_dir_all(&now).unwrap();
            copy(&before, &now);
        }
    }

    /// These streams are no more; they are made again, empty, with numbers from `events_from` on for one of them.
    async fn make_anew(&mut self, names: &[&str], events_from: Option<u64>) {
        self.world.broker.kill();
        for name in names {
            std::fs::remove_dir_all(self.streams(name).0).unwrap();
        }
        self.world.broker.start().await.unwrap();
        let ops = self.world.connection(User::Ops).await;
        topology::ensure(ops.jetstream(), &topology::Settings { events_from, ..topology::Settings::default() }).await.unwrap();
    }

    /// Somebody publishes, as soon as the broker can be reached.
    async fn published(&self, script: &str) -> u64 {
        let body = json!({ "type": "stack.start", "target": script }).to_string();
        until("the broker to take a command", async || self.world.publish(&Uuid::now_v7().to_string(), body.clone()).await.ok()).await
    }

    fn made(&self) -> Vec<String> {
        self.world.engine.effects().into_iter().map(|effect| effect.what).collect()
    }

    /// The executor stands by, says what was lost and what to do, and so does the next one; nothing was made but this.
    async fn ends_in_an_alarm(self, docker: Running, lost: &[&str], made: &[&str]) {
        self.published("after").await;
        self.alarm(&docker, lost).await;
        docker.kill().await;
        let docker = self.world.start(Engine::Docker).await;
        self.alarm(&docker, lost).await;
        assert_eq!(self.made(), made, "{lost:?}");
        docker.stop().await.unwrap();
    }

    async fn alarm(&self, docker: &Running, lost: &[&str]) {
        let alarm = until("the alarm", async || {
            assert!(!docker.task.is_finished(), "an alarm is no crash: {lost:?}");
            docker.waits.for_what("stream_regressed")
        })
        .await;
        assert!(lost.iter().any(|name| alarm.contains(name)) && alarm.contains("`cargo xtask recover`"), "{lost:?}: {alarm}");
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success(), "cp -a {} {}", from.display(), to.display());
}

#[tokio::test]
async fn a_tail_that_is_cut_under_an_idle_executor_has_nothing_made() {
    for lost in LOSSES {
        let (mut loss, docker) = Loss::begin().await;
        loss.world.broker.kill();
        loss.cut(lost);
        loss.world.broker.start().await.unwrap();
        loss.ends_in_an_alarm(docker, lost, &["a", "b", "c", "d"]).await;
    }
}

#[tokio::test]
async fn a_tail_that_is_cut_while_the_executor_is_dead_has_nothing_made() {
    for lost in LOSSES {
        let (mut loss, docker) = Loss::begin().await;
        // At once: neither the mark in HEADS nor the last of what it saw is written.
        docker.kill().await;
        loss.world.broker.kill();
        loss.cut(lost);
        loss.world.broker.start().await.unwrap();
        let docker = loss.world.start(Engine::Docker).await;
        loss.ends_in_an_alarm(docker, lost, &["a", "b", "c", "d"]).await;
    }
}

#[tokio::test]
async fn a_tail_that_is_cut_under_a_command_in_hand_has_no_further_step_made() {
    for lost in LOSSES {
        let (mut loss, docker) = Loss::begin().await;
        loss.published("slow-e--f").await;
        loss.world.enters("slow-e", 1).await;
        loss.world.broker.kill();
        // What was begun is made; what comes next would have to be written first.
        loss.world.engine.open("slow-e", 1);
        until("the effect to be made", async || (loss.made().len() == 5).then_some(())).await;
        loss.cut(lost);
        loss.world.broker.start().await.unwrap();
        loss.ends_in_an_alarm(docker, lost, &["a", "b", "c", "d", "slow-e"]).await;
    }
}

#[tokio::test]
async fn a_tail_that_is_cut_under_a_command_that_waits_does_not_have_it_begin() {
    for lost in LOSSES {
        let (mut loss, docker) = Loss::begin().await;
        loss.world.engine.away(1_000);
        loss.published("e").await;
        until("the engine to be waited for", async || docker.waits.for_what("engine")).await;
        loss.world.broker.kill();
        loss.cut(lost);
        // The engine is there again before the broker is: who waits for both goes on at once.
        loss.world.engine.away(0);
        tokio::time::sleep(Duration::from_millis(500)).await;
        loss.world.broker.start().await.unwrap();
        loss.ends_in_an_alarm(docker, lost, &["a", "b", "c", "d"]).await;
    }
}

#[tokio::test]
async fn a_stream_that_was_made_anew_has_nothing_made() {
    for lost in LOSSES {
        let (mut loss, docker) = Loss::begin().await;
        loss.make_anew(lost, None).await;
        loss.ends_in_an_alarm(docker, lost, &["a", "b", "c", "d"]).await;
    }
}

#[tokio::test]
async fn events_that_begin_above_what_was_seen_have_no_command_run_again() {
    for dead in [false, true] {
        let (mut loss, docker) = Loss::begin().await;
        let docker = if dead {
            docker.kill().await;
            loss.make_anew(&[EVENTS], Some(1_000)).await;
            loss.world.start(Engine::Docker).await
        } else {
            loss.make_anew(&[EVENTS], Some(1_000)).await;
            docker
        };
        loss.ends_in_an_alarm(docker, &[EVENTS], &["a", "b", "c", "d"]).await;
    }
}
