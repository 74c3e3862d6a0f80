//! Bundles and kept logs, by SHA-256, in chunks; hashed at every read. An upload is read by the same digest.

use orrery_contracts::{Bundle, Digest, subjects};

use super::{DefinitionError, Definitions, verified};
use crate::streams::expecting;

/// How much of a step's log is kept: its end.
pub const KEPT_LOG_BYTES: usize = 4 * 1024 * 1024;

impl Definitions {
    /// Puts a bundle into BUNDLES under its digest. A chunk that is there already is left as it is.
    ///
    /// # Errors
    /// [`DefinitionError::Away`].
    pub async fn put_bundle(&self, bundle: &Bundle) -> Result<Digest, DefinitionError> {
        self.put_bytes(&bundle.canonical_bytes()).await
    }

    /// Puts bytes into BUNDLES under their digest.
    ///
    /// # Errors
    /// [`DefinitionError::Away`].
    pub async fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, DefinitionError> {
        let digest = Digest::of(bytes);
        let chunks: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(subjects::CHUNK_BYTES).collect() };
        for (number, chunk) in chunks.iter().enumerate() {
            self.put_chunk(&digest, number, chunks.len(), chunk).await?;
        }
        Ok(digest)
    }

    async fn put_chunk(&self, digest: &Digest, number: usize, of: usize, chunk: &[u8]) -> Result<(), DefinitionError> {
        let subject = subjects::bundle_chunk(digest, number);
        let mut headers = expecting(0);
        headers.insert(subjects::CHUNKS_HEADER, of.to_string());
        let Err(refusal) = self.store(&subject, headers, chunk.to_vec().into()).await else { return Ok(()) };
        // Taken, or not answered: what lies there tells.
        match self.last(subjects::BUNDLES, &subject).await? {
            Some(found) if found.body == chunk => Ok(()),
            Some(_) => Err(DefinitionError::Damaged { subject, reason: "it holds other bytes than its digest says".into() }),
            None => Err(refusal),
        }
    }

    /// Reads a bundle; none when nothing lies under the digest.
    ///
    /// # Errors
    /// [`DefinitionError::Damaged`] when the bytes have another hash, a piece is missing, or they are no bundle.
    pub async fn get_bundle(&self, digest: &Digest) -> Result<Option<Bundle>, DefinitionError> {
        let Some(bytes) = self.get_bytes(digest).await? else { return Ok(None) };
        super::decode(&subjects::bundle_chunk(digest, 0), &bytes).map(Some)
    }

    /// Reads bytes from BUNDLES; none when nothing lies under the digest.
    ///
    /// # Errors
    /// [`DefinitionError::Damaged`] when the bytes have another hash, or a piece is missing.
    pub async fn get_bytes(&self, digest: &Digest) -> Result<Option<Vec<u8>>, DefinitionError> {
        let mut bytes = Vec::new();
        let mut number = 0;
        loop {
            let subject = subjects::bundle_chunk(digest, number);
            let damaged = |reason: &str| DefinitionError::Damaged { subject: subject.clone(), reason: reason.to_owned() };
            let Some(chunk) = self.last(subjects::BUNDLES, &subject).await? else {
                return if number == 0 { Ok(None) } else { Err(damaged("the chunk is missing")) };
            };
            let of = chunk.headers.get(subjects::CHUNKS_HEADER).and_then(|of| of.as_str().parse::<usize>().ok());
            let of = of.ok_or_else(|| damaged("it does not say how many chunks there are"))?;
            bytes.extend_from_slice(&chunk.body);
            number = number.saturating_add(1);
            if number >= of {
                return verified(&subject, digest, bytes).map(Some);
            }
        }
    }

    /// Reads an upload of at most `limit` bytes; none when there is none, or when it has been aged out.
    ///
    /// # Errors
    /// [`DefinitionError::Damaged`] when the bytes have another hash, or are too many.
    pub async fn get_upload(&self, digest: &Digest, limit: usize) -> Result<Option<Vec<u8>>, DefinitionError> {
        let subject = format!("upload {digest}");
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let read = self.streams.upload(digest.as_str(), most).await;
        let Some(bytes) = read.map_err(|reason| DefinitionError::Away { subject: subject.clone(), reason })? else { return Ok(None) };
        if bytes.len() > limit {
            return Err(DefinitionError::Damaged { subject, reason: format!("it has more than {limit} bytes") });
        }
        verified(&subject, digest, bytes).map(Some)
    }
}
