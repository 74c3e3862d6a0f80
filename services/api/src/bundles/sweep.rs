//! Removes uploads that nobody came for: older than a day, and named by no command that has yet to end.
//!
//! It must not touch what a version holds: that was copied when the version was made.

use std::collections::HashSet;
use std::time::Duration;

use orrery_contracts::{Digest, Engine, Time};
use time::OffsetDateTime;

use crate::consistency::{self, PATIENCE, Stream};
use crate::problems::{Answer, Refusal};
use crate::queries::hosts::LOCAL;
use crate::state::Api;
use crate::uploads;

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
        // A host without machines has no executor of them, and no uploads.
        if api.executors.alive(Engine::Libvirt, LOCAL).is_some() {
            match uploads::sweep::sweep(&api, Time::from(OffsetDateTime::now_utc() - KEPT)).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "{removed} uploads that nobody made a box of were removed"),
                Err(refusal) => tracing::warn!("uploads of boxes are not swept: {}", refusal.problem().detail),
            }
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
    let Some(named) = named(api).await? else { return Ok(0) };
    let mut removed = 0;
    for digest in old.iter().filter(|digest| !named.contains(*digest)) {
        api.broker.remove_upload(digest).await?;
        removed += 1;
    }
    Ok(removed)
}

/// What commands that have yet to end name; none where the broker or the read model cannot tell now.
pub(crate) async fn named(api: &Api) -> Answer<Option<HashSet<Digest>>> {
    // What is on the queue and not in the read model yet would look like a command that nobody gave.
    let Some(end) = api.broker.end_of_commands(PATIENCE).await else { return Ok(None) };
    if !consistency::reached(api, Stream::Commands, end, PATIENCE).await? {
        return Ok(None);
    }
    let waiting = sqlx::query_scalar!("SELECT seq FROM read.commands WHERE status NOT IN ('DONE', 'CANCELLED') ORDER BY seq")
        .fetch_all(&api.database)
        .await
        .map_err(Refusal::from)?;
    let mut named = HashSet::new();
    for seq in waiting {
        let body = api.broker.command_body(u64::try_from(seq).unwrap_or_default()).await?.unwrap_or_default();
        named.extend(digest_in(&body));
    }
    Ok(Some(named))
}

fn digest_in(body: &[u8]) -> Option<Digest> {
    let message: serde_json::Value = serde_json::from_slice(body).ok()?;
    let payload = message.get("payload")?;
    payload.get("digest").or_else(|| payload.get("upload"))?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::digest_in;
    use orrery_contracts::Digest;

    #[test]
    fn a_command_names_an_upload_by_its_digest() {
        let digest = Digest::of(b"x");
        let body = format!(r#"{{"type": "stack.create", "target": "shop", "payload": {{"digest": "{digest}"}}}}"#);
        assert_eq!(digest_in(body.as_bytes()), Some(digest.clone()));
        let body = format!(r#"{{"type": "box.import", "target": "debian", "payload": {{"upload": "{digest}"}}}}"#);
        assert_eq!(digest_in(body.as_bytes()), Some(digest));
        assert_eq!(digest_in(b"{}"), None);
        assert_eq!(digest_in(b"garbage"), None);
    }
}
