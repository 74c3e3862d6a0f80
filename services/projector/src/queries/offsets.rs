//! How far the read model contains each stream.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::{big, unsigned};
use crate::message::Stream;

/// The last number of each stream; a stream that nothing was read of is not there.
///
/// # Errors
/// When the database is away or refuses.
pub async fn all(db: &mut PgConnection) -> sqlx::Result<BTreeMap<String, u64>> {
    let rows = sqlx::query!("SELECT stream, seq FROM offsets").map(|row| (row.stream, unsigned(row.seq)));
    Ok(rows.fetch_all(db).await?.into_iter().collect())
}

/// Moves a stream's.
///
/// # Errors
/// When the database is away or refuses.
pub async fn reached(db: &mut PgConnection, stream: Stream, seq: u64) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO offsets (stream, seq) VALUES ($1, $2) ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq",
        stream.name(),
        big(seq)
    )
    .execute(db)
    .await?;
    Ok(())
}
