//! The connection to the engine: made when it is needed, with the API version that both sides know, dropped when the
//! engine goes away, and made again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;

use super::error::{Class, EngineError};

/// How long a call may take that has no reason to take long.
const CALL: Duration = Duration::from_secs(60);
/// How long an engine that is not on its way out may take to greet.
const GREETING: Duration = Duration::from_secs(5);

/// Where the engine is, and the connection to it while there is one. Clones share it.
#[derive(Clone, Debug)]
pub struct Connection {
    host: String,
    now: Arc<Mutex<Option<Docker>>>,
}

impl Connection {
    /// An engine at this address: `unix:///var/run/docker.sock`, `tcp://…`.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), now: Arc::default() }
    }

    /// The engine at `DOCKER_HOST`, else at the usual socket.
    #[must_use]
    pub fn from_env() -> Self {
        let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        Self::new(host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned()))
    }

    /// Where the engine is.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.lock().is_some()
    }

    /// A handle on the engine, with the API version negotiated.
    ///
    /// # Errors
    /// When the engine cannot be reached.
    pub async fn docker(&self) -> Result<Docker, EngineError> {
        if let Some(docker) = self.lock().clone() {
            return Ok(docker);
        }
        let docker = Docker::connect_with_host(&self.host).map_err(|error| self.away(&error))?;
        let docker = docker.with_timeout(CALL).negotiate_version().await.map_err(|error| self.away(&error))?;
        tracing::info!(host = %self.host, api = %docker.client_version(), "connected to the engine");
        *self.lock() = Some(docker.clone());
        Ok(docker)
    }

    /// Turns an engine's error into ours; one that says that the engine is away drops the connection.
    pub fn failed(&self, error: bollard::errors::Error) -> EngineError {
        let error = EngineError::from(error);
        if error.class == Class::Wait {
            self.drop_it();
        }
        error
    }

    /// Whether the engine takes new connections. One that is told to end stops that first, and carries its last calls on over
    /// the old ones: what fails from then on (a layer that cannot be mounted, a container that has ended) says nothing about
    /// the stack.
    pub async fn takes_calls(&self) -> bool {
        let Ok(docker) = Docker::connect_with_host(&self.host) else { return false };
        matches!(tokio::time::timeout(GREETING, docker.ping()).await, Ok(Ok(_)))
    }

    /// Forgets the connection; the next call makes a new one, and negotiates again.
    pub fn drop_it(&self) {
        *self.lock() = None;
    }

    /// The error for what an engine said that was about to end.
    pub fn ending(&self, said: impl std::fmt::Display) -> EngineError {
        self.drop_it();
        EngineError::new(Class::Wait, "engine_away", format!("the engine at {} ends: {said}", self.host))
    }

    fn away(&self, error: &bollard::errors::Error) -> EngineError {
        EngineError::new(Class::Wait, "engine_away", format!("no engine answers at {}: {error}", self.host))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Docker>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
