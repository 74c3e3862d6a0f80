//! Secrets of stacks: kept sealed, opened when containers are made, and nowhere in what is compared, told or logged.
//!
//! A definition names one in two places: `secrets: {x: {external: true}}`, mounted as a file, and a variable of a service's `environment`
//! whose value is `secret://x`. What is compared and shown says "secret x, version 2"; the value takes its place in the very request that
//! makes a container.

mod registries;

use std::collections::BTreeMap;
use std::fmt;

use orrery_compose::model::SECRET_REFERENCE;
use orrery_contracts::command::StackAction;
use orrery_contracts::{
    LONGEST_SECRET, Problem, REGISTRY_SECRET, Sealed, SealingKey, SecretHead, SecretName, StackChange, StackHead, Time,
};
use orrery_queue::{Accepted, JudgeError, Run, RunError};
use orrery_sealing::Opener;

use crate::commands::{DockerExecutor, Task, reject};
use crate::definition::Desired;
use crate::engine::Engine;
use crate::files::FileError;

pub use registries::{Credentials, Registries};

/// Which version of each secret there is, by name.
pub type Versions = BTreeMap<SecretName, u32>;

/// The versions of a stack's secrets.
#[must_use]
pub fn versions(head: &StackHead) -> Versions {
    let there = |(name, secret): (&SecretName, &SecretHead)| secret.sealed.as_ref().map(|_| (name.clone(), secret.version));
    head.secrets.iter().filter_map(there).collect()
}

/// A secret as it is compared and shown.
#[must_use]
pub fn shown(name: &SecretName, version: u32) -> String {
    format!("secret {name}, version {version}")
}

/// The variable and the secret of a line of an environment, where its value is a secret's.
#[must_use]
pub fn in_line(line: &str) -> Option<(&str, SecretName)> {
    let (variable, value) = line.split_once('=')?;
    Some((variable, value.strip_prefix(SECRET_REFERENCE)?.parse().ok()?))
}

/// Opened values by name.
#[derive(Default)]
pub struct Values(BTreeMap<SecretName, Vec<u8>>);

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Values {
    /// The value of a secret.
    #[must_use]
    pub fn get(&self, name: &SecretName) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

/// What a command wants with a secret.
pub(crate) enum SecretTask {
    /// Keep this value.
    Put(SecretName, Sealed),
    /// Forget it.
    Remove(SecretName),
}

impl<E: Engine> DockerExecutor<E> {
    /// To what values are sealed.
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub async fn sealing_key(&self) -> Result<SealingKey, Problem> {
        let opener = self.opener().await;
        opener.map(|opener| opener.key()).map_err(|error| Problem::new(orrery_contracts::Code::Internal, words(&error)))
    }

    async fn opener(&self) -> Result<Opener, FileError> {
        let data = self.data.clone();
        self.data.aside(move || data.opener()).await.unwrap_or_else(|error| Err(FileError::broken(error)))
    }

    /// Whether a command about a secret fits.
    pub(crate) async fn judge_secret(&self, action: &StackAction, command: &Accepted, head: &StackHead) -> Result<Task, JudgeError> {
        match action {
            StackAction::SecretPut { name, sealed } => {
                let value = self.opener().await.map_err(|error| JudgeError::Transient(words(&error)))?.open(sealed);
                let value = value.map_err(|error| reject(format!("secret {name}: {error}")))?;
                if value.len() > LONGEST_SECRET {
                    return Err(reject(format!("secret {name} has {} bytes; {LONGEST_SECRET} is the most", value.len())));
                }
                if name.as_str() == REGISTRY_SECRET {
                    Registries::read(&value).map_err(|why| reject(format!("secret {name}: {why}")))?;
                }
                Ok(Task::Secret(SecretTask::Put(name.clone(), sealed.clone())))
            }
            StackAction::SecretRemove { name } => {
                let there = head.secrets.get(name);
                // This very command may have removed it, and died before it could say so.
                let there = there.filter(|secret| secret.sealed.is_some() || secret.command == command.seq);
                there
                    .map(|_| Task::Secret(SecretTask::Remove(name.clone())))
                    .ok_or_else(|| reject(format!("{} has no secret {name}", head.name)))
            }
            StackAction::Versioning(_) | StackAction::Start | StackAction::Stop | StackAction::Restart | StackAction::Delete { .. } => {
                Err(reject("this is about no secret"))
            }
        }
    }

    /// Keeps or forgets a secret. What runs goes on with what it has; the next apply sees the new version.
    pub(crate) async fn change_secret(
        &self,
        run: &Run,
        head: StackHead,
        author: &orrery_contracts::Name,
        task: SecretTask,
    ) -> Result<String, RunError> {
        let seq = run.command().seq;
        let (name, sealed) = match task {
            SecretTask::Put(name, sealed) => (name, Some(self.put_sealed(&sealed).await?)),
            SecretTask::Remove(name) => (name, None),
        };
        let before = head.secrets.get(&name);
        let written = before.filter(|secret| secret.command == seq).map(|secret| (secret.version, secret.at));
        let latest = before.map_or(0, |secret| secret.version);
        let (version, at): (u32, Time) = written.unwrap_or_else(|| {
            let next = if sealed.is_some() { latest.saturating_add(1) } else { latest };
            (next, run.command().accepted_at)
        });
        let set = sealed.is_some();
        let mut secrets = head.secrets.clone();
        secrets.insert(name.clone(), SecretHead { version, sealed, author: author.clone(), at, command: seq });
        self.tell(run, &head, StackChange::SecretsChanged { secrets: secrets.clone() }).await?;
        self.definitions.write_head(&StackHead { secrets, command: seq, ..head }).await?;
        Ok(if set {
            format!("version {version} of secret {name} kept; the next apply uses it")
        } else {
            format!("secret {name} forgotten")
        })
    }

    async fn put_sealed(&self, sealed: &Sealed) -> Result<orrery_contracts::Digest, RunError> {
        let put = self.definitions.patiently(|| self.definitions.put_bytes(&sealed.0)).await;
        put.map_err(|error| RunError::failed("definitions", error.to_string()))
    }

    /// Puts the values of the stack's secrets where its containers get them, and what registries want to know.
    pub(crate) async fn reveal(&self, head: &StackHead, desired: &mut Desired) -> Result<(), RunError> {
        let registries = head.secrets.keys().find(|name| name.as_str() == REGISTRY_SECRET).cloned();
        let wanted: Vec<SecretName> = desired.secrets.iter().cloned().chain(registries.clone()).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let failed = |why: String| RunError::failed("secret", why);
        let opener = self.opener().await.map_err(|error| failed(words(&error)))?;
        let mut values = Values::default();
        for name in wanted {
            let Some(digest) = head.secrets.get(&name).and_then(|secret| secret.sealed.clone()) else { continue };
            let found = self.definitions.patiently(|| self.definitions.get_bytes(&digest)).await;
            let sealed = found.map_err(|error| failed(error.to_string()))?;
            let sealed = sealed.ok_or_else(|| failed(format!("the sealed value of secret {name} is missing; set it again")))?;
            let value = opener.open(&Sealed(sealed)).map_err(|_| {
                failed(format!("secret {name} was sealed to another key: this executor's sealing.key is not the one of then; set it again"))
            })?;
            values.0.insert(name, value);
        }
        desired.reveal(&values);
        if let Some(value) = registries.and_then(|name| values.0.remove(&name)) {
            desired.registries = Registries::read(&value).map_err(failed)?;
        }
        Ok(())
    }
}

/// An error of the disk, with its cause.
fn words(error: &FileError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}
