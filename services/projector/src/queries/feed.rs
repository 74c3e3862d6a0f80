//! The feed: what changed, by reference, numbered without gaps.
//!
//! **Invariant:** whoever writes the read model holds the row of the feed's head from the beginning of his transaction to
//! its end, so there is one writer at a time, and a number is visible only after every smaller one.

use sqlx::{Connection as _, PgConnection};

use super::{big, unsigned};
use crate::changes::Entry;

/// The most entries that are kept, and for how many hours.
const KEPT: i64 = 20_000;

/// The feed's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Changes at a rebuild.
    pub generation: i64,
    /// The last number given out.
    pub n: u64,
}

/// Waits to be the only writer, and reads the head.
///
/// # Errors
/// When the database is away or refuses.
pub async fn lock(db: &mut PgConnection) -> sqlx::Result<Head> {
    let head = sqlx::query!("SELECT generation, n FROM meta.feed_head FOR UPDATE").fetch_one(db).await?;
    Ok(Head { generation: head.generation, n: unsigned(head.n) })
}

/// Reads the head.
///
/// # Errors
/// When the database is away or refuses.
pub async fn head(db: &mut PgConnection) -> sqlx::Result<Head> {
    let head = sqlx::query!("SELECT generation, n FROM meta.feed_head").fetch_one(db).await?;
    Ok(Head { generation: head.generation, n: unsigned(head.n) })
}

/// Adds entries behind the head, with whoever may see them, and wakes the listeners.
///
/// # Errors
/// When the database is away or refuses.
pub async fn append(db: &mut PgConnection, head: Head, entries: &[Entry]) -> sqlx::Result<Head> {
    if entries.is_empty() {
        return Ok(head);
    }
    let kinds: Vec<String> = entries.iter().map(|entry| entry.kind.word().to_owned()).collect();
    let commands: Vec<Option<i64>> = entries.iter().map(|entry| entry.command.map(big)).collect();
    let attempts: Vec<Option<i64>> = entries.iter().map(|entry| entry.step.map(|(attempt, _)| i64::from(attempt))).collect();
    let steps: Vec<Option<i64>> = entries.iter().map(|entry| entry.step.map(|(_, n)| i64::from(n))).collect();
    let stacks: Vec<Option<uuid::Uuid>> = entries.iter().map(|entry| entry.stack).collect();
    let versions: Vec<Option<i64>> = entries.iter().map(|entry| entry.version.map(i64::from)).collect();
    let hosts: Vec<Option<String>> = entries.iter().map(|entry| entry.host.clone()).collect();
    let containers: Vec<Option<String>> = entries.iter().map(|entry| entry.container.clone()).collect();
    let owners: Vec<Option<String>> = entries.iter().map(|entry| entry.owner.clone()).collect();
    let gone: Vec<bool> = entries.iter().map(|entry| entry.gone).collect();
    sqlx::query!(
        "INSERT INTO read.feed (n, kind, command, attempt, step, stack_id, version, host, container, owner, actor, gone)
         SELECT $1 + e.i, e.kind, e.command, e.attempt, e.step, e.stack_id, e.version, e.host, e.container,
                coalesce(e.owner, (SELECT s.owner FROM read.stacks s WHERE s.id = e.stack_id)),
                (SELECT c.actor FROM read.commands c WHERE c.seq = e.command),
                e.gone OR (e.kind = 'stack' AND NOT EXISTS (SELECT FROM read.stacks s WHERE s.id = e.stack_id AND s.deleted_at IS NULL))
         FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[], $8::text[], $9::text[],
                     $10::text[], $11::boolean[]) WITH ORDINALITY
              AS e (kind, command, attempt, step, stack_id, version, host, container, owner, gone, i)",
        big(head.n),
        &kinds,
        &commands as &[Option<i64>],
        &attempts as &[Option<i64>],
        &steps as &[Option<i64>],
        &stacks as &[Option<uuid::Uuid>],
        &versions as &[Option<i64>],
        &hosts as &[Option<String>],
        &containers as &[Option<String>],
        &owners as &[Option<String>],
        &gone
    )
    .execute(&mut *db)
    .await?;
    let head = Head { n: head.n.saturating_add(entries.len() as u64), ..head };
    sqlx::query!("UPDATE meta.feed_head SET n = $1", big(head.n)).execute(&mut *db).await?;
    tell(db, head).await?;
    Ok(head)
}

/// Wakes the listeners when the transaction is committed.
///
/// # Errors
/// When the database is away or refuses.
pub async fn tell(db: &mut PgConnection, head: Head) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_notify('orrery_feed', $1)", head.n.to_string()).execute(db).await?;
    Ok(())
}

/// Lets go of old entries.
///
/// # Errors
/// When the database is away or refuses.
pub async fn prune(db: &mut PgConnection, head: Head) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM read.feed WHERE n <= $1 OR at < clock_timestamp() - interval '24 hours'",
        big(head.n).saturating_sub(KEPT)
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Begins the feed anew when the server was started since it was begun: an older copy of the database may have been put back
/// meanwhile, and would give out its numbers a second time. Answers whether it did.
///
/// # Errors
/// When the database is away or refuses.
pub async fn belongs_to_this_server(db: &mut PgConnection) -> sqlx::Result<bool> {
    let mut tx = db.begin().await?;
    lock(&mut tx).await?;
    let same =
        sqlx::query_scalar!(r#"SELECT server_started IS NOT DISTINCT FROM pg_postmaster_start_time() AS "same!" FROM meta.feed_head"#)
            .fetch_one(&mut *tx)
            .await?;
    if !same {
        begin_again(&mut tx).await?;
        sqlx::query!("UPDATE meta.feed_head SET server_started = pg_postmaster_start_time()").execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(!same)
}

/// Empties the feed under a new generation: whoever followed it loads again.
///
/// # Errors
/// When the database is away or refuses.
pub async fn begin_again(db: &mut PgConnection) -> sqlx::Result<Head> {
    sqlx::query!("DELETE FROM read.feed").execute(&mut *db).await?;
    let generation = sqlx::query_scalar!(
        r#"UPDATE meta.feed_head SET n = 0, generation = greatest(generation + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
           RETURNING generation"#
    )
    .fetch_one(&mut *db)
    .await?;
    let head = Head { generation, n: 0 };
    tell(db, head).await?;
    Ok(head)
}
