//! Raw copies: appended to and read, never changed.

use sqlx::PgConnection;

use super::{big, unsigned};
use crate::message::{CHAIN_START, Chain, Message, Stream};

/// The end of a stream as it was copied: the mark that the broker is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The last number.
    pub seq: u64,
    /// What that message hashes to.
    pub sha256: String,
    /// The chain up to it.
    pub chain: Chain,
}

/// The end of a stream; none when nothing was copied yet.
///
/// # Errors
/// When the database is away or refuses.
pub async fn mark(db: &mut PgConnection, stream: Stream) -> sqlx::Result<Option<Mark>> {
    let row = sqlx::query!("SELECT seq, sha256, chain FROM raw.messages WHERE stream = $1 ORDER BY seq DESC LIMIT 1", stream.name())
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| Mark { seq: unsigned(row.seq), sha256: row.sha256, chain: row.chain.try_into().unwrap_or(CHAIN_START) }))
}

/// The first and the last number of the copies without a gap that end at the last one. There is a gap where the stream once
/// went on above every number ever seen.
///
/// # Errors
/// When the database is away or refuses.
pub async fn last_run(db: &mut PgConnection, stream: Stream) -> sqlx::Result<Option<(u64, u64)>> {
    let row = sqlx::query!(
        r#"SELECT max(seq) FILTER (WHERE before IS DISTINCT FROM seq - 1) AS first, max(seq) AS last
           FROM (SELECT seq, lag(seq) OVER (ORDER BY seq) AS before FROM raw.messages WHERE stream = $1) numbers"#,
        stream.name()
    )
    .fetch_one(db)
    .await?;
    Ok(row.first.zip(row.last).map(|(first, last)| (unsigned(first), unsigned(last))))
}

/// The highest number of a command that the copies of EVENTS speak about; 0 when they speak about none.
///
/// # Errors
/// When the database is away or refuses.
pub async fn last_command_of_events(db: &mut PgConnection) -> sqlx::Result<u64> {
    let last = sqlx::query_scalar!(
        r#"SELECT max(substring(subject FROM '^orrery\.events\.command\.([0-9]{1,18})(?:\.|$)')::bigint)
           FROM raw.messages WHERE stream = $1"#,
        Stream::Events.name()
    )
    .fetch_one(db)
    .await?;
    Ok(last.map_or(0, unsigned))
}

/// A message with what becomes of it.
#[derive(Clone, Debug)]
pub struct Copy<'a> {
    /// The message.
    pub message: &'a Message,
    /// The chain up to it.
    pub chain: Chain,
    /// Why it changed nothing.
    pub verdict: Option<String>,
}

/// Appends copies.
///
/// # Errors
/// When the database is away or refuses; a number that is there already is refused.
pub async fn append(db: &mut PgConnection, copies: &[Copy<'_>]) -> sqlx::Result<()> {
    if copies.is_empty() {
        return Ok(());
    }
    let streams: Vec<String> = copies.iter().map(|copy| copy.message.stream.name().to_owned()).collect();
    let seqs: Vec<i64> = copies.iter().map(|copy| big(copy.message.seq)).collect();
    let subjects: Vec<String> = copies.iter().map(|copy| crate::text::storable(&copy.message.subject).into_owned()).collect();
    let headers: Vec<Option<Vec<u8>>> = copies.iter().map(|copy| copy.message.headers.clone()).collect();
    let bodies: Vec<&[u8]> = copies.iter().map(|copy| copy.message.body.as_ref()).collect();
    let nanos: Vec<i64> = copies.iter().map(|copy| copy.message.at_ns).collect();
    let times: Vec<time::OffsetDateTime> = copies.iter().map(|copy| copy.message.at().inner()).collect();
    let hashes: Vec<String> = copies.iter().map(|copy| copy.message.sha256().as_str().to_owned()).collect();
    let chains: Vec<&[u8]> = copies.iter().map(|copy| copy.chain.as_slice()).collect();
    let verdicts: Vec<Option<String>> = copies.iter().map(|copy| crate::text::storable_option(copy.verdict.as_deref())).collect();
    sqlx::query!(
        "INSERT INTO raw.messages (stream, seq, subject, headers, body, at_ns, at, sha256, chain, verdict)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[], $6::bigint[], $7::timestamptz[],
                              $8::text[], $9::bytea[], $10::text[])",
        &streams,
        &seqs,
        &subjects,
        &headers as &[Option<Vec<u8>>],
        &bodies as &[&[u8]],
        &nanos,
        &times,
        &hashes,
        &chains as &[&[u8]],
        &verdicts as &[Option<String>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The copies of a stream behind a number, in order.
///
/// # Errors
/// When the database is away or refuses.
pub async fn after(db: &mut PgConnection, stream: Stream, seq: u64, limit: u32) -> sqlx::Result<Vec<Message>> {
    Ok(links_after(db, stream, seq, limit).await?.into_iter().map(|(message, _)| message).collect())
}

/// The same, each with the link of the chain that was kept beside it.
///
/// # Errors
/// When the database is away or refuses.
pub async fn links_after(db: &mut PgConnection, stream: Stream, seq: u64, limit: u32) -> sqlx::Result<Vec<(Message, Vec<u8>)>> {
    let rows = sqlx::query!(
        "SELECT seq, subject, headers, body, at_ns, chain FROM raw.messages WHERE stream = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        stream.name(),
        big(seq),
        big(limit)
    )
    .map(|row| {
        let message =
            Message { stream, seq: unsigned(row.seq), subject: row.subject, headers: row.headers, body: row.body.into(), at_ns: row.at_ns };
        (message, row.chain)
    });
    rows.fetch_all(db).await
}
