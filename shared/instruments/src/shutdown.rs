//! The wish to end: SIGTERM, as a process manager sends it, or SIGINT, as Ctrl-C does.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled at the first SIGTERM or SIGINT. A second one ends the process at once.
///
/// # Errors
/// When the process cannot listen to signals.
pub fn shutdown() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        tracing::info!("{name}: finishes what is in hand and ends");
        cancelled.cancel();
        let name = next().await;
        tracing::warn!("{name} again: ends at once");
        std::process::exit(1);
    });
    Ok(token)
}
