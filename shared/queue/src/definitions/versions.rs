//! Versions: written once; the broker makes them immutable.

use orrery_contracts::{VersionRecord, Versioned, subjects};

use super::{DefinitionError, Definitions, decode, encode};
use crate::streams::expecting;

impl Definitions {
    /// Writes a version where there is none. One that the same command wrote before counts as written now, and is
    /// answered: its record stands, also where this one differs in its time.
    ///
    /// # Errors
    /// [`DefinitionError::Taken`] when another command wrote this number.
    pub async fn put_version(&self, version: &VersionRecord) -> Result<VersionRecord, DefinitionError> {
        let subject = subjects::version(version.of, version.version);
        let Err(refusal) = self.store(&subject, expecting(0), encode(version)).await else { return Ok(version.clone()) };
        match self.get_version(version.of, version.version).await? {
            Some(found) if found.command == version.command => Ok(found),
            Some(found) => Err(DefinitionError::Taken { subject, by: found.command }),
            None => Err(refusal),
        }
    }

    /// Reads a version; none when it was never written.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn get_version(&self, of: impl Into<Versioned>, version: u32) -> Result<Option<VersionRecord>, DefinitionError> {
        let subject = subjects::version(of.into(), version);
        let found = self.last(subjects::VERSIONS, &subject).await?;
        found.map(|found| decode(&subject, &found.body)).transpose()
    }
}
