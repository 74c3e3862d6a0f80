//! Removes uploads that nobody came for: no byte for a day, and named by no command that has yet to end.

use std::collections::HashSet;

use orrery_contracts::rpc::UploadsQuestion;
use orrery_contracts::{Digest, Time, Upload};

use super::ask;
use crate::bundles::sweep;
use crate::problems::Answer;
use crate::state::Api;

/// Removes what was touched last before this time and is named by no waiting command; answers how many.
///
/// # Errors
/// When the broker, the executor or the database is away.
pub async fn sweep(api: &Api, before: Time) -> Answer<usize> {
    let all: Vec<Upload> = ask(api, "uploads", &UploadsQuestion { id: None }).await?;
    let old: Vec<Upload> = all.into_iter().filter(|upload| upload.touched_at < before).collect();
    let mut removed = 0;
    if old.is_empty() {
        return Ok(removed);
    }
    let Some(named) = sweep::named(api).await? else { return Ok(removed) };
    for upload in old.iter().filter(|upload| upload.sha256.as_ref().is_none_or(|sum| !named.contains(sum))) {
        let () = ask(api, "upload.remove", &UploadsQuestion { id: Some(upload.of.id) }).await?;
        removed += 1;
    }
    Ok(removed)
}

/// The files that waiting commands name; none are known while the read model lags behind.
pub(super) async fn named_by_waiting_commands(api: &Api) -> Answer<HashSet<Digest>> {
    Ok(sweep::named(api).await?.unwrap_or_default())
}
