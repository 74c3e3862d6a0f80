//! The projector between a real broker and a real database, with crashes of each.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context as _, Result};
use orrery_projector::session::{BROKER, DATABASE, STREAM_REGRESSED};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::replay::long_story;
use crate::support::live::{Live, PATIENCE, Speaker};
use crate::support::{Database, Story};

/// How many batches are cut in the middle.
const CUTS: i64 = 4;
/// Between two looks for a batch to cut.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
/// How many rebuilds there are beside a projector that writes.
const REBUILDS: u32 = 3;

/// The rows without the times that the broker gave, and without observations' offset.
async fn rows(db: &Database) -> Result<String> {
    let dump = db.dump().await?;
    let created = without_broker_times(&dump);
    Ok(created.lines().filter(|line| !line.contains("\"OBSERVED\"")).map(|line| format!("{line}\n")).collect())
}

/// The broker's own times differ from the story's; everything else must not.
fn without_broker_times(dump: &str) -> String {
    let strip = |line: &str| -> String {
        let Ok(Value::Object(mut row)) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
        if row.contains_key("publisher") || row.get("pending") == Some(&Value::Bool(true)) {
            row.insert("created_at".into(), json!("by the broker"));
        }
        Value::Object(row).to_string()
    };
    dump.lines().map(|line| format!("{}\n", strip(line))).collect()
}

async fn told(story: &Story) -> Result<String> {
    let db = Database::new().await?;
    let mut connection = db.projector().await?;
    let mut at = orrery_projector::ingest::Position::read(&mut connection, story.installation.unwrap_or_default()).await?;
    let mut messages = story.said.clone();
    messages.sort_by_key(|message| message.stream);
    let batch = orrery_projector::ingest::Batch { origin: orrery_projector::ingest::Origin::Broker, messages, observed: None };
    orrery_projector::ingest::take(&mut connection, &mut at, &batch).await?;
    rows(&db).await
}

#[tokio::test]
async fn what_is_said_is_in_the_rows_and_a_rebuild_gives_the_same_times_included() -> Result<()> {
    let live = Live::new().await?;
    let mut story = long_story(live.story().await?);
    let id = story.made("kept");
    story.observed(&story.container("w1", Some(id), "web", "running", 7));
    story.observed(&story.container("f1", None, "other", "exited", 7));
    story.listed(7);
    let (projector, speaker) = (live.projector().await?, live.speaker().await?);
    speaker.say(&story.said).await?;
    live.contains(&story).await?;
    projector.until_ready().await?;
    assert_eq!(rows(&live.db).await?, told(&story).await?);
    let before = live.db.dump().await?;
    let generation = live.db.rows("SELECT generation FROM meta.feed_head").await?;

    let done = live.rebuild().await?;
    assert_eq!(live.db.dump().await?, before);
    assert_eq!((done.copies, done.messages), (live.db.rows("SELECT 1 FROM raw.messages").await?.len() as u64, 0));
    assert_ne!(live.db.rows("SELECT generation FROM meta.feed_head").await?, generation);
    assert_eq!(live.db.rows("SELECT 1 FROM read.feed").await?.len(), 0);

    // The running projector goes on behind the swap.
    let more = story.said.len();
    story.create("after-the-rebuild");
    speaker.say(&story.said[more..]).await?;
    live.contains(&story).await?;
    assert_eq!(live.db.rows("SELECT n, kind FROM read.feed WHERE n = 1").await?, [json!({"n": 1, "kind": "command"})]);
    projector.stop().await
}

#[tokio::test]
async fn a_rebuild_without_copies_reads_the_streams_and_makes_them_again() -> Result<()> {
    let live = Live::new().await?;
    let story = long_story(live.story().await?);
    live.speaker().await?.say(&story.said).await?;
    let done = live.rebuild().await?;
    assert_eq!((done.copies, done.messages), (0, story.said.len() as u64));
    assert_eq!(rows(&live.db).await?, told(&story).await?);
    assert_eq!(live.db.rows("SELECT 1 FROM raw.messages").await?.len(), story.said.len());
    let projector = live.projector().await?;
    projector.until_ready().await?;
    projector.stop().await
}

#[tokio::test]
async fn a_projector_that_is_killed_again_and_again_ends_with_the_same_rows() -> Result<()> {
    let live = Live::new().await?;
    let story = long_story(live.story().await?);
    let speaker = live.speaker().await?;
    let say = async {
        for some in story.said.chunks(20) {
            speaker.say(some).await?;
        }
        anyhow::Ok(())
    };
    let crash = async {
        for after in [150, 300, 220, 410, 180, 260, 340, 200_u64] {
            let projector = live.process()?;
            tokio::time::sleep(Duration::from_millis(after)).await;
            drop(projector);
        }
        anyhow::Ok(())
    };
    let (said, crashed) = tokio::join!(say, crash);
    said.and(crashed)?;
    let last = live.process()?;
    live.contains(&story).await?;
    drop(last);
    assert_eq!(rows(&live.db).await?, told(&story).await?);
    let copies = live.db.rows("SELECT stream, count(*) AS n, max(seq) AS last FROM raw.messages GROUP BY stream").await?;
    assert!(copies.iter().all(|row| row["n"] == row["last"]), "{copies:?}");
    Ok(())
}

/// Says a story, and more and more of it until it is enough.
async fn say_on(speaker: &Speaker, story: &mut Story, enough: &Cell<bool>) -> Result<()> {
    speaker.say(&story.said).await?;
    while !enough.get() {
        let said = story.said.len();
        story.made(&format!("more-{said}"));
        speaker.say(&story.said[said..]).await?;
    }
    Ok(())
}

/// Ends every connection of the projector that has written something and not committed it; how many these were.
async fn cut(postgres: &mut PgConnection) -> Result<i64> {
    let query = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE usename = 'orrery_projector' AND backend_xid IS NOT NULL";
    Ok(sqlx::query_scalar(query).fetch_one(postgres).await?)
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_of_a_batch_loses_and_doubles_nothing() -> Result<()> {
    let live = Live::new().await?;
    let mut story = long_story(live.story().await?);
    let (projector, speaker) = (live.projector().await?, live.speaker().await?);
    let mut postgres = live.db.as_role("postgres").await?;
    let enough = Cell::new(false);
    let cutting = async {
        let mut cuts = 0;
        while cuts < CUTS {
            cuts += cut(&mut postgres).await?;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        enough.set(true);
        anyhow::Ok(())
    };
    let both = async { tokio::try_join!(cutting, say_on(&speaker, &mut story, &enough)) };
    tokio::time::timeout(PATIENCE, both).await.context("no batch was found in the middle")??;
    live.contains(&story).await?;
    projector.until_ready().await?;
    assert_eq!(rows(&live.db).await?, told(&story).await?);
    assert_eq!(live.db.rows("SELECT 1 FROM raw.messages").await?.len(), story.said.len());
    projector.stop().await
}

#[tokio::test]
async fn a_rebuild_beside_a_projector_that_writes_gives_the_same_rows() -> Result<()> {
    let live = Live::new().await?;
    let mut story = long_story(live.story().await?);
    let (projector, speaker) = (live.projector().await?, live.speaker().await?);
    let enough = Cell::new(false);
    let rebuilding = async {
        for _ in 0..REBUILDS {
            live.rebuild().await?;
        }
        enough.set(true);
        anyhow::Ok(())
    };
    tokio::try_join!(rebuilding, say_on(&speaker, &mut story, &enough))?;
    live.contains(&story).await?;
    projector.until_ready().await?;
    assert_eq!(rows(&live.db).await?, told(&story).await?);
    assert_eq!(live.db.rows("SELECT 1 FROM raw.messages").await?.len(), story.said.len());
    projector.stop().await
}

#[tokio::test]
async fn it_waits_for_a_broker_or_a_database_that_is_away_and_says_so() -> Result<()> {
    let mut live = Live::new().await?;
    let mut story = live.story().await?;
    let projector = live.projector().await?;
    projector.until_ready().await?;
    live.nats.kill();
    projector.until_it_waits_for(BROKER).await?;
    live.nats.start().await?;
    projector.until_ready().await?;
    live.db.cluster.kill()?;
    projector.until_it_waits_for(DATABASE).await?;
    story.create("meanwhile");
    live.speaker().await?.say(&story.said).await?;
    live.db.cluster.start_again()?;
    live.contains(&story).await?;
    projector.until_ready().await?;
    projector.stop().await
}

#[tokio::test]
async fn a_broker_that_lost_its_tail_is_refused_until_the_tail_is_put_back() -> Result<()> {
    let live = Live::new().await?;
    let story = long_story(live.story().await?);
    let (most, speaker) = (story.said.len() - 6, live.speaker().await?);
    seen(&live, &story).await?;
    speaker.say(&story.said[..most]).await?;
    let before = live.db.dump().await?;
    let projector = live.projector().await?;
    let detail = projector.until_it_waits_for(STREAM_REGRESSED).await?;
    assert!(detail.contains("ends at"), "{detail}");
    assert_eq!(live.db.dump().await?, before);
    let rebuilt = live.rebuild().await;
    assert!(rebuilt.is_err(), "{rebuilt:?}");
    assert_eq!(live.db.dump().await?, before);
    speaker.say(&story.said[most..]).await?;
    projector.until_ready().await?;
    projector.stop().await
}

#[tokio::test]
async fn a_broker_that_has_another_message_under_a_number_is_refused() -> Result<()> {
    let live = Live::new().await?;
    let mut story = live.story().await?;
    story.create("shop");
    seen(&live, &story).await?;
    let mut other = Story::of(story.installation.unwrap_or_default());
    other.create("blog");
    live.speaker().await?.say(&other.said).await?;
    let projector = live.projector().await?;
    let detail = projector.until_it_waits_for(STREAM_REGRESSED).await?;
    assert!(detail.starts_with("message 1 of COMMANDS is not the one that was seen"), "{detail}");
    projector.stop().await
}

#[tokio::test]
async fn what_is_no_longer_observed_goes_when_the_projector_comes_back() -> Result<()> {
    let live = Live::new().await?;
    let mut story = live.story().await?;
    story.observed(&story.container("ghost", None, "web", "running", 1));
    live.db.take(&story.said, 1).await?;
    let mut now = Story::of(story.installation.unwrap_or_default());
    now.observed(&now.container("there", None, "web", "running", 2));
    live.speaker().await?.say(&now.said).await?;
    let projector = live.projector().await?;
    orrery_tests::wait::until_equal("the ghost goes", crate::support::live::PATIENCE, &vec![json!({"id": "there"})], || {
        live.db.rows("SELECT id FROM read.containers")
    })
    .await?;
    projector.stop().await
}

/// Puts the story into the database as if an earlier broker had said it.
async fn seen(live: &Live, story: &Story) -> Result<()> {
    let mut connection = live.db.projector().await?;
    let mut at = orrery_projector::ingest::Position::read(&mut connection, story.installation.unwrap_or_default()).await?;
    let mut messages = story.said.clone();
    messages.sort_by_key(|message| message.stream);
    let batch = orrery_projector::ingest::Batch { origin: orrery_projector::ingest::Origin::Broker, messages, observed: None };
    orrery_projector::ingest::take(&mut connection, &mut at, &batch).await?;
    Ok(())
}

#[tokio::test]
async fn whoever_sees_the_end_of_a_command_sees_what_it_changed() -> Result<()> {
    let live = Live::new().await?;
    let mut story = live.story().await?;
    for n in 0..40 {
        let seq = story.create(&format!("s{n}"));
        story.running(seq, 1, 1);
        story.observed(&story.container(&format!("c{seq}"), None, "web", "running", 1));
        story.done(seq, 1, 1, "done");
    }
    let (projector, speaker) = (live.projector().await?, live.speaker().await?);
    let query = "SELECT c.seq FROM read.commands c
                 WHERE c.status = 'DONE' AND NOT EXISTS (SELECT FROM read.containers o WHERE o.id = 'c' || c.seq)";
    let mut said = std::pin::pin!(speaker.say(&story.said));
    loop {
        tokio::select! {
            said = &mut said => break said?,
            early = live.db.rows(query) => assert_eq!(early?, Vec::<Value>::new()),
        }
    }
    live.contains(&story).await?;
    assert_eq!(live.db.rows(query).await?, Vec::<Value>::new());
    projector.stop().await
}

#[tokio::test]
async fn a_stream_that_begins_above_every_number_ever_seen_is_gone_on_with() -> Result<()> {
    let live = Live::of_bare_broker().await?;
    let old = long_story(Story::new());
    live.db.take(&old.said, 100).await?;
    live.streams_from(1000).await?;
    let projector = live.projector().await?;
    projector.until_ready().await?;
    let speaker = live.speaker().await?;
    let mut new = Story::new();
    let create = new.create("above");
    new.cancelled(create, 1, 0, "rejected: restored");
    // The command is the one at 1000 there; its transition must say so.
    let renumbered: Vec<_> = new.said.iter().map(|message| message.body.clone()).collect();
    let body = String::from_utf8(renumbered[1].to_vec())?.replace("\"seq\":1,", "\"seq\":1000,");
    let mut said = new.said.clone();
    said[0].seq = 1000;
    (said[1].seq, said[1].subject, said[1].body) = (1000, "orrery.events.command.1000".into(), body.into());
    speaker.say(&said).await?;
    let row = json!({"seq": 1000, "status": "CANCELLED"});
    orrery_tests::wait::until_equal("the row above", crate::support::live::PATIENCE, &vec![row], || {
        live.db.rows("SELECT seq, status FROM read.commands WHERE seq > 100")
    })
    .await?;
    let before = live.db.dump().await?;
    live.rebuild().await?;
    assert_eq!(live.db.dump().await?, before);
    projector.stop().await
}
