//! What is chosen once for a broker and remembered: its port, its limits, its TLS pair.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::errors::NatsError;
use crate::layout::Layout;
use crate::secrets;

/// How much JetStream may keep on disk, where nothing else is said: 64 GiB.
pub const DEFAULT_MAX_FILE_STORE: u64 = 64 * 1024 * 1024 * 1024;

/// The broker's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address it listens on.
    #[serde(default = "loopback")]
    pub host: String,
    /// The port it listens on.
    pub port: u16,
    /// The most that JetStream may keep on disk, in bytes.
    #[serde(default = "default_max_file_store")]
    pub max_file_store: u64,
    /// The certificate and key, where clients must use TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The name by which clients know its host, where that is not the address it listens on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_as: Option<String>,
    /// The folder of JetStream's files, where that is not in the data folder; whoever runs the broker owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
    /// The port on its own loopback address where it says how it is, where somebody asks there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor_port: Option<u16>,
}

/// A TLS pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

fn loopback() -> String {
    "127.0.0.1".to_owned()
}

const fn default_max_file_store() -> u64 {
    DEFAULT_MAX_FILE_STORE
}

impl Settings {
    /// The defaults on one port.
    pub fn on_port(port: u16) -> Self {
        Self { host: loopback(), port, max_file_store: DEFAULT_MAX_FILE_STORE, tls: None, known_as: None, store: None, monitor_port: None }
    }

    /// What clients connect to.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "tls" } else { "nats" };
        let host = self.known_as.as_ref().unwrap_or(&self.host);
        format!("{scheme}://{host}:{}", self.port)
    }

    /// The settings of an earlier start, if there was one.
    pub fn load(layout: &Layout) -> Result<Option<Self>, NatsError> {
        let path = layout.settings();
        secrets::read_optional(&path)?
            .map(|text| serde_json::from_str(&text).map_err(|source| NatsError::Settings { path, source }))
            .transpose()
    }

    /// Remembers these settings.
    pub fn save(&self, layout: &Layout) -> Result<(), NatsError> {
        let path = layout.settings();
        let text = serde_json::to_string_pretty(self).map_err(|source| NatsError::Settings { path: path.clone(), source })?;
        secrets::write_private(&path, &text)
    }
}
