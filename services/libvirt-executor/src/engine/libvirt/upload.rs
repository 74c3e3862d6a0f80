//! Uploads: bytes to a volume through a stream of libvirt's, so that the daemon may be in another mount namespace, a
//! container's outside, or another host.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use orrery_contracts::ProgressLine;
use tokio::sync::watch;
use virt::connect::Connect;
use virt::stream::Stream;

use super::{CALL, LibvirtEngine, storage};
use crate::engine::error::{Class, EngineError};
use crate::engine::{Effect, Say, Source};

/// How much is sent at once; libvirt's own messages hold no more.
const CHUNK: usize = 256 * 1024;
/// What an upload must reach, in bytes a second, not to be given up.
const SLOWEST: u64 = 1 << 20;
/// How often it says how far it is.
const SAY: u64 = 4 << 20;

/// Tells a thread that nobody waits for it any more.
struct Leaves(Arc<AtomicBool>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Fills a volume.
pub(super) async fn upload(
    engine: &LibvirtEngine,
    pool: &str,
    name: &str,
    source: &Source,
    size: u64,
    say: Say<'_>,
) -> Result<Effect, EngineError> {
    let guard = engine.pools.hold(pool).await;
    let left = Arc::new(AtomicBool::new(false));
    let _leaves = Leaves(Arc::clone(&left));
    let (tell, mut told) = watch::channel(0_u64);
    let job = Upload { pool: pool.to_owned(), name: name.to_owned(), source: source.clone(), size, left, tell };
    let within = CALL.saturating_add(Duration::from_secs(size / SLOWEST));
    let asked = engine.vm.long.ask(within, move |connection| {
        let _held = guard;
        job.run(connection)
    });
    let mut asked = std::pin::pin!(asked);
    loop {
        tokio::select! {
            said = &mut asked => return said,
            Ok(()) = told.changed() => {
                let current = *told.borrow_and_update();
                say(ProgressLine { text: "Uploading".to_owned(), source: Some(name.to_owned()), current: Some(current), total: Some(size) });
            }
        }
    }
}

struct Upload {
    pool: String,
    name: String,
    source: Source,
    size: u64,
    left: Arc<AtomicBool>,
    tell: watch::Sender<u64>,
}

impl Upload {
    fn run(&self, connection: &Connect) -> Result<Effect, EngineError> {
        let pool = storage::pool(connection, &self.pool)?;
        let volume = pool.lookup_storage_vol_by_name(&self.name)?;
        if storage::is_uploaded(&pool, &self.name)? {
            return Ok(Effect { already: true, ..Effect::made(volume.path()?) });
        }
        let mut from = self.open()?;
        let stream = Stream::new(connection, 0)?;
        volume.upload(&stream, 0, self.size, 0)?;
        match self.send(&stream, &mut *from) {
            Ok(()) => stream.finish()?,
            Err(error) => {
                // The first error is the one that tells.
                let _ = stream.abort();
                return Err(error);
            }
        }
        // The pool learns the capacity that the image's own header names.
        pool.refresh(0)?;
        storage::mark_uploaded(&pool, &self.name)?;
        Ok(Effect::made(volume.path()?))
    }

    fn open(&self) -> Result<Box<dyn Read>, EngineError> {
        match &self.source {
            Source::Bytes(bytes) => Ok(Box::new(io::Cursor::new(Bytes::clone(bytes)))),
            Source::File(path) => {
                let file = File::open(path)
                    .map_err(|error| EngineError::refuse("file_missing", format!("{} cannot be read: {error}", path.display())))?;
                Ok(Box::new(file))
            }
        }
    }

    fn send(&self, stream: &Stream, from: &mut dyn Read) -> Result<(), EngineError> {
        let (mut sent, mut said) = (0_u64, 0_u64);
        let mut buffer = vec![0; CHUNK];
        while sent < self.size {
            if self.left.load(Ordering::Relaxed) {
                return Err(EngineError::new(Class::Retry, "aborted", "the upload was broken off"));
            }
            let room = usize::try_from(self.size.saturating_sub(sent)).unwrap_or(CHUNK).min(CHUNK);
            let room = buffer.get_mut(..room).unwrap_or_default();
            let count = from.read(room).map_err(|error| self.broken(sent, &error.to_string()))?;
            if count == 0 {
                return Err(self.broken(sent, "it ends"));
            }
            push(stream, room.get(..count).unwrap_or_default())?;
            sent = sent.saturating_add(u64::try_from(count).unwrap_or_default());
            if sent.saturating_sub(said) >= SAY || sent == self.size {
                said = sent;
                // The asker may have gone.
                let _ = self.tell.send(sent);
            }
        }
        Ok(())
    }

    fn broken(&self, at: u64, why: &str) -> EngineError {
        let what = match &self.source {
            Source::Bytes(_) => format!("what is uploaded to {}", self.name),
            Source::File(path) => path.display().to_string(),
        };
        EngineError::refuse("source_broken", format!("{what} cannot be read after {at} of {} bytes: {why}", self.size))
    }
}

/// Sends all of it.
fn push(stream: &Stream, mut bytes: &[u8]) -> Result<(), EngineError> {
    while !bytes.is_empty() {
        let count = usize::try_from(stream.send(bytes)?).unwrap_or_default();
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}
