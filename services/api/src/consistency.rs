//! Read your own writes: a read waits, for a moment, until the read model has come as far as the streams.
//!
//! It waits for the projector's offsets alone, and is woken by its feed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::problems::Answer;
use crate::state::Api;

/// How long a read that finds nothing waits for the projector.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The last sequences that this process has written.
#[derive(Default)]
pub struct Written {
    commands: AtomicU64,
    events: AtomicU64,
}

/// A stream that the read model follows.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// COMMANDS.
    Commands,
    /// EVENTS.
    Events,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Commands => orrery_contracts::subjects::COMMANDS,
            Self::Events => orrery_contracts::subjects::EVENTS,
        }
    }
}

impl Written {
    /// Remembers a write of ours.
    pub fn note(&self, stream: Stream, seq: u64) {
        self.cell(stream).fetch_max(seq, Ordering::Relaxed);
    }

    fn cell(&self, stream: Stream) -> &AtomicU64 {
        match stream {
            Stream::Commands => &self.commands,
            Stream::Events => &self.events,
        }
    }
}

/// Waits until the read model has this message; false when it still has not after `patience`.
///
/// # Errors
/// When the database is away.
pub async fn reached(api: &Api, stream: Stream, seq: u64, patience: Duration) -> Answer<bool> {
    let deadline = Instant::now() + patience;
    let mut news = api.feed.follow();
    loop {
        if offset(api, stream).await? >= seq {
            return Ok(true);
        }
        if tokio::time::timeout_at(deadline, news.changed()).await.is_err() {
            return Ok(offset(api, stream).await? >= seq);
        }
    }
}

/// For a list: waits until the read model has what this process wrote.
///
/// # Errors
/// When the database is away.
pub async fn catch_up_with_own_writes(api: &Api) -> Answer<()> {
    for stream in [Stream::Commands, Stream::Events] {
        let seq = api.written.cell(stream).load(Ordering::Relaxed);
        if seq > 0 && !reached(api, stream, seq, PATIENCE).await? {
            tracing::warn!(seq, "the read model lags behind {} {seq}", stream.name());
        }
    }
    Ok(())
}

/// For a read that found nothing: waits until the read model has all commands there are now. It may have had them already
/// when this was called and not when was read before, so the read is made again in any case.
///
/// # Errors
/// When the database is away.
pub async fn catch_up_with_everything(api: &Api) -> Answer<()> {
    if let Some(end) = api.broker.end_of_commands(PATIENCE).await {
        reached(api, Stream::Commands, end, PATIENCE).await?;
    }
    Ok(())
}

async fn offset(api: &Api, stream: Stream) -> Answer<u64> {
    let seq = sqlx::query_scalar!("SELECT seq FROM read.offsets WHERE stream = $1", stream.name()).fetch_optional(&api.database).await?;
    Ok(seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
}
