//! The database is a reader of the streams: without it commands go on, afterwards it has everything, and what it has can be
//! made again.
//!
//! It is away for seconds; `ORRERY_SOAK_AWAY_SECONDS` says for how many.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use orrery_contracts::{StackStatus, Status, subjects};
use orrery_tests::history::{History, Watch};
use orrery_tests::publisher::Publisher;
use orrery_tests::wait::until_equal;
use orrery_tests::{Installation, Service};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::small_stacks::{WELL, free_port, page_says, sleepers, web};

const SOON: Duration = Duration::from_secs(60);

/// Waits until the database has as many messages of each stream as the broker, and checks that they are the same ones.
pub(crate) async fn the_database_has_every_message(orrery: &Installation) -> anyhow::Result<()> {
    let jetstream = orrery.reading().await?;
    let mut db = PgConnection::connect(&orrery.postgres.url("orrery_owner")).await?;
    for name in [subjects::COMMANDS, subjects::EVENTS, subjects::VERSIONS] {
        let mut stream = jetstream.get_stream(name).await?;
        let last = stream.info().await?.state.last_sequence;
        let deadline = std::time::Instant::now() + SOON;
        let kept = loop {
            let rows = sqlx::query("select seq, subject, body from raw.messages where stream = $1 order by seq")
                .bind(name)
                .fetch_all(&mut db)
                .await?;
            if rows.len() as u64 >= last {
                break rows;
            }
            ensure!(std::time::Instant::now() < deadline, "{name}: the database has {} of {last} messages", rows.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        for row in kept {
            let (seq, subject, body): (i64, String, Vec<u8>) = (row.try_get("seq")?, row.try_get("subject")?, row.try_get("body")?);
            let original = stream.get_raw_message(u64::try_from(seq)?).await?;
            ensure!(original.subject.as_str() == subject && original.payload == body, "{name} {seq} is another message in the database");
        }
    }
    Ok(())
}

/// For how long the database is away.
fn away_for() -> Duration {
    let told = std::env::var("ORRERY_SOAK_AWAY_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(told.unwrap_or(3))
}

/// Publishes one command after another until the time is over, each when the one before has ended; how many, and how long the
/// slowest took. Whether one has ended, only the broker knows.
async fn goes_on(orrery: &Installation, ci: &Publisher, until: Instant, command: impl Fn(u32) -> Value) -> anyhow::Result<(u32, Duration)> {
    let events = orrery.reading().await?.get_stream_no_info(subjects::EVENTS).await?;
    let (mut many, mut slowest) = (0, Duration::ZERO);
    while Instant::now() < until {
        let began = Instant::now();
        let seq = ci.publish(&command(many)).await?.seq;
        until_equal(&format!("command {seq} to end"), SOON, &true, || async {
            let last = events.get_last_raw_message_by_subject(&subjects::transition(seq)).await?;
            let last: orrery_contracts::TransitionMessage = serde_json::from_slice(&last.payload)?;
            ensure!(last.change.status() != Status::Failed, "it failed: {last:?}");
            Ok(last.change.status().has_ended())
        })
        .await?;
        (many, slowest) = (many + 1, slowest.max(began.elapsed()));
    }
    Ok((many, slowest))
}

#[tokio::test]
async fn without_the_database_publishers_go_on_and_reads_catch_up() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (watch, ci) = (Watch::begin(&orrery.engine, &orrery.reading().await?).await?, orrery.ci().await?);
    let (name, port) = (orrery.name("away"), free_port());
    orrery.postgres.kill()?;
    let began = Instant::now();
    ci.publish(&json!({"type": "stack.create", "target": name, "payload": {"bundle": web(port, "no database", WELL)}})).await?;
    ci.publish(&json!({"type": "stack.apply", "target": name, "payload": {"version": 1}})).await?;
    page_says(port, "no database").await?;
    let answer = orrery.api.get("/stacks").await?;
    answer.problem(503, "database_away")?;
    ensure!(orrery.api.anonymous().get("!/healthz").await?.status == 200, "the api is not alive without its database");
    ensure!(orrery.api.anonymous().get("!/readyz").await?.status == 503, "the api says it is ready without its database");
    let until = began + away_for();
    // One has a stack stopped and started again and again, the other says what is rejected.
    let stack = |n: u32| json!({"type": if n.is_multiple_of(2) { "stack.stop" } else { "stack.start" }, "target": name});
    let nonsense = |n: u32| json!({"type": "stack.nonsense", "target": format!("nobody-{n}")});
    let ((moved, slowest), (rejected, _)) = tokio::try_join!(goes_on(&orrery, &ci, until, stack), goes_on(&orrery, &ci, until, nonsense))?;
    ensure!(moved > 0 && rejected > 0, "nothing was published");
    ci.publish(&json!({"type": "stack.start", "target": name})).await?;
    println!(
        "database: away for {} s; meanwhile {moved} stops and starts were carried out, the slowest in {} ms, and {rejected} commands were rejected",
        began.elapsed().as_secs(),
        slowest.as_millis()
    );

    let back = Instant::now();
    orrery.postgres.start_again()?;
    the_database_has_every_message(&orrery).await?;
    until_equal("the read model to catch up", SOON, &(Some(1), StackStatus::Running), || async {
        let stack = orrery.api.stack(&name).await?;
        Ok((stack.current_version, stack.status))
    })
    .await?;
    println!("database: it had everything {:.1} s after it was started", back.elapsed().as_secs_f64());
    let history = History::of(&orrery, &watch).await?;
    history.audited("database")?;
    println!("database: every promise holds over {} commands and {} events", history.commands.len(), history.events.len());
    orrery.end().await
}

#[tokio::test]
async fn a_rebuild_gives_the_same_rows() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let (watch, ci) = (Watch::begin(&orrery.engine, &orrery.reading().await?).await?, orrery.ci().await?);
    let (name, other) = (orrery.name("same"), orrery.name("other"));
    orrery.api.create(&name, &sleepers(&["a", "b"])).await?;
    orrery.api.apply(&name, 1).await?;
    orrery.api.save(&name, &sleepers(&["a", "c"])).await?;
    orrery.api.apply(&name, 2).await?;
    ci.publish_bytes(b"nonsense".to_vec()).await?;
    let failed = crate::held_queue::hold(&orrery, &other).await?;
    orrery.api.retry(&failed.id).await?;
    orrery.api.settled(&failed.id).await?;
    orrery.api.cancel(&failed.id).await?;
    orrery.api.settled(&failed.id).await?;
    orrery.api.done(&format!("/stacks/{other}/delete"), json!({"volumes": true})).await?;
    rebuilt_while_it_writes(&orrery, &name).await?;
    the_database_has_every_message(&orrery).await?;

    let before = a_rebuild_changes_nothing(&mut orrery).await?;
    ensure!(before.get("read.commands").is_some_and(|rows| rows.as_array().is_some_and(|rows| rows.len() >= 7)), "{before:#?}");
    orrery.api.apply(&name, 1).await?;
    History::of(&orrery, &watch).await?.audited("rebuild")?;
    orrery.end().await
}

/// Has one version applied after the other while the read model is made again and again.
async fn rebuilt_while_it_writes(orrery: &Installation, name: &str) -> anyhow::Result<()> {
    let environment = orrery.environment_of(Service::Projector);
    let rebuilds = tokio::task::spawn_blocking(move || (0..3).try_for_each(|_| rebuild(environment.clone())));
    let mut applies = 0;
    while !rebuilds.is_finished() {
        orrery.api.apply(name, 1 + applies % 2).await?;
        applies += 1;
    }
    rebuilds.await?
}

fn rebuild(environment: Vec<(String, String)>) -> anyhow::Result<()> {
    let output = Command::new(Service::Projector.program()?).arg("rebuild").envs(environment).output().context("run the rebuild")?;
    ensure!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Empties the read model and makes it again from the raw copies: the same rows. Answers them.
pub(crate) async fn a_rebuild_changes_nothing(orrery: &mut Installation) -> anyhow::Result<BTreeMap<String, Value>> {
    orrery.process(Service::Projector).stop()?;
    let before = rows(orrery).await?;
    rebuild(orrery.environment_of(Service::Projector))?;
    let after = rows(orrery).await?;
    for (table, old) in &before {
        ensure!(
            after.get(table) == Some(old),
            "{table} differs after the rebuild:\nbefore {old:#}\nafter {:#}",
            after.get(table).unwrap_or(&Value::Null)
        );
    }
    orrery.process(Service::Projector).start()?;
    orrery.ready(Service::Projector).await?;
    Ok(before)
}

/// Every row of the read model that follows from the streams, by table. Observations are asked again, and the feed has a
/// new generation.
async fn rows(orrery: &Installation) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut db = PgConnection::connect(&orrery.postgres.url("orrery_owner")).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'read' and table_type = 'BASE TABLE'",
    )
    .fetch_all(&mut db)
    .await?;
    let mut all = BTreeMap::new();
    for table in tables.into_iter().filter(|table| !["feed", "containers", "engines", "hosts"].contains(&table.as_str())) {
        let said = if table == "offsets" { "where stream <> 'OBSERVED'" } else { "" };
        let text = format!("select coalesce(jsonb_agg(to_jsonb(t) order by to_jsonb(t)::text), '[]') from read.{table} t {said}");
        let value: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_one(&mut db).await?;
        all.insert(format!("read.{table}"), value);
    }
    Ok(all)
}
