//! The projector's voice: it notifies `orrery_feed` after each change of the read model, one listener here hears it, and
//! wakes everybody who waits. Nobody polls.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;

use crate::problems::chain;
use crate::state::Api;

/// The channel that the projector notifies.
const CHANNEL: &str = "orrery_feed";

/// Wakes whoever follows it, whenever the read model may have changed.
pub struct Feed(watch::Sender<u64>);

impl Default for Feed {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Feed {
    /// A follower. Take it before looking at the database, so that no change falls between.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    fn wake(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Listens until the end of the process, whatever becomes of the database in between.
pub async fn listen(api: Api) {
    while !api.ending.is_cancelled() {
        tokio::select! {
            () = api.ending.cancelled() => return,
            result = listen_once(&api) => if let Err(error) = result {
                tracing::debug!("no news from the database: {}", chain(&error));
            },
        }
        tokio::select! {
            () = api.ending.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

async fn listen_once(api: &Api) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&api.database).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // Whatever was missed before this point is found by looking again.
        api.feed.wake();
        if listener.try_recv().await?.is_none() {
            tracing::debug!("the connection for news was lost and made again");
        }
    }
}
