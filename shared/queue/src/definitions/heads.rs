//! Heads: one record an aggregate, changed by compare-and-set on its revision. VERSIONS is the truth; a head can be
//! repaired from it.

use bytes::Bytes;
use orrery_contracts::{BoxHead, Engine, Installation, MachineHead, MachineId, QueueMark, StackHead, StackId, subjects};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DefinitionError, Definitions, decode, encode};
use crate::RunError;
use crate::streams::expecting;

/// A record of a bucket, with the revision that a change of it must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// The record.
    pub value: T,
    /// Its revision.
    pub revision: u64,
}

/// What stands in HEADS of something that commands change.
pub trait Head: Serialize + DeserializeOwned + Send + Sync {
    /// Where it stands.
    fn key(&self) -> String;

    /// The command that wrote it.
    fn command(&self) -> u64;
}

impl Head for StackHead {
    fn key(&self) -> String {
        subjects::stack_key(self.id)
    }

    fn command(&self) -> u64 {
        self.command
    }
}

impl Head for MachineHead {
    fn key(&self) -> String {
        subjects::machine_key(self.id)
    }

    fn command(&self) -> u64 {
        self.command
    }
}

impl Head for BoxHead {
    fn key(&self) -> String {
        subjects::box_key(self.name.as_str())
    }

    fn command(&self) -> u64 {
        self.command
    }
}

impl Definitions {
    /// The installation; none before the broker is provisioned.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn installation(&self) -> Result<Option<Installation>, DefinitionError> {
        let kept = self.get_record(subjects::HEADS, subjects::INSTALLATION_KEY).await?;
        Ok(kept.map(|kept: Kept<Installation>| kept.value))
    }

    /// Writes the installation's record where there is none, and answers the one that stands.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn found_installation(&self, installation: &Installation) -> Result<Installation, DefinitionError> {
        match self.put_record(subjects::HEADS, subjects::INSTALLATION_KEY, installation, 0).await {
            Ok(_) => Ok(installation.clone()),
            Err(refusal) => self.installation().await?.ok_or(refusal),
        }
    }

    /// Writes this record over that of another installation, or where there is none: a broker whose store was lost and made anew has one
    /// that nobody knows. Which engines there are stays as it stands.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Changed`], [`DefinitionError::Damaged`].
    pub async fn restore_installation(&self, installation: &Installation) -> Result<(), DefinitionError> {
        let kept: Option<Kept<Installation>> = self.get_record(subjects::HEADS, subjects::INSTALLATION_KEY).await?;
        let (engines, revision) = match kept {
            Some(kept) if kept.value.id == installation.id => return Ok(()),
            Some(kept) => (kept.value.engines, kept.revision),
            None => (installation.engines.clone(), 0),
        };
        let restored = Installation { engines, ..installation.clone() };
        self.put_record(subjects::HEADS, subjects::INSTALLATION_KEY, &restored, revision).await.map(drop)
    }

    /// Changes the engines that the installation has; its id stays.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Changed`].
    pub async fn set_engines(&self, engines: &[Engine]) -> Result<(), DefinitionError> {
        let kept: Option<Kept<Installation>> = self.get_record(subjects::HEADS, subjects::INSTALLATION_KEY).await?;
        let Some(kept) = kept else { return Ok(()) };
        if kept.value.engines == engines {
            return Ok(());
        }
        let changed = Installation { engines: engines.to_vec(), ..kept.value };
        self.put_record(subjects::HEADS, subjects::INSTALLATION_KEY, &changed, kept.revision).await.map(drop)
    }

    /// A stack's head; none when there never was such a stack.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn stack_head(&self, id: StackId) -> Result<Option<Kept<StackHead>>, DefinitionError> {
        self.get_record(subjects::HEADS, &subjects::stack_key(id)).await
    }

    /// Every stack's head, the deleted ones' too.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn stack_heads(&self) -> Result<Vec<Kept<StackHead>>, DefinitionError> {
        self.stacks.lock().await.current(&self.streams, "stack.").await
    }

    /// A machine's head; none when there never was such a machine.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn machine_head(&self, id: MachineId) -> Result<Option<Kept<MachineHead>>, DefinitionError> {
        self.get_record(subjects::HEADS, &subjects::machine_key(id)).await
    }

    /// Every machine's head, the deleted ones' too.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn machine_heads(&self) -> Result<Vec<Kept<MachineHead>>, DefinitionError> {
        self.machines.lock().await.current(&self.streams, "machine.").await
    }

    /// A box's head; none when there never was such a box.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn box_head(&self, name: &str) -> Result<Option<Kept<BoxHead>>, DefinitionError> {
        self.get_record(subjects::HEADS, &subjects::box_key(name)).await
    }

    /// Every box's head, the removed ones' too.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn box_heads(&self) -> Result<Vec<Kept<BoxHead>>, DefinitionError> {
        self.boxes.lock().await.current(&self.streams, "box.").await
    }

    /// What stands in the place of this head, whoever wrote it.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn head_in_place_of<H: Head>(&self, head: &H) -> Result<Option<Kept<H>>, DefinitionError> {
        self.get_record(subjects::HEADS, &head.key()).await
    }

    /// Writes a head over the revision that was read (0 for a new one), and answers its new revision. One that is there
    /// already word for word counts as written.
    ///
    /// # Errors
    /// [`DefinitionError::Changed`] when it has another revision.
    pub async fn put_head<H: Head>(&self, head: &H, over: u64) -> Result<u64, DefinitionError> {
        self.put_record(subjects::HEADS, &head.key(), head, over).await
    }

    /// Writes a head over what an earlier command or this one wrote, and waits while the broker is away.
    ///
    /// # Errors
    /// [`RunError::Stale`] when a later command wrote it: this run was overtaken long ago, since commands end in their order.
    pub async fn write_head<H: Head>(&self, head: &H) -> Result<(), RunError> {
        let failed = |error: DefinitionError| RunError::failed("definitions", error.to_string());
        loop {
            let found = self.patiently(|| self.head_in_place_of(head)).await.map_err(failed)?;
            if found.as_ref().is_some_and(|found| found.value.command() > head.command()) {
                return Err(RunError::Stale);
            }
            let over = found.map_or(0, |found| found.revision);
            match self.patiently(|| self.put_head(head, over)).await {
                Err(DefinitionError::Changed { .. }) => {}
                written => return written.map(drop).map_err(failed),
            }
        }
    }

    /// Where the executor of this engine starts.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn queue_mark(&self, engine: Engine) -> Result<Option<Kept<QueueMark>>, DefinitionError> {
        self.get_record(subjects::HEADS, &subjects::queue_key(engine)).await
    }

    /// Moves the mark of this engine over the revision that was read.
    ///
    /// # Errors
    /// [`DefinitionError::Changed`] when it has another revision.
    pub async fn put_queue_mark(&self, engine: Engine, mark: QueueMark, over: u64) -> Result<u64, DefinitionError> {
        self.put_record(subjects::HEADS, &subjects::queue_key(engine), &mark, over).await
    }

    /// Says which schemas of commands the executor of this engine reads.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Changed`].
    pub async fn put_schemas(&self, engine: Engine, schemas: &[u32]) -> Result<(), DefinitionError> {
        let key = subjects::schemas_key(engine);
        let kept: Option<Kept<Vec<u32>>> = self.get_record(subjects::HEADS, &key).await?;
        let revision = match kept {
            Some(kept) if kept.value == schemas => return Ok(()),
            Some(kept) => kept.revision,
            None => 0,
        };
        self.put_record(subjects::HEADS, &key, &schemas, revision).await.map(drop)
    }

    pub(super) async fn get_record<T: DeserializeOwned>(&self, bucket: &str, key: &str) -> Result<Option<Kept<T>>, DefinitionError> {
        let subject = format!("$KV.{bucket}.{key}");
        let Some(message) = self.last(&format!("KV_{bucket}"), &subject).await? else { return Ok(None) };
        if message.body.is_empty() {
            return Ok(None);
        }
        let value = decode(&subject, &message.body)?;
        Ok(Some(Kept { value, revision: message.seq }))
    }

    async fn put_record<T: Serialize + ?Sized>(&self, bucket: &str, key: &str, record: &T, over: u64) -> Result<u64, DefinitionError> {
        let subject = format!("$KV.{bucket}.{key}");
        let body: Bytes = encode(&record);
        let refusal = match self.store(&subject, expecting(over), body.clone()).await {
            Ok(revision) => return Ok(revision),
            Err(refusal) => refusal,
        };
        match self.last(&format!("KV_{bucket}"), &subject).await? {
            Some(found) if found.body == body && found.seq > over => Ok(found.seq),
            Some(found) if found.seq != over => Err(DefinitionError::Changed { subject }),
            Some(_) | None => Err(refusal),
        }
    }
}
