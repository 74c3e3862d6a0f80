//! Bundles at the broker: uploads that this service writes, and what it reads from BUNDLES and UPLOADS.

use async_nats::jetstream::object_store::ObjectStore;
use bytes::Bytes;
use futures::StreamExt as _;
use orrery_contracts::{Bundle, Digest, Time, subjects};
use orrery_queue::definitions::{DefinitionError, Definitions};
use tokio::time::{Instant, timeout};

use super::{Broker, PATIENCE, away};
use crate::problems::{Answer, Refusal};

impl Broker {
    /// Stores files under their digest, where the owner of a command finds them.
    ///
    /// # Errors
    /// 503 when the broker is away.
    pub async fn upload(&self, bundle: &Bundle) -> Answer<Digest> {
        let store = self.uploads().await?;
        let bytes = bundle.canonical_bytes();
        let digest = Digest::of(&bytes);
        let put = timeout(PATIENCE, store.put(digest.as_str(), &mut bytes.as_slice())).await;
        match put {
            Ok(Ok(_)) => Ok(digest),
            Ok(Err(error)) => Err(away(&format!("UPLOADS: {error}"))),
            Err(_) => Err(away("UPLOADS did not answer")),
        }
    }

    /// The uploads that were written before this time.
    ///
    /// # Errors
    /// 503 when the broker is away.
    pub async fn uploads_before(&self, before: Time) -> Answer<Vec<Digest>> {
        let store = self.uploads().await?;
        let listed = async {
            let mut old = Vec::new();
            let mut objects = store.list().await.map_err(|error| away(&format!("UPLOADS: {error}")))?;
            while let Some(object) = objects.next().await {
                let object = object.map_err(|error| away(&format!("UPLOADS: {error}")))?;
                let is_old = object.modified.is_some_and(|modified| Time::from(modified) < before);
                old.extend(object.name.parse::<Digest>().ok().filter(|_| is_old));
            }
            Ok(old)
        };
        timeout(PATIENCE, listed).await.map_err(|_| away("UPLOADS did not answer"))?
    }

    /// Removes an upload.
    ///
    /// # Errors
    /// 503 when the broker is away.
    pub async fn remove_upload(&self, digest: &Digest) -> Answer<()> {
        let store = self.uploads().await?;
        match timeout(PATIENCE, store.delete(digest.as_str())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(away(&format!("UPLOADS: {error}"))),
            Err(_) => Err(away("UPLOADS did not answer")),
        }
    }

    async fn uploads(&self) -> Answer<ObjectStore> {
        self.connected(Instant::now() + PATIENCE).await?;
        self.link.jetstream().get_object_store(subjects::UPLOADS).await.map_err(|error| away(&format!("UPLOADS: {error}")))
    }

    /// The bytes under a digest: of a version, a kept log, or an upload of at most `limit` bytes.
    ///
    /// # Errors
    /// 503 when the broker is away; 500 when what lies there is damaged.
    pub async fn bytes_of(&self, digest: &Digest, limit: usize) -> Answer<Option<Bytes>> {
        self.connected(Instant::now() + PATIENCE).await?;
        let definitions = Definitions::new(self.link.streams());
        if let Some(bytes) = definitions.get_bytes(digest).await.map_err(refused)? {
            return Ok(Some(bytes.into()));
        }
        Ok(definitions.get_upload(digest, limit).await.map_err(refused)?.map(Bytes::from))
    }

    /// The installation, once the broker is provisioned.
    ///
    /// # Errors
    /// 503 when the broker is away.
    pub async fn installation(&self) -> Answer<Option<orrery_contracts::Installation>> {
        Definitions::new(self.link.streams()).installation().await.map_err(refused)
    }
}

fn refused(error: DefinitionError) -> Refusal {
    if error.is_transient() { away(&error.to_string()) } else { Refusal::internal("reading a definition", &error) }
}
