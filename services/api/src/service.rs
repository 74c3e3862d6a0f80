//! Runs the service: the background work, the listener, and a clean end on SIGTERM.
//!
//! It starts without the broker and the database, waits for them, and says so in `/readyz`.

use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::listener::{Patient, Peer};
use crate::problems::chain;
use crate::state::{Api, StateError};
use crate::{auth, bundles, executors, feed, figures, health, router, streams};

/// Why the service cannot run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The state cannot be made.
    #[error(transparent)]
    State(#[from] StateError),
    /// The broker's address cannot be used.
    #[error(transparent)]
    Broker(#[from] orrery_queue::BrokerError),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address} (ORRERY_LISTEN)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The instruments cannot be set up.
    #[error(transparent)]
    Instruments(#[from] orrery_instruments::InstrumentsError),
    /// The listener broke.
    #[error("the listener broke")]
    Io(#[from] std::io::Error),
}

/// The name of this service: its user at the broker, its socket, its log.
const NAME: &str = "api";

/// How long open streams may take to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let mut instruments = orrery_instruments::Instruments::start(NAME)?;
    instruments.listen(&config.data_dir, NAME)?;
    let address = config.listen;
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    let broker = orrery_queue::Broker::connect(&orrery_queue::BrokerConfig::from_env(NAME)).await?;
    let api = Api::new(config, broker)?;
    let ending = api.ending.clone();
    let figures = instruments.metrics();
    let _ = api.metrics.set(Box::new(move || figures.render()));
    let work = background(&api);
    tokio::spawn(health::tell(api.clone(), instruments.readiness().clone()));
    let app = router::app(api.clone()).into_make_service_with_connect_info::<Peer>();
    tracing::info!(%address, "listening on {address}");
    let stop = ending.clone();
    let server = axum::serve(Patient(listener), app).with_graceful_shutdown(async move { stop.cancelled().await });
    let mut server = tokio::spawn(std::future::IntoFuture::into_future(server));
    let stopping = orrery_instruments::shutdown()?;
    tokio::select! {
        done = &mut server => return done.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(ServeError::Io),
        () = stopping.cancelled() => tracing::info!("stopping"),
    }
    ending.cancel();
    let _ = tokio::time::timeout(FAREWELL, async {
        let _ = server.await;
        api.seats.left().await;
        work.wait().await;
    })
    .await;
    Ok(())
}

/// Starts everything that goes on beside the requests.
pub fn background(api: &Api) -> TaskTracker {
    let work = TaskTracker::new();
    work.spawn(feed::listen(api.clone()));
    work.spawn(streams::telling::tell(api.clone()));
    work.spawn(executors::listen(api.clone()));
    work.spawn(figures::listen(api.clone()));
    work.spawn(streams::status::answer(api.clone()));
    work.spawn(bundles::sweep::now_and_then(api.clone()));
    work.spawn(prepare(api.clone()));
    work.close();
    work
}

/// Makes the first administrator and publishes rights, as soon as database and broker let it.
async fn prepare(api: Api) {
    let prepared = async {
        again_until_done("the first administrator", || auth::first_start::ensure_administrator(&api)).await;
        again_until_done("the rights at the broker", || async {
            auth::rights::publish(&api).await.map_err(|refusal| RightsError(refusal.problem().detail))
        })
        .await;
        let _ = api.prepared.set(());
    };
    tokio::select! {
        () = api.ending.cancelled() => {}
        () = prepared => {}
    }
}

#[derive(Debug, Error)]
#[error("{0}")]
struct RightsError(String);

async fn again_until_done<E: std::error::Error + 'static, F: Future<Output = Result<(), E>>>(what: &str, work: impl Fn() -> F) {
    let mut told = String::new();
    while let Err(error) = work().await {
        let why = chain(&error);
        if why != told {
            tracing::warn!("{what} must wait: {why}");
            told = why;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
