//! A serial console: what it said before, then both ways.

use bytes::Bytes;
use orrery_queue::frames::{Closed, Frames};
use tokio::time::interval;

use super::views::{SIGN_OF_LIFE, breathe, send};
use crate::console::Viewer;

/// Tells until the guest or the asker ends it.
pub(super) async fn tell(mut viewer: Viewer, frames: &mut Frames) -> Result<(), Closed> {
    let past = std::mem::take(&mut viewer.past);
    send(frames, &past).await?;
    let mut quiet = interval(SIGN_OF_LIFE);
    loop {
        while let Some(said) = frames.said() {
            if !viewer.say(Bytes::from(said)) {
                return Ok(());
            }
        }
        tokio::select! {
            word = frames.listen() => word?,
            said = viewer.next() => match said {
                Some(said) => send(frames, &said).await?,
                None => return Ok(()),
            },
            _ = quiet.tick() => breathe(frames).await?,
        }
    }
}
