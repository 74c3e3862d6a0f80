//! How full the stream of commands is. From 85% on, new commands are refused, so that what runs can be cancelled,
//! retried and ended.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use orrery_contracts::{Code, subjects};

use super::Broker;
use crate::problems::{Answer, Refusal};

/// How old a measurement may be.
const FRESH: Duration = Duration::from_secs(2);
/// From how many percent on new commands are refused.
const FULL_PERCENT: u64 = 85;

/// The last measurement, in percent.
#[derive(Default)]
pub(super) struct Room(Mutex<Option<(Instant, u64)>>);

impl Broker {
    /// Refuses new commands when their stream is nearly full. When the broker does not say, publishing will.
    pub(super) async fn must_have_room(&self) -> Answer<()> {
        let used = self.percent_used().await.unwrap_or(0);
        if used < FULL_PERCENT {
            return Ok(());
        }
        let detail = format!(
            "the broker's room for commands is {used}% full; cancel and retry work, new commands do not. Start the broker again with a larger ORRERY_NATS_MAX_FILE_STORE"
        );
        Err(Refusal::new(Code::StorageFull, detail))
    }

    /// Whether the stream has no room for more.
    pub(super) async fn is_full(&self) -> bool {
        self.room.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.percent_used().await.is_some_and(|used| used >= FULL_PERCENT)
    }

    /// How full the stream of commands is, in percent.
    pub async fn percent_used(&self) -> Option<u64> {
        let known = *self.room.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, used)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return Some(used);
        }
        let info = self.stream(subjects::COMMANDS).await.ok()?.get_info().await.ok()?;
        let most = u64::try_from(info.config.max_bytes).ok().filter(|most| *most > 0)?;
        let used = info.state.bytes.saturating_mul(100) / most;
        *self.room.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), used));
        Some(used)
    }
}
