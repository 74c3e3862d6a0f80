//! The connection to the broker: configured from the environment, on an inbox prefix of its own, reconnecting for ever
//! with at most a second between two tries. It never fails because the broker is away; it says so.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Auth, AuthError, Client, ConnectOptions, Event};
use thiserror::Error;
use tokio::sync::watch;

use crate::nats::Nats;
use crate::streams::{Link, Streams};

/// How long one request to the broker may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest pause between two tries to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where the broker is, and who we are to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// `ORRERY_NATS_URL`.
    pub url: String,
    /// `ORRERY_NATS_USER`.
    pub user: String,
    /// `ORRERY_NATS_PASSWORD_FILE`: read at each connect, so that it may come or change later.
    pub password_file: Option<PathBuf>,
    /// `ORRERY_NATS_CA`: the broker's authority; with it, TLS is required.
    pub authority: Option<PathBuf>,
}

impl BrokerConfig {
    /// From the environment; `user` is the service's own name where `ORRERY_NATS_USER` is not set.
    #[must_use]
    pub fn from_env(user: &str) -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            url: text("ORRERY_NATS_URL").unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned()),
            user: text("ORRERY_NATS_USER").unwrap_or_else(|| user.to_owned()),
            password_file: text("ORRERY_NATS_PASSWORD_FILE").map(PathBuf::from),
            authority: text("ORRERY_NATS_CA").map(PathBuf::from),
        }
    }
}

/// What is wrong with the configuration of the connection.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// The address cannot be read, or the authority's certificate.
    #[error("ORRERY_NATS_URL or ORRERY_NATS_CA cannot be used: {url}")]
    Config {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: async_nats::ConnectError,
    },
}

/// A connection that comes and goes, and the handles on it. Clones share it.
#[derive(Clone, Debug)]
pub struct Broker {
    client: Client,
    jetstream: jetstream::Context,
    streams: Streams,
    user: String,
}

impl Broker {
    /// Begins to connect, and returns at once.
    ///
    /// # Errors
    /// When the configuration can never work.
    pub async fn connect(config: &BrokerConfig) -> Result<Self, BrokerError> {
        let (tell, link) = watch::channel(Link::Away(format!("connecting to {}", config.url)));
        let client = options(config, tell).connect(&config.url).await;
        let client = client.map_err(|source| BrokerError::Config { url: config.url.clone(), source })?;
        Ok(Self::over(client, link, &config.user))
    }

    fn over(client: Client, link: watch::Receiver<Link>, user: &str) -> Self {
        let jetstream = ContextBuilder::new().timeout(REQUEST_TIMEOUT).ack_timeout(REQUEST_TIMEOUT).build(client.clone());
        let port = Nats { client: client.clone(), jetstream: jetstream.clone(), link };
        Self { client, jetstream, streams: Streams::new(Arc::new(port)), user: user.to_owned() }
    }

    /// The connection itself.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Everything else of the broker: buckets, consumers, object stores.
    #[must_use]
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// The user that we are to the broker.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The streams, as the loop and the definitions use them.
    #[must_use]
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Whether the broker can be reached; follows changes.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.streams.link()
    }

    /// Whether the broker can be reached now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.streams.is_connected()
    }

    /// Resolves when the broker can be reached; answers how many connections there have been.
    pub async fn connected(&self) -> u64 {
        self.streams.connected().await
    }
}

fn options(config: &BrokerConfig, tell: watch::Sender<Link>) -> ConnectOptions {
    let (user, password_file) = (config.user.clone(), config.password_file.clone());
    let connections = std::sync::atomic::AtomicU64::new(0);
    let told = Arc::new((tell, connections));
    let mut options = ConnectOptions::with_auth_callback(move |_nonce| sign_in(user.clone(), password_file.clone()))
        .name(&config.user)
        .custom_inbox_prefix(format!("_INBOX.{}", config.user))
        .retry_on_initial_connect()
        .max_reconnects(None)
        .connection_timeout(REQUEST_TIMEOUT)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .ping_interval(Duration::from_secs(10))
        .reconnect_delay_callback(pause)
        .event_callback(move |event| {
            let told = Arc::clone(&told);
            async move { hear(&event, &told.0, &told.1) }
        });
    if let Some(authority) = &config.authority {
        options = options.add_root_certificates(authority.clone()).require_tls(true);
    }
    options
}

fn pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(5);
    Duration::from_millis(50).saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

async fn sign_in(user: String, password_file: Option<PathBuf>) -> Result<Auth, AuthError> {
    let mut auth = Auth::new();
    if let Some(path) = password_file {
        let password = tokio::fs::read_to_string(&path).await;
        let password = password.map_err(|error| AuthError::new(format!("{}: {error}", path.display())))?;
        auth.username = Some(user);
        auth.password = Some(password.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(auth)
}

fn hear(event: &Event, tell: &watch::Sender<Link>, connections: &std::sync::atomic::AtomicU64) {
    match event {
        Event::Connected => {
            let count = connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed).saturating_add(1);
            tracing::info!(connection = count, "connected to the broker");
            tell.send_replace(Link::Connected(count));
        }
        Event::Disconnected | Event::Closed => {
            tracing::warn!("the broker is away: {event}");
            tell.send_replace(Link::Away(event.to_string()));
        }
        Event::ClientError(error) => {
            tracing::debug!("broker connection: {error}");
            tell.send_if_modified(|link| match link {
                Link::Away(reason) => {
                    *reason = error.to_string();
                    true
                }
                Link::Connected(_) => false,
            });
        }
        Event::ServerError(error) => tracing::warn!("the broker refuses: {error}"),
        Event::SlowConsumer(id) => tracing::warn!(subscription = id, "messages come faster than they are read"),
        Event::LameDuckMode | Event::Draining => tracing::info!("broker: {event}"),
    }
}
