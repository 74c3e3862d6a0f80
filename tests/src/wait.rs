//! Waiting for a condition with a deadline. Tests never sleep for a fixed time and hope.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::bail;

const PAUSE: Duration = Duration::from_millis(40);

/// Looks again and again until `look` gives something, for at most `within`. An error of `look` counts as "not yet"; the
/// last one is part of the message when the time is over.
///
/// # Errors
/// When the time is over.
pub async fn eventually<T, F, Fut>(what: &str, within: Duration, mut look: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<Option<T>>>,
{
    let deadline = Instant::now() + within;
    let mut last = String::from("nothing was seen");
    loop {
        match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => last = format!("{error:#}"),
        }
        if Instant::now() > deadline {
            bail!("waited {within:?} for: {what}; last: {last}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until `look` gives `wanted`.
///
/// # Errors
/// When the time is over, with what was seen last.
pub async fn until_equal<T, F, Fut>(what: &str, within: Duration, wanted: &T, mut look: F) -> anyhow::Result<()>
where
    T: PartialEq + Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
{
    let deadline = Instant::now() + within;
    loop {
        let seen = look().await;
        if seen.as_ref().is_ok_and(|seen| seen == wanted) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("waited {within:?} for: {what}; wanted {wanted:?}, last seen {seen:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
