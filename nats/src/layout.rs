//! Where the broker's files lie in the data folder. Paths only: nothing here reads or writes.

use std::path::{Path, PathBuf};

use crate::users::User;

/// The data folder, seen by the broker.
#[derive(Debug, Clone)]
pub struct Layout {
    data: PathBuf,
}

impl Layout {
    /// The layout of one data folder.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into() }
    }

    /// The data folder itself.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Everything that only the broker and its provisioning need.
    pub fn broker(&self) -> PathBuf {
        self.data.join("nats")
    }

    /// The rendered configuration.
    pub fn config(&self) -> PathBuf {
        self.broker().join("nats-server.conf")
    }

    /// Port, limits and TLS as they were chosen at the first start.
    pub fn settings(&self) -> PathBuf {
        self.broker().join("settings.json")
    }

    /// JetStream's files.
    pub fn store(&self) -> PathBuf {
        self.broker().join("store")
    }

    /// The broker's own note of its process.
    pub fn pid_file(&self) -> PathBuf {
        self.broker().join("nats-server.pid")
    }

    /// The configuration of a broker for a recovery.
    pub fn recovery_config(&self) -> PathBuf {
        self.broker().join("recovery.conf")
    }

    /// The password of the one user of that broker.
    pub fn recovery_password(&self) -> PathBuf {
        self.broker().join("recovery.password")
    }

    /// The folder of the users' passwords.
    pub fn users(&self) -> PathBuf {
        self.broker().join("users")
    }

    /// One service user's password, readable by its owner alone.
    pub fn password(&self, user: User) -> PathBuf {
        self.users().join(format!("{}.password", user.name()))
    }

    /// The hash of a user's or publisher's password, so that rendering twice gives the same text.
    pub fn hash(&self, name: &str) -> PathBuf {
        self.users().join(format!("{name}.bcrypt"))
    }

    /// The folder of the publishers' credentials: the list of publishers *is* this folder.
    pub fn publishers(&self) -> PathBuf {
        self.data.join("publishers")
    }

    /// One publisher's credentials.
    pub fn publisher(&self, name: &str) -> PathBuf {
        self.publishers().join(format!("{name}.env"))
    }
}
