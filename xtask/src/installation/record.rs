//! What is remembered of a running installation, in `<data>/run/`: its processes, and the settings they were started with.
//!
//! Secrets are not among the settings: they lie in files of their own.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::members::Member;
use super::services::Built;
use crate::folders::{Data, write_private};
use crate::processes::Identity;

/// Settings that a later `restart` takes over, if it is not told otherwise.
const KEPT: [&str; 20] = [
    "ORRERY_LISTEN",
    "ORRERY_HOST",
    "ORRERY_ENGINES",
    "ORRERY_LOCK_DIR",
    "ORRERY_WEB_DIR",
    "ORRERY_PUBLISHERS",
    "ORRERY_LOG",
    "ORRERY_LOG_FORMAT",
    "ORRERY_BUNDLE_MAX_BYTES",
    "ORRERY_BUNDLE_MAX_FILES",
    "ORRERY_BUNDLE_MAX_FILE_BYTES",
    "ORRERY_NATS_CA",
    "ORRERY_BEHIND_TLS",
    "ORRERY_NATS_SERVER",
    "ORRERY_LIBVIRT_URI",
    "ORRERY_LIBVIRT_LXC_URI",
    "ORRERY_LIBVIRT_POOL_DIR",
    "DOCKER_HOST",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
];

/// One process that was started and not yet stopped on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) identity: Identity,
    pub(crate) address: String,
}

/// The record of an installation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(default)]
    pub(crate) processes: Vec<Started>,
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, String>,
    /// The programs and the page that it was started with.
    #[serde(default)]
    pub(crate) built: Option<Built>,
}

impl Record {
    /// The record of this data folder; an empty one where there is none.
    pub(crate) fn load(data: &Data) -> Result<Self> {
        let path = data.run("processes.json");
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} cannot be read; remove it when nothing of this installation runs", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    pub(crate) fn save(&self, data: &Data) -> Result<()> {
        write_private(&data.run("processes.json"), &serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn of(&self, member: Member) -> Option<&Started> {
        self.processes.iter().find(|started| started.name == member.name())
    }

    /// Whether this member was started and still runs.
    pub(crate) fn is_alive(&self, member: Member) -> bool {
        self.of(member).is_some_and(|started| started.identity.is_alive())
    }

    pub(crate) fn note(&mut self, member: Member, identity: Identity, address: String) {
        self.forget(member);
        self.processes.push(Started { name: member.name().to_owned(), identity, address });
    }

    pub(crate) fn forget(&mut self, member: Member) {
        self.processes.retain(|started| started.name != member.name());
    }

    /// Takes over the settings that the environment names now; the others stay as they were.
    pub(crate) fn take_settings(&mut self) {
        for name in KEPT {
            if let Ok(value) = std::env::var(name)
                && !value.is_empty()
            {
                self.settings.insert(name.to_owned(), value);
            }
        }
    }

    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Where the page and REST are.
    pub(crate) fn listen(&self) -> &str {
        self.setting("ORRERY_LISTEN").unwrap_or("127.0.0.1:8080")
    }

    /// What a browser on this machine opens.
    pub(crate) fn address(&self) -> String {
        let listen = self.listen();
        let reachable = listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
        format!("http://{reachable}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_member_stands_in_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::at(folder.path());
        data.create().unwrap();
        let me = Identity::of(std::process::id()).unwrap();
        let mut record = Record::default();
        record.note(Member::Api, me.clone(), "first".to_owned());
        record.note(Member::Api, me, "second".to_owned());
        record.save(&data).unwrap();
        let read = Record::load(&data).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.of(Member::Api).unwrap().address, "second");
        assert!(read.is_alive(Member::Api));
        assert!(!read.is_alive(Member::Nats));
    }

    #[test]
    fn an_address_for_every_interface_is_shown_as_one_that_can_be_opened() {
        let mut record = Record::default();
        assert_eq!(record.address(), "http://127.0.0.1:8080");
        record.settings.insert("ORRERY_LISTEN".to_owned(), "0.0.0.0:9000".to_owned());
        assert_eq!(record.address(), "http://127.0.0.1:9000");
    }
}
