//! The database is a reader of the streams: without it commands go on, afterwards it has everything, and what it has can be
//! made again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use orrery_contracts::{StackStatus, subjects};
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

#[tokio::test]
async fn without_the_database_publishers_go_on_and_reads_catch_up() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
    let (name, port) = (orrery.name("away"), free_port());
    orrery.postgres.kill()?;
    ci.publish(&json!({"type": "stack.create", "target": name, "payload": {"bundle": web(port, "no database", WELL)}})).await?;
    ci.publish(&json!({"type": "stack.apply", "target": name, "payload": {"version": 1}})).await?;
    page_says(port, "no database").await?;
    let answer = orrery.api.get("/stacks").await?;
    answer.problem(503, "database_away")?;
    ensure!(orrery.api.anonymous().get("!/healthz").await?.status == 200, "the api is not alive without its database");
    ensure!(orrery.api.anonymous().get("!/readyz").await?.status == 503, "the api says it is ready without its database");

    orrery.postgres.start_again()?;
    until_equal("the read model to catch up", SOON, &(Some(1), StackStatus::Running), || async {
        let stack = orrery.api.stack(&name).await?;
        Ok((stack.current_version, stack.status))
    })
    .await?;
    the_database_has_every_message(&orrery).await?;
    orrery.end().await
}

#[tokio::test]
async fn a_rebuild_gives_the_same_rows() -> anyhow::Result<()> {
    let mut orrery = Installation::start().await?;
    let ci = orrery.ci().await?;
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
    the_database_has_every_message(&orrery).await?;

    let before = a_rebuild_changes_nothing(&mut orrery).await?;
    ensure!(before.get("read.commands").is_some_and(|rows| rows.as_array().is_some_and(|rows| rows.len() >= 7)), "{before:#?}");
    orrery.api.apply(&name, 1).await?;
    orrery.end().await
}

/// Empties the read model and makes it again from the raw copies: the same rows. Answers them.
pub(crate) async fn a_rebuild_changes_nothing(orrery: &mut Installation) -> anyhow::Result<BTreeMap<String, Value>> {
    orrery.process(Service::Projector).stop()?;
    let before = rows(orrery).await?;
    let output = std::process::Command::new(Service::Projector.program()?)
        .arg("rebuild")
        .envs(orrery.environment_of(Service::Projector))
        .output()
        .context("run the rebuild")?;
    ensure!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
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
