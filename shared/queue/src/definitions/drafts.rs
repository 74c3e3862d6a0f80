//! A version before and while it is written: its files, its number, its record. Stacks and machines are versioned in one way.

use orrery_contracts::command::{BundleSource, Target};
use orrery_contracts::{Bundle, BundleLimits, Digest, Name, Rejection, Role, Time, VersionRecord, Versioned};
use time::OffsetDateTime;

use super::{DefinitionError, Definitions};
use crate::executor::{Accepted, JudgeError};

/// A version that does not exist yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its files, within the limits.
    pub bundle: Bundle,
    /// Their digest.
    pub digest: Digest,
    /// What its author says.
    pub comment: String,
}

impl From<DefinitionError> for JudgeError {
    /// The broker's absence passes, everything else is told.
    fn from(error: DefinitionError) -> Self {
        if error.is_transient() { Self::Transient(error.to_string()) } else { Self::Rejected(Rejection(error.to_string())) }
    }
}

fn reject(words: impl Into<String>) -> JudgeError {
    JudgeError::Rejected(Rejection(words.into()))
}

impl Accepted {
    /// Owner and name of what a create makes; `what` is the word for it.
    ///
    /// # Errors
    /// A rejection, when the actor may not make it for that owner.
    pub fn new_name(&self, what: &str) -> Result<(Name, Name), JudgeError> {
        match &self.message.target {
            Target::Own(name) => Ok((self.actor.clone(), name.clone())),
            Target::Of(owner, name) if *owner == self.actor || self.role == Role::Admin => Ok((owner.clone(), name.clone())),
            Target::Of(owner, _) => Err(reject(format!("{} may not make a {what} of {owner}", self.actor))),
            Target::Id(_) => Err(reject(format!("the target of {what}.create is the new {what}'s name, not an id"))),
        }
    }
}

/// Refuses a new version when somebody saved since its author looked.
///
/// # Errors
/// A rejection that says what happened.
pub fn must_be_latest(name: &Name, expected: Option<u32>, latest: u32) -> Result<(), JudgeError> {
    match expected.filter(|expected| *expected != latest) {
        Some(expected) => Err(reject(format!(
            "somebody else saved first: version {expected} was expected to be the latest of {name}, and it is {latest}; look at what changed, and save again"
        ))),
        None => Ok(()),
    }
}

impl Definitions {
    /// The files of a new version: there, and within the limits.
    ///
    /// # Errors
    /// A rejection, or the broker's absence.
    pub async fn draft(&self, source: &BundleSource, comment: &str, limits: &BundleLimits) -> Result<Draft, JudgeError> {
        let bundle = match source {
            BundleSource::Inline(bundle) => bundle.clone(),
            BundleSource::Digest(digest) => self.uploaded(digest, limits).await?,
        };
        if let Some(fault) = bundle.faults(limits).first() {
            let path = if fault.path.is_empty() { String::new() } else { format!("{}: ", fault.path) };
            return Err(reject(format!("{path}{}", fault.message)));
        }
        Ok(Draft { digest: bundle.digest(), bundle, comment: comment.to_owned() })
    }

    /// An upload by its digest; one that a version uses already is found in BUNDLES.
    ///
    /// # Errors
    /// A rejection, or the broker's absence.
    pub async fn uploaded(&self, digest: &Digest, limits: &BundleLimits) -> Result<Bundle, JudgeError> {
        // The canonical form codes binary files and escapes text, so that it is longer than what it holds.
        let limit = limits.bytes.saturating_mul(2).saturating_add(1024 * 1024);
        if let Some(bytes) = self.get_upload(digest, limit).await? {
            return serde_json::from_slice(&bytes).map_err(|error| reject(format!("upload {digest} is no bundle: {error}")));
        }
        let kept = self.get_bundle(digest).await?;
        kept.ok_or_else(|| reject(format!("there is no upload {digest}; uploads are kept for a day: upload the files again")))
    }

    /// The latest version before the command at `seq`, also where that command wrote one already; `known` is what the head says.
    ///
    /// # Errors
    /// As [`Definitions::get_version`].
    pub async fn latest_before(&self, of: Versioned, known: u32, seq: u64) -> Result<u32, DefinitionError> {
        let mut latest = known;
        if latest > 0 && self.get_version(of, latest).await?.is_some_and(|record| record.command == seq) {
            return Ok(latest.saturating_sub(1));
        }
        // VERSIONS is the truth: a head that was not written in time is behind it.
        loop {
            let next = latest.saturating_add(1);
            match self.get_version(of, next).await? {
                Some(record) if record.command != seq => latest = next,
                Some(_) | None => return Ok(latest),
            }
        }
    }

    /// Writes a version with its files, and answers the record that stands; waits while the broker is away.
    ///
    /// # Errors
    /// As [`Definitions::put_version`].
    pub async fn write_version(
        &self,
        of: Versioned,
        number: u32,
        author: &Name,
        draft: &Draft,
        command: u64,
    ) -> Result<VersionRecord, DefinitionError> {
        let record = VersionRecord {
            of,
            version: number,
            parent: number.checked_sub(1).filter(|parent| *parent > 0),
            author: author.clone(),
            comment: draft.comment.clone(),
            created_at: Time::new(OffsetDateTime::now_utc()),
            digest: draft.digest.clone(),
            files: draft.bundle.file_list(),
            command,
        };
        self.patiently(|| self.put_bundle(&draft.bundle)).await?;
        self.patiently(|| self.put_version(&record)).await
    }
}
