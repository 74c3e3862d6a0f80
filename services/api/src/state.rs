//! What every handler shares: the configuration, the database, the broker, and what the background work learns.
//!
//! Nothing here is a truth of its own: lose the process, and another one knows the same a moment later.

use std::ops::Deref;
use std::str::FromStr as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::commands::checks::FitToRun;
use crate::config::Config;
use crate::consistency::Written;
use crate::executors::Executors;
use crate::feed::Feed;
use crate::figures::Figures;
use crate::streams::seats::Seats;
use crate::streams::telling::Telling;

/// Shows the metrics as text.
pub type Metrics = Box<dyn Fn() -> String + Send + Sync>;

/// The shared state; clones are handles on one thing.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// What [`Api`] is a handle on.
pub struct Shared {
    /// The configuration.
    pub config: Config,
    /// The database, as the role of this service: it reads the read model and writes accounts.
    pub database: PgPool,
    /// The broker.
    pub broker: Broker,
    /// Wakes whoever waits for the read model.
    pub feed: Feed,
    /// What was told lately, for who listens to `GET /events`.
    pub telling: Telling,
    /// The executors' signs of life.
    pub executors: Executors,
    /// What machines used lately.
    pub figures: Figures,
    /// Definitions that were found fit to run.
    pub fit_to_run: FitToRun,
    /// What this process wrote last, for its own lists.
    pub written: Written,
    /// The consoles and screens that are open.
    pub seats: Seats,
    /// Shows the metrics, once something records them.
    pub metrics: OnceLock<Metrics>,
    /// Set once the first administrator is there and the broker knows everybody's rights.
    pub prepared: OnceLock<()>,
    /// Cancelled when the service is about to end: open streams end with it.
    pub ending: CancellationToken,
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Why the state cannot be made.
#[derive(Debug, Error)]
pub enum StateError {
    /// `ORRERY_DATABASE_URL` cannot be read.
    #[error("ORRERY_DATABASE_URL cannot be used")]
    Database(#[source] sqlx::Error),
}

/// How long a request waits for a connection to the database.
const DATABASE_PATIENCE: Duration = Duration::from_secs(5);

impl Api {
    /// The state over a broker; the database is connected to when it is first asked.
    ///
    /// # Errors
    /// When the database's address cannot be read.
    pub fn new(config: Config, broker: orrery_queue::Broker) -> Result<Self, StateError> {
        // A connection that outlived its server is found out before a request gets it.
        let pool = PgPoolOptions::new().max_connections(16).acquire_timeout(DATABASE_PATIENCE).test_before_acquire(true);
        // Every query of a page is small; compiling one costs more than it ever saves.
        let options = PgConnectOptions::from_str(&config.database_url).map_err(StateError::Database)?.options([("jit", "off")]);
        let database = pool.connect_lazy_with(options);
        Ok(Self(Arc::new(Shared {
            config,
            database,
            broker: Broker::new(broker),
            feed: Feed::default(),
            telling: Telling::default(),
            executors: Executors::default(),
            figures: Figures::default(),
            fit_to_run: FitToRun::default(),
            written: Written::default(),
            seats: Seats::default(),
            metrics: OnceLock::new(),
            prepared: OnceLock::new(),
            ending: CancellationToken::new(),
        })))
    }
}
