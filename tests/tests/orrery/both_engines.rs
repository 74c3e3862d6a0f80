//! Two hundred commands for stacks and for machines, mixed, in one order: some fail and hold the queue, some are tried again, some
//! are cancelled while they wait or run. What became of each is what a model of a few lines says, and so is what is there in
//! the end; the history shows that each began when all before it had ended, whichever executor they were for.
#![allow(clippy::print_stdout)] // What happened, and how often.

use std::collections::BTreeMap;
use std::process::Command as Program;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bollard::query_parameters::{RemoveImageOptions, TagImageOptions};
use orrery_contracts::rest::{Command, Machine, QueueState};
use orrery_contracts::{Bundle, FileContent, Status};
use orrery_test_libvirt::Libvirtd;
use orrery_tests::bundles::replacing;
use orrery_tests::history::{History, Watch};
use orrery_tests::images::BUSYBOX;
use orrery_tests::machines::{import, with_libvirt};
use orrery_tests::publisher::{Acknowledged, Publisher};
use orrery_tests::{Installation, wait};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::small_stacks::{does_not_start, sleepers};

const COMMANDS: usize = 200;
/// Nothing happens for so long: then something is wrong.
const STANDS_STILL: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Stack,
    Machine,
}

/// What becomes of an apply of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Runs,
    Fails,
    /// It fails until somebody makes its image, and tries it again.
    Later,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Create(Version),
    Save(Version),
    Apply(u32),
    Stop,
    Delete,
}

#[derive(Debug)]
struct Sent {
    kind: Kind,
    name: String,
    deed: Deed,
    ack: Acknowledged,
    /// Whether somebody asked for its end.
    cancelled: bool,
}

/// A stack or machine as the model has it.
#[derive(Debug, Default)]
struct Thing {
    versions: Vec<Version>,
    current: Option<u32>,
    up: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Rejected,
    Failed,
}

type Model = BTreeMap<(Kind, String), Thing>;

/// What must become of a command when nobody cancels it.
fn expected(model: &Model, sent: &Sent) -> Outcome {
    let there = model.get(&(sent.kind, sent.name.clone()));
    match (sent.deed, there) {
        (Deed::Create(_), None) | (Deed::Save(_) | Deed::Delete, Some(_)) => Outcome::Done,
        (Deed::Create(_), Some(_)) | (_, None) => Outcome::Rejected,
        // A stack that was never applied has nothing that runs; a machine has no guest that could be meant.
        (Deed::Stop, Some(thing)) if thing.current.is_none() && sent.kind == Kind::Machine => Outcome::Rejected,
        (Deed::Stop, Some(_)) => Outcome::Done,
        (Deed::Apply(version), Some(thing)) => match usize::try_from(version).ok().and_then(|version| thing.versions.get(version - 1)) {
            None => Outcome::Rejected,
            Some(Version::Fails) => Outcome::Failed,
            Some(Version::Runs | Version::Later) => Outcome::Done,
        },
    }
}

/// What is so once it is done.
fn carry_out(model: &mut Model, sent: &Sent) {
    let key = (sent.kind, sent.name.clone());
    match sent.deed {
        Deed::Create(version) => drop(model.insert(key, Thing { versions: vec![version], ..Thing::default() })),
        Deed::Delete => drop(model.remove(&key)),
        Deed::Save(version) => model.entry(key).or_default().versions.push(version),
        Deed::Apply(version) => {
            let thing = model.entry(key).or_default();
            (thing.current, thing.up) = (Some(version), true);
        }
        Deed::Stop => model.entry(key).or_default().up = false,
    }
}

/// The installation, who publishes, and where chance comes from.
struct Mixed {
    orrery: Installation,
    ci: Publisher,
    libvirt: Libvirtd,
    chance: StdRng,
    /// The image that is made later.
    image: String,
    names: BTreeMap<Kind, Vec<String>>,
    sent: Vec<Sent>,
    retried: u32,
    /// When a command that runs is to be cancelled, if it is.
    patience: BTreeMap<u64, Option<Instant>>,
}

impl Mixed {
    async fn start(seed: u64) -> anyhow::Result<Self> {
        let (orrery, libvirt) = with_libvirt().await?;
        let ci = orrery.ci().await?;
        let names = BTreeMap::from([
            (Kind::Stack, vec![orrery.name("one"), orrery.name("two")]),
            (Kind::Machine, vec!["one".to_owned(), "two".to_owned()]),
        ]);
        let image = format!("orrery/later:{}", orrery.name("later"));
        Ok(Self {
            orrery,
            ci,
            libvirt,
            chance: StdRng::seed_from_u64(seed),
            image,
            names,
            sent: Vec::new(),
            retried: 0,
            patience: BTreeMap::new(),
        })
    }

    fn bundle(&self, kind: Kind, version: Version, number: usize) -> anyhow::Result<Bundle> {
        let machine = |console: &str| {
            let memory = 32 + number % 8;
            let text = format!(
                "kind: vm\nsource: {{box: boots}}\nmemory: {memory}MiB\nnetworks: []\nstop_grace_period: 1s\nready: {{console: {console:?}, timeout: 20s}}\n"
            );
            Bundle { files: [("machine.yaml".to_owned(), FileContent::text(text))].into() }
        };
        let labelled = |bundle| replacing(bundle, "compose.yaml", "marker: \"1\"", &format!("marker: \"{number}\""));
        Ok(match (kind, version) {
            (Kind::Stack, Version::Runs) => labelled(sleepers(&["a"]))?,
            (Kind::Stack, Version::Later) => replacing(labelled(sleepers(&["a"]))?, "compose.yaml", BUSYBOX, &self.image)?,
            (Kind::Stack, Version::Fails) => does_not_start(),
            (Kind::Machine, Version::Runs | Version::Later) => machine("that is all"),
            (Kind::Machine, Version::Fails) => {
                let mut bundle = machine("what it never says");
                for file in bundle.files.values_mut() {
                    *file = FileContent::text(String::from_utf8_lossy(&file.bytes).replace("20s", "2s"));
                }
                bundle
            }
        })
    }

    fn deed(&mut self) -> Deed {
        let version = |chance: u32| match chance {
            0 => Version::Fails,
            1 | 2 => Version::Later,
            _ => Version::Runs,
        };
        match self.chance.random_range(0..20) {
            0..5 => Deed::Create(version(self.chance.random_range(0..6))),
            5..9 => Deed::Save(version(self.chance.random_range(0..4))),
            9..15 => Deed::Apply(self.chance.random_range(1..4)),
            15..18 => Deed::Stop,
            _ => Deed::Delete,
        }
    }

    async fn publish(&mut self) -> anyhow::Result<()> {
        let (kind, type_of) = if self.chance.random_bool(0.5) { (Kind::Stack, "stack") } else { (Kind::Machine, "machine") };
        let names = self.names.get(&kind).context("no names")?;
        let name = names[self.chance.random_range(0..names.len())].clone();
        let deed = self.deed();
        let number = self.sent.len();
        let (verb, payload) = match deed {
            Deed::Create(version) => ("create", json!({"bundle": self.bundle(kind, version, number)?})),
            Deed::Save(version) => ("version.create", json!({"bundle": self.bundle(kind, version, number)?})),
            Deed::Apply(version) => ("apply", json!({"version": version})),
            Deed::Stop => ("stop", json!({})),
            Deed::Delete if kind == Kind::Machine => ("delete", json!({"disks": true})),
            Deed::Delete => ("delete", json!({})),
        };
        let body: Value = json!({"type": format!("{type_of}.{verb}"), "target": name, "payload": payload});
        let ack = self.ci.publish(&body).await?;
        self.sent.push(Sent { kind, name, deed, ack, cancelled: false });
        Ok(())
    }

    async fn cancel(&mut self, seq: u64) -> anyhow::Result<()> {
        let answer = self.orrery.api.post(&format!("/commands/{seq}/cancel"), json!({})).await?;
        ensure!(matches!(answer.status, 200 | 202 | 409), "a cancel of {seq} answered {}: {}", answer.status, answer.body);
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.ack.seq == seq && answer.status != 409) {
            sent.cancelled = true;
        }
        Ok(())
    }

    /// Whether it is now that somebody has waited long enough for a command: for one in six there is such a moment, a little while
    /// after it was first seen to run.
    fn loses_patience(&mut self, seq: u64) -> bool {
        let chance = &mut self.chance;
        let moment = self.patience.entry(seq).or_insert_with(|| {
            let impatient = chance.random_ratio(1, 6);
            impatient.then(|| Instant::now() + Duration::from_millis(chance.random_range(0..1500)))
        });
        moment.take_if(|moment| *moment <= Instant::now()).is_some()
    }

    /// A failure is decided: what can succeed is tried again once its image is there, of the rest some are tried again in vain.
    async fn decide(&mut self, failed: &Command) -> anyhow::Result<()> {
        let missing = failed.error.as_ref().is_some_and(|error| error.message.contains(&self.image));
        if missing {
            let (repository, tag) = self.image.split_once(':').context("no tag")?;
            let names = TagImageOptions { repo: Some(repository.to_owned()), tag: Some(tag.to_owned()) };
            self.orrery.engine.docker().tag_image(BUSYBOX, Some(names)).await?;
        }
        if missing || failed.attempt == 1 && (self.retried == 0 || self.chance.random_bool(0.5)) {
            self.retried += 1;
            return self.orrery.api.retry(&failed.seq.to_string()).await.map(drop);
        }
        self.cancel(failed.seq).await
    }

    /// Sees to the queue until everything has ended.
    async fn see_to_it(&mut self) -> anyhow::Result<()> {
        let last = self.sent.last().context("nothing was sent")?.ack.seq;
        let mut moved = (Instant::now(), None);
        loop {
            let queue: QueueState = self.orrery.api.read("/queue").await?;
            let head = queue.head.as_ref().map(|head| (head.seq, head.attempt, head.status));
            if head != moved.1 {
                moved = (Instant::now(), head);
            }
            ensure!(moved.0.elapsed() < STANDS_STILL, "the queue stands: {queue:#?}");
            match queue.head {
                None if queue.last_seq >= last => return Ok(()),
                Some(head) if head.status == Status::Failed => self.decide(&head).await?,
                Some(head) if head.status == Status::Running && self.loses_patience(head.seq) => self.cancel(head.seq).await?,
                Some(_) | None => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
    }

    /// What became of each command, by the model.
    async fn judge(&self) -> anyhow::Result<(Model, BTreeMap<&'static str, u32>)> {
        let (mut model, mut tally) = (Model::new(), BTreeMap::new());
        for sent in &self.sent {
            let command: Command = self.orrery.api.read(&format!("/commands/{}", sent.ack.seq)).await?;
            let wanted = expected(&model, sent);
            let found = match (command.status, command.reason.as_deref()) {
                (Status::Done, _) => Some(Outcome::Done),
                (Status::Cancelled, Some(reason)) if reason.starts_with("rejected:") => Some(Outcome::Rejected),
                (Status::Cancelled, _) if command.error.is_some() => Some(Outcome::Failed),
                (Status::Cancelled, _) if sent.cancelled => None,
                _ => bail!("{sent:?} ended so, and nobody asked for it: {command:#?}"),
            };
            let word = match found {
                Some(Outcome::Done) if command.attempt > 1 => "done when tried again",
                Some(Outcome::Done) => "done",
                Some(Outcome::Rejected) => "rejected",
                Some(Outcome::Failed) => "failed",
                None => "cancelled",
            };
            *tally.entry(word).or_default() += 1;
            match found {
                Some(found) => ensure!(found == wanted, "{sent:?} should be {wanted:?}, is {found:?}: {command:#?}\nthe model: {model:#?}"),
                None => continue,
            }
            if wanted == Outcome::Done {
                carry_out(&mut model, sent);
            }
        }
        Ok((model, tally))
    }

    /// What is there, against the model.
    async fn look(&self, model: &Model) -> anyhow::Result<()> {
        for name in &self.names[&Kind::Stack] {
            let thing = model.get(&(Kind::Stack, name.clone()));
            let containers = self.orrery.engine.of_project(name).await?;
            let running = containers.iter().filter(|seen| seen.state == "running").count();
            ensure!(running == usize::from(thing.is_some_and(|thing| thing.up)), "stack {name}: {thing:?}, and {containers:#?}");
            let Some(thing) = thing else { continue };
            let stack = self.orrery.api.stack(&format!("ci%2F{name}")).await?;
            let latest = u32::try_from(thing.versions.len())?;
            ensure!((stack.latest_version, stack.current_version) == (latest, thing.current), "{stack:#?}, and the model: {thing:?}");
        }
        let listed = Program::new("virsh").args(["--connect", &self.libvirt.vm(), "list", "--name"]).output()?;
        let running =
            String::from_utf8_lossy(&listed.stdout).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        for name in &self.names[&Kind::Machine] {
            let thing = model.get(&(Kind::Machine, name.clone()));
            ensure!(running.contains(name) == thing.is_some_and(|thing| thing.up), "machine {name}: {thing:?}, and {running:?} run");
            let Some(thing) = thing else { continue };
            let machine: Machine = self.orrery.api.read(&format!("/machines/ci%2F{name}")).await?;
            let latest = u32::try_from(thing.versions.len())?;
            ensure!((machine.latest_version, machine.current_version) == (latest, thing.current), "{machine:#?}, and the model: {thing:?}");
        }
        Ok(())
    }
}

#[tokio::test]
async fn commands_for_stacks_and_machines_end_in_one_order_as_a_model_says() -> anyhow::Result<()> {
    let seed = std::env::var("ORRERY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let mut mixed = Mixed::start(seed).await?;
    let watch = Watch::begin(&mixed.orrery.engine, &mixed.orrery.reading().await?).await?;
    import(&mixed.ci).await?;
    for _ in 0..COMMANDS {
        mixed.publish().await?;
        if mixed.chance.random_ratio(1, 16) {
            let seq = mixed.sent.last().context("nothing was sent")?.ack.seq;
            // What the api does not know yet it cannot cancel.
            wait::eventually("the command to be known", Duration::from_secs(30), || async {
                Ok((mixed.orrery.api.get(&format!("/commands/{seq}")).await?.status == 200).then_some(()))
            })
            .await?;
            mixed.cancel(seq).await?;
        }
    }
    mixed.see_to_it().await?;
    let (model, tally) = mixed.judge().await.with_context(|| format!("seed {seed}"))?;
    mixed.look(&model).await.with_context(|| format!("seed {seed}"))?;
    println!("both engines, seed {seed}: {tally:?}, {} decided to be tried again", mixed.retried);
    let all = ["done", "rejected", "failed", "cancelled"].iter().all(|word| tally.contains_key(word));
    ensure!(all && mixed.retried > 0, "not everything happened: {tally:?}");
    History::of(&mixed.orrery, &watch).await?.audited("both-engines")?;
    let gone = RemoveImageOptions { force: true, ..RemoveImageOptions::default() };
    // There is one only where somebody came to need it.
    let _ = mixed.orrery.engine.docker().remove_image(&mixed.image, Some(gone), None).await;
    mixed.orrery.end().await
}
