//! Whether the raw copies are what was copied: every link of every chain computed again. It reads, and changes nothing.

use sqlx::PgConnection;

use crate::message::{CHAIN_START, Stream};
use crate::queries::raw;

/// A copy that is not what its chain says: it was changed, or one before it was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The stream.
    pub stream: Stream,
    /// The first number that does not fit.
    pub seq: u64,
}

/// Computes all chains; answers how many copies fit, or the first that does not.
///
/// # Errors
/// When the database is away or refuses.
pub async fn verify(db: &mut PgConnection) -> sqlx::Result<Result<u64, Broken>> {
    let mut copies = 0_u64;
    for stream in Stream::KEPT {
        let (mut chain, mut seq) = (CHAIN_START, 0);
        loop {
            let some = raw::links_after(db, stream, seq, crate::ingest::COPIES).await?;
            if some.is_empty() {
                break;
            }
            for (message, link) in some {
                (chain, seq) = (message.chained(&chain), message.seq);
                if chain.as_slice() != link {
                    return Ok(Err(Broken { stream, seq }));
                }
                copies = copies.saturating_add(1);
            }
        }
    }
    Ok(Ok(copies))
}
