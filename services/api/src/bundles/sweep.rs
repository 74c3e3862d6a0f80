//! Removes uploads that nobody came for: older than a day, and named by no command that has yet to end.
//!
//! It must not touch what a version holds: that was copied when the version was made.

use std::collections::HashSet;
use std::time::Duration;

use orrery_contracts::{Digest, Time};
use time::OffsetDateTime;

use crate::consistency::{self, PATIENCE, Stream};
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// How long an upload is kept for a command that has not come yet.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

const ONCE_IN: Duration = Duration::from_secs(60 * 60);

/// Sweeps once an hour, until the service ends.
pub async fn now_and_then(api: Api) {
    let mut hours = tokio::time::interval(ONCE_IN);
    loop {
        tokio::select! {
            () = api.ending.cancelled() => return,
            _ = hours.tick() => {}
        }
        match sweep(&api, Time::from(OffsetDateTime::now_utc() - KEPT)).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "{removed} uploads that no command named were removed"),
            Err(refusal) => tracing::warn!("uploads are not swept: {}", refusal.problem().detail),
        }
    }
}

/// Removes what was uploaded before this time and is named by no waiting command; answers how many.
///
/// # Errors
/// When the broker or the database is away.
pub async fn sweep(api: &Api, before: Time) -> Answer<usize> {
    let old = api.broker.uploads_before(before).await?;
    if old.is_empty() {
        return Ok(0);
    }
    // What is on the queue and not in the read model yet would look like a command that nobody gave.
    let Some(end) = api.broker.end_of_commands(PATIENCE).await else { return Ok(0) };
    if !consistency::reached(api, Stream::Commands, end, PATIENCE).await? {
        return Ok(0);
    }
    let named = named_by_waiting_commands(api).await?;
    let mut removed = 0;
    for digest in old.iter().filter(|digest| !named.contains(*digest)) {
        api.broker.remove_upload(digest).await?;
        removed += 1;
    }
    Ok(removed)
}

async fn named_by_waiting_commands(api: &Api) -> Answer<HashSet<Digest>> {
    let waiting = sqlx::query_scalar!("SELECT seq FROM read.commands WHERE status NOT IN ('DONE', 'CANCELLED') ORDER BY seq")
        .fetch_all(&api.database)
        .await
        .map_err(Refusal::from)?;
    let mut named = HashSet::new();
    for seq in waiting {
        let body = api.broker.command_body(u64::try_from(seq).unwrap_or_default()).await?.unwrap_or_default();
        named.extend(digest_in(&body));
    }
    Ok(named)
}

fn digest_in(body: &[u8]) -> Option<Digest> {
    let message: serde_json::Value = serde_json::from_slice(body).ok()?;
    message.pointer("/payload/digest")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::digest_in;
    use orrery_contracts::Digest;

    #[test]
    fn a_command_names_an_upload_by_its_digest() {
        let digest = Digest::of(b"x");
        let body = format!(r#"{{"type": "stack.create", "target": "shop", "payload": {{"digest": "{digest}"}}}}"#);
        assert_eq!(digest_in(body.as_bytes()), Some(digest));
        assert_eq!(digest_in(b"{}"), None);
        assert_eq!(digest_in(b"garbage"), None);
    }
}
