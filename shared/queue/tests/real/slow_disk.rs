//! A disk that takes its time: the broker is held up whenever it waits for it, while commands are carried out. Nothing is
//! made twice, nothing is left out, and with the disk as quick as before the queue is too.
//!
//! A bounded sample by default; `ORRERY_SOAK_SLOW` says how many commands for each delay, of which the longest is longer than
//! anybody waits for an answer of the broker.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use orrery_contracts::{Engine, Status};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, until};

/// What a broker waits for its disk with: once for each message, behind its write.
const SYNCS: &str = "fsync,fdatasync";
/// A command of two effects is at least so many messages, each behind the one before.
const IN_A_ROW: u32 = 6;

/// Holds up a process whenever it waits for its disk, until it is dropped.
struct SlowDisk {
    tracer: Child,
    said: PathBuf,
    traced: PathBuf,
}

impl SlowDisk {
    async fn under(pid: u32, delay: Duration, folder: &Path) -> Self {
        let (said, traced) = (folder.join("strace.said"), folder.join("strace.traced"));
        let tracer = Command::new("strace")
            .args(["--follow-forks", "--attach", &pid.to_string(), "--output"])
            .arg(&traced)
            .args(["-e", &format!("trace={SYNCS}"), "-e", &format!("inject={SYNCS}:delay_enter={}", delay.as_micros())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .expect("strace is not installed: `cargo xtask test` sees to it");
        let mut disk = Self { tracer, said, traced };
        until("the disk to become slow", async || {
            std::fs::read_to_string(&disk.said).unwrap_or_default().contains(" attached").then_some(())
        })
        .await;
        assert!(matches!(disk.tracer.try_wait(), Ok(None)), "{}", std::fs::read_to_string(&disk.said).unwrap_or_default());
        disk
    }

    /// How often somebody waited for it so far.
    fn waits(&self) -> usize {
        std::fs::read_to_string(&self.traced).unwrap_or_default().matches("(DELAYED)").count()
    }
}

impl Drop for SlowDisk {
    /// Lets go of the process, which goes on as if nothing had been.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.tracer.id().to_string()]).status();
        let _ = self.tracer.wait();
    }
}

/// A publisher who publishes until the broker has it, as one does who gets no answer in time.
async fn publishes(world: &World, script: &str) {
    let (id, body) = (Uuid::now_v7().to_string(), json!({ "type": "stack.start", "target": script }).to_string());
    loop {
        match world.publish(&id, body.clone()).await {
            Ok(_) => return,
            Err(refused) if refused.contains("maximum messages per subject exceeded") => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Has so many commands carried out, which come while others are; how long each took, by and large.
async fn carried_out(world: &World, commands: std::ops::Range<u64>) -> Duration {
    let (began, many) = (Instant::now(), u32::try_from(commands.end - commands.start).unwrap());
    for n in commands.clone() {
        publishes(world, &format!("a{n}--b{n}")).await;
    }
    for seq in commands {
        until_ended(world, seq).await;
    }
    began.elapsed() / many
}

/// However long it takes.
async fn until_ended(world: &World, seq: u64) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !world.status(seq).await.has_ended() {
        assert!(Instant::now() < deadline, "command {seq} does not end: {}", world.story(seq).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_slow_disk_holds_everything_up_and_changes_no_story() {
    let soak: Option<u64> = std::env::var("ORRERY_SOAK_SLOW").ok().and_then(|text| text.parse().ok());
    let delays = match soak {
        None => vec![(Duration::from_millis(200), 2)],
        Some(many) => vec![(Duration::from_millis(300), many), (Duration::from_secs(1), many), (Duration::from_secs(6), many.div_ceil(5))],
    };
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let mut next = 1;
    let mut upcoming = |many: u64| {
        next += many;
        next - many..next
    };
    carried_out(&world, upcoming(1)).await;
    for (delay, many) in delays {
        let before = carried_out(&world, upcoming(many)).await;
        let disk = SlowDisk::under(world.broker.pid().unwrap(), delay, world.folder.path()).await;
        let slow = carried_out(&world, upcoming(many)).await;
        let waits = disk.waits();
        drop(disk);
        let after = carried_out(&world, upcoming(many)).await;
        println!(
            "slow-disk: {many} commands of two effects each, {before:.1?} a command; with {delay:?} for each sync, {slow:.1?} a command, and {waits} syncs \
             that took so long; with the disk as before, {after:.1?} a command"
        );
        assert!(slow > delay * IN_A_ROW, "{slow:?} a command: the disk was not slow");
        assert!(after * 3 < slow && after < before * 4 + delay, "with the disk as before, {after:?} a command; before it, {before:?}");
    }
    for n in 1..upcoming(1).start {
        assert_eq!(world.status(n).await, Status::Done, "{}", world.story(n).await);
        assert_eq!(world.story(n).await, "RUNNING 1.1, DONE 2 made");
        assert_eq!(world.engine.effects_of(n), [format!("a{n}"), format!("b{n}")]);
    }
    docker.stop().await.unwrap();
    world.audit().await;
}
