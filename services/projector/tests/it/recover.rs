//! Brokers that lost something, and the way back: each loss is made with the broker's own files.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use orrery_contracts::subjects::{COMMANDS, EVENTS, HEADS, VERSIONS};
use orrery_contracts::{Digest, Installation};
use orrery_nats::provision;
use orrery_projector::message::{Message, Stream};
use orrery_projector::recover::{self, Need, Places, RESTORED, RecoverError, Recovered};
use orrery_projector::session::STREAM_REGRESSED;
use orrery_projector::source::Source;
use orrery_queue::{Broker, BrokerConfig, Definitions};
use orrery_tests::history::History;
use serde_json::json;

use crate::support::Story;
use crate::support::live::{Live, PATIENCE};

/// An installation with a story, of which an earlier state of the broker's files was kept.
struct Loss {
    live: Live,
    story: Story,
    kept: tempfile::TempDir,
}

impl Loss {
    /// A first part is said and kept, then a second one is said; the read model has both.
    async fn of_second_part(second: impl FnOnce(&mut Story)) -> Result<Self> {
        let mut live = Live::new().await?;
        let mut story = live.story().await?;
        let shop = story.made("shop");
        story.applied(shop, 1, &[("web", 1, false)]);
        live.speaker().await?.say(&story.said).await?;
        live.nats.stop()?;
        let kept = tempfile::tempdir()?;
        copy(&live.nats.layout().store(), &kept.path().join("store"))?;
        live.nats.start().await?;
        let said = story.said.len();
        second(&mut story);
        live.speaker().await?.say(&story.said[said..]).await?;
        let projector = live.projector().await?;
        live.contains(&story).await?;
        projector.stop().await?;
        Ok(Self { live, story, kept })
    }

    fn streams(&self, name: &str) -> (PathBuf, PathBuf) {
        let of = |store: PathBuf| store.join("jetstream/ORRERY/streams").join(name);
        (of(self.live.nats.layout().store()), of(self.kept.path().join("store")))
    }

    /// These streams are again what they were after the first part.
    async fn cut(&mut self, names: &[&str]) -> Result<()> {
        self.live.nats.kill();
        for name in names {
            let (now, before) = self.streams(name);
            std::fs::remove_dir_all(&now)?;
            copy(&before, &now)?;
        }
        Ok(self.live.nats.start().await?)
    }

    /// These streams are no more; they are made again, empty.
    async fn make_anew(&mut self, names: &[&str]) -> Result<()> {
        self.live.nats.kill();
        for name in names {
            std::fs::remove_dir_all(self.streams(name).0)?;
        }
        self.live.nats.start().await?;
        provision::provision(&self.live.nats.layout(), provision::ALL_ENGINES).await?;
        Ok(())
    }

    /// How many commands the first part had.
    fn held_at_the_cut(&self) -> u64 {
        2
    }

    async fn alarm(&self) -> Result<String> {
        let projector = self.live.projector().await?;
        let alarm = projector.until_it_waits_for(STREAM_REGRESSED).await?;
        projector.stop().await?;
        Ok(alarm)
    }

    fn places(&self) -> Places {
        Places { data: self.live.nats.data().to_owned(), storage_bytes: orrery_queue::topology::Settings::default().storage_bytes }
    }

    async fn recover(&mut self) -> Result<Result<Recovered, RecoverError>> {
        let open = self.live.nats.open_for_recovery().await?;
        let places = Places { storage_bytes: open.prepared.storage_bytes, ..self.places() };
        let config = BrokerConfig {
            url: open.prepared.url.clone(),
            user: open.prepared.user.to_owned(),
            password_file: Some(open.prepared.password_file.clone()),
            authority: None,
        };
        let recovered = recover::recover(&self.live.db.url(), &Broker::connect(&config).await?, &places).await;
        open.close()?;
        self.live.nats.start().await?;
        Ok(recovered)
    }

    /// Everything that a stream holds.
    async fn held(&self, stream: Stream) -> Result<Vec<Message>> {
        let broker = self.live.broker().await?;
        broker.connected().await;
        let source = Source::new(broker.jetstream().clone());
        let ends = source.ends(stream).await?;
        let mut held = Vec::new();
        for seq in ends.first..=ends.last {
            held.push(source.message(stream, seq).await?.with_context(|| format!("{} has a gap at {seq}", stream.name()))?);
        }
        Ok(held)
    }

    /// Every message of the story lies at its number again.
    async fn holds_the_story(&self) -> Result<()> {
        for stream in Stream::KEPT {
            let held = self.held(stream).await?;
            for said in self.story.said.iter().filter(|said| said.stream == stream) {
                let there = held.iter().find(|there| there.seq == said.seq);
                ensure!(there.is_some_and(|there| (&there.subject, &there.body) == (&said.subject, &said.body)), "{said:?}: {there:?}");
            }
        }
        Ok(())
    }

    /// The projector goes on, to the end of what the broker holds.
    async fn goes_on(&self) -> Result<()> {
        let projector = self.live.projector().await?;
        for stream in Stream::KEPT {
            let wanted = self.held(stream).await?.last().map_or(0, |last| last.seq);
            let query = format!("SELECT seq FROM read.offsets WHERE stream = '{}'", stream.name());
            orrery_tests::eventually("the read model has everything", PATIENCE, || async {
                let rows = self.live.db.rows(&query).await?;
                Ok((rows.first().and_then(|row| row["seq"].as_u64()) >= Some(wanted)).then_some(()))
            })
            .await?;
        }
        projector.until_ready().await?;
        let broker = self.live.broker().await?;
        broker.connected().await;
        History::stored(broker.jetstream()).await?.audited("recover")?;
        projector.stop().await
    }

    async fn statuses(&self) -> Result<Vec<(u64, String, String)>> {
        let rows = self.live.db.rows("SELECT seq, status, coalesce(reason, '') AS reason FROM read.commands ORDER BY seq").await?;
        let text = |row: &serde_json::Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        Ok(rows.iter().map(|row| (row["seq"].as_u64().unwrap_or_default(), text(row, "status"), text(row, "reason"))).collect())
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    ensure!(Command::new("cp").arg("-a").arg(from).arg(to).status()?.success(), "cp -a {} {}", from.display(), to.display());
    Ok(())
}

/// A second stack, applied, and a command that waits.
fn second_part(story: &mut Story) {
    let blog = story.made("blog");
    story.applied(blog, 1, &[("web", 1, false)]);
    story.create("waits");
}

#[tokio::test]
async fn a_tail_comes_back_and_commands_go_on_as_if_nothing_had_been() -> Result<()> {
    for lost in [&[COMMANDS][..], &[EVENTS], &[COMMANDS, EVENTS, VERSIONS]] {
        let mut loss = Loss::of_second_part(second_part).await?;
        let before = loss.live.db.dump().await?;
        loss.cut(lost).await?;
        assert!(loss.alarm().await?.contains("cargo xtask recover"));
        let recovered = loss.recover().await??;
        for (stream, need) in &recovered.needs {
            assert_eq!(lost.contains(&stream.name()), matches!(need, Need::Tail { .. }), "{stream:?}: {need:?}");
        }
        assert_eq!((recovered.filled, recovered.moved, recovered.cancelled.len()), (0, 0, 0), "{recovered:?}");
        assert_eq!(recovered.kept_at, None);
        loss.holds_the_story().await?;
        loss.goes_on().await?;
        assert_eq!(loss.live.db.dump().await?, before);
        assert!(loss.recover().await??.was_whole());
    }
    Ok(())
}

#[tokio::test]
async fn what_was_accepted_after_the_loss_gets_a_number_of_its_own_and_is_ended() -> Result<()> {
    let mut loss = Loss::of_second_part(second_part).await?;
    loss.cut(&[COMMANDS, EVENTS, VERSIONS]).await?;
    // A publisher sends what he sent before the loss, and two more.
    let lost = loss.story.said.iter().rfind(|message| message.stream == Stream::Commands).context("no command")?.clone();
    let mut later = loss.story.clone();
    later.said.retain(|message| message.stream == Stream::Commands && message.seq <= loss.held_at_the_cut());
    let fresh: Vec<u64> = (0..2).map(|n| later.command("ci", &json!({"type": "stack.stop", "target": format!("s{n}")}))).collect();
    let mut speech: Vec<Message> = later.said.iter().filter(|message| fresh.contains(&message.seq)).cloned().collect();
    for (n, message) in speech.iter_mut().enumerate() {
        message.subject = format!("orrery.commands.ci.{}", uuid::Uuid::from_u128(0xa11ce + n as u128));
    }
    let repeat = Message { seq: fresh[1] + 1, ..lost.clone() };
    speech.push(repeat);
    loss.live.speaker().await?.say(&speech).await?;
    let alarm = loss.alarm().await?;
    assert!(alarm.contains("was seen") && alarm.contains("`cargo xtask recover` puts back"), "{alarm}");

    let recovered = loss.recover().await??;
    assert_eq!(recovered.moved, 2, "{recovered:?}");
    loss.holds_the_story().await?;
    let held = loss.held(Stream::Commands).await?;
    let ends: Vec<&str> = held.iter().rev().take(2).rev().map(|message| message.subject.as_str()).collect();
    assert_eq!(ends, [speech[0].subject.as_str(), speech[1].subject.as_str()], "behind everything, in their order");
    assert_eq!(held.iter().filter(|message| message.subject == lost.subject).count(), 1, "a repeat is a repeat");
    let kept = std::fs::read_to_string(recovered.kept_at.as_ref().context("nothing was kept")?)?;
    assert!(kept.contains(&speech[0].subject), "what was taken off the broker can be looked at");

    loss.goes_on().await?;
    let statuses = loss.statuses().await?;
    assert_eq!(statuses.len(), held.len());
    for (seq, status, reason) in statuses {
        let ended = recovered.cancelled.contains(&seq);
        assert_eq!(ended, status == "CANCELLED" && reason.starts_with(RESTORED), "{seq}: {status} {reason}");
        assert!(["DONE", "CANCELLED"].contains(&status.as_str()), "{seq} has not ended");
    }
    assert!(loss.recover().await??.was_whole());
    Ok(())
}

/// What becomes of streams that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anew {
    /// These are made again, empty.
    Streams(&'static [&'static str]),
    /// The whole store is gone, and nobody has made anything again.
    Nothing,
    /// The whole store is gone, and was made anew as for a new installation.
    Everything,
}

impl Anew {
    async fn befalls(self, loss: &mut Loss) -> Result<()> {
        if let Self::Streams(lost) = self {
            return loss.make_anew(lost).await;
        }
        loss.live.nats.kill();
        std::fs::remove_dir_all(loss.live.nats.layout().store())?;
        std::fs::create_dir(loss.live.nats.layout().store())?;
        loss.live.nats.start().await?;
        if self == Self::Everything {
            provision::provision(&loss.live.nats.layout(), provision::ALL_ENGINES).await?;
        }
        Ok(())
    }

    /// What the alarm says, besides the way back.
    fn alarm(self) -> &'static [&'static str] {
        match self {
            Self::Streams(lost) => lost,
            Self::Nothing => &["the broker holds nothing"],
            Self::Everything => &["the broker belongs to installation"],
        }
    }
}

#[tokio::test]
async fn streams_that_were_made_anew_and_a_whole_store_that_is_gone_come_back() -> Result<()> {
    for lost in [Anew::Streams(&[COMMANDS]), Anew::Streams(&[EVENTS]), Anew::Streams(&[COMMANDS, EVENTS]), Anew::Nothing, Anew::Everything]
    {
        let mut loss = Loss::of_second_part(second_part).await?;
        let before = loss.live.db.dump().await?;
        let installation = loss.story.installation;
        lost.befalls(&mut loss).await?;
        let alarm = loss.alarm().await?;
        let said = lost.alarm().iter().any(|words| alarm.contains(words)) && alarm.contains("`cargo xtask recover` puts back");
        assert!(said, "{lost:?}: {alarm}");
        let recovered = loss.recover().await??;
        assert_eq!((recovered.filled, recovered.moved, recovered.cancelled.len()), (0, 0, 0), "{recovered:?}");
        loss.holds_the_story().await?;
        loss.goes_on().await?;
        assert_eq!(loss.live.db.dump().await?, before);
        // No executor took part in the story: every head is written from the events.
        assert_eq!(recovered.heads, 2);
        let broker = loss.live.executor().await?;
        let definitions = Definitions::new(broker.streams());
        let known: Option<Installation> = definitions.installation().await?;
        assert_eq!(known.map(|known| known.id), installation, "{HEADS} names the same installation");
        let heads = definitions.stack_heads().await?;
        let told: Vec<_> = heads.iter().map(|kept| (kept.value.name.as_str(), kept.value.latest, kept.value.current)).collect();
        assert!(told.contains(&("shop", 1, Some(1))) && told.contains(&("blog", 1, Some(1))), "{told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn numbers_whose_message_nobody_has_are_filled_and_never_given_again() -> Result<()> {
    let mut loss = Loss::of_second_part(second_part).await?;
    let (commands, events) = (loss.held(Stream::Commands).await?.len() as u64, loss.held(Stream::Events).await?.len() as u64);
    // An executor was ahead of the projector.
    let marks = loss.live.nats.data().join("marks");
    std::fs::create_dir_all(&marks)?;
    let mark = |seq: u64| json!({"seq": seq, "sha256": Digest::of(b"seen")});
    let seen = json!({"commands": mark(commands + 3), "events": mark(events + 2)});
    std::fs::write(marks.join("docker-executor.json"), seen.to_string())?;

    let recovered = loss.recover().await??;
    assert_eq!((recovered.put_back, recovered.filled, recovered.moved), (0, 5, 0), "{recovered:?}");
    assert_eq!(recovered.cancelled.len(), 4, "the one that waited, and three that nobody has: {recovered:?}");
    assert!(!marks.join("docker-executor.json").exists(), "a mark of what is lost is put aside");
    assert_eq!(std::fs::read_dir(&marks)?.count(), 1);
    loss.holds_the_story().await?;
    loss.goes_on().await?;
    assert!(loss.statuses().await?.iter().all(|(_, status, _)| status == "DONE" || status == "CANCELLED"));
    let mut next = Story::of(loss.story.installation.unwrap_or_default());
    next.said = loss.held(Stream::Commands).await?;
    let number = next.create("next");
    assert_eq!(number, commands + 4);
    loss.live.speaker().await?.say(&next.said[next.said.len() - 1..]).await
}

#[tokio::test]
async fn a_recovery_that_is_killed_goes_on_where_it_was() -> Result<()> {
    let mut loss = Loss::of_second_part(|story| {
        second_part(story);
        for n in 0..300 {
            story.create(&format!("stack-{n}"));
        }
    })
    .await?;
    loss.cut(&[COMMANDS, EVENTS, VERSIONS]).await?;
    let mut accepted = Story::new();
    accepted.said = loss.held(Stream::Commands).await?;
    accepted.command("ci", &json!({"type": "stack.stop", "target": "later"}));
    let mut speech = accepted.said.split_off(accepted.said.len() - 1);
    speech[0].subject = format!("orrery.commands.ci.{}", uuid::Uuid::from_u128(0xa11ce));
    loss.live.speaker().await?.say(&speech).await?;

    for after in [30, 60, 90, 120, 150, 200, 300] {
        let open = loss.live.nats.open_for_recovery().await?;
        let mut command = loss.live.command(&["recover"]);
        command
            .env("ORRERY_NATS_URL", &open.prepared.url)
            .env("ORRERY_NATS_USER", open.prepared.user)
            .env("ORRERY_NATS_PASSWORD_FILE", &open.prepared.password_file)
            .env("ORRERY_NATS_MAX_FILE_STORE", open.prepared.storage_bytes.to_string());
        let mut process = command.spawn()?;
        tokio::time::sleep(Duration::from_millis(after)).await;
        let _ = process.kill();
        process.wait()?;
        open.close()?;
        loss.live.nats.start().await?;
    }
    loss.recover().await??;
    loss.holds_the_story().await?;
    let held = loss.held(Stream::Commands).await?;
    assert_eq!(held.iter().filter(|message| message.subject == speech[0].subject).count(), 1);
    loss.goes_on().await?;
    assert!(loss.statuses().await?.iter().all(|(_, status, _)| status == "DONE" || status == "CANCELLED"));
    assert!(loss.recover().await??.was_whole());
    Ok(())
}

#[tokio::test]
async fn copies_that_were_changed_are_no_help_and_nothing_is_touched() -> Result<()> {
    let mut loss = Loss::of_second_part(second_part).await?;
    loss.cut(&[COMMANDS]).await?;
    let before = loss.held(Stream::Commands).await?;
    let mut owner = loss.live.db.as_role("orrery_owner").await?;
    sqlx::raw_sql("UPDATE raw.messages SET body = 'x' WHERE stream = 'COMMANDS' AND seq = 1").execute(&mut owner).await?;
    let refused = loss.recover().await?;
    assert!(matches!(refused, Err(RecoverError::Changed(_))), "{refused:?}");
    assert_eq!(loss.held(Stream::Commands).await?, before);
    Ok(())
}
