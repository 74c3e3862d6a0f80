//! Consoles: a thread each over a stream of libvirt's, since a stream has no way to wait for both of its sides that is safe
//! to use. The thread looks at both, more often while something moves.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use virt::connect::Connect;
use virt::stream::Stream;
use virt::sys;

use super::{CALL, LibvirtEngine};
use crate::engine::error::EngineError;
use crate::engine::{Console, DomainRef};

/// How many pieces may wait on either side.
const WAITING: usize = 256;
/// The pauses between two looks: while something moves, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// What a stream says that has nothing to give or no room to take.
const LATER: isize = -2;

/// Opens the console of a domain.
pub(super) async fn open(engine: &LibvirtEngine, domain: DomainRef) -> Result<Console, EngineError> {
    let connection = engine.lines(domain.kind)?.long.connection()?;
    let (tell, opened) = oneshot::channel();
    let (give, from_guest) = mpsc::channel(WAITING);
    let (to_guest, take) = mpsc::channel(WAITING);
    let run = move || match attach(&connection, domain) {
        Ok(stream) => {
            if tell.send(Ok(())).is_ok() {
                carry(&connection, stream, &give, take);
            }
        }
        // The asker may have gone.
        Err(error) => drop(tell.send(Err(error))),
    };
    let thread = std::thread::Builder::new().name("libvirt-console".to_owned()).spawn(run);
    thread.map_err(|error| EngineError::refuse("engine", format!("no thread for a console: {error}")))?;
    match tokio::time::timeout(CALL, opened).await {
        Ok(Ok(answer)) => answer.map(|()| Console { from_guest, to_guest }),
        Ok(Err(_)) | Err(_) => Err(EngineError::away("libvirt did not open the console in time")),
    }
}

fn attach(connection: &Connect, domain: DomainRef) -> Result<Stream, EngineError> {
    let domain = connection.lookup_domain_by_uuid(domain.uuid)?;
    let stream = Stream::new(connection, sys::VIR_STREAM_NONBLOCK)?;
    // A viewer whose executor died still holds it otherwise.
    match domain.open_console(None, &stream, sys::VIR_DOMAIN_CONSOLE_FORCE) {
        Err(error) if EngineError::from(error.clone()).code == "invalid" => domain.open_console(None, &stream, 0)?,
        answer => answer?,
    }
    Ok(stream)
}

/// Carries bytes both ways until either side ends. A stream says nothing of a connection that broke, so that is looked at
/// whenever nothing moves.
fn carry(connection: &Connect, stream: Stream, give: &mpsc::Sender<Bytes>, mut take: mpsc::Receiver<Bytes>) {
    let mut buffer = vec![0; 16 * 1024];
    let mut unsent = Bytes::new();
    let mut pause = PAUSES.0;
    while !give.is_closed() {
        let moved = match (from_guest(&stream, &mut buffer, give), to_guest(&stream, &mut unsent, &mut take)) {
            (Some(received), Some(sent)) => received || sent,
            _ => break,
        };
        pause = if moved { PAUSES.0 } else { pause.saturating_mul(2).min(PAUSES.1) };
        if !moved {
            std::thread::sleep(pause);
            if pause == PAUSES.1 && !connection.is_alive().unwrap_or(false) {
                break;
            }
        }
    }
    // The guest has gone, or the viewer has: there is nothing to finish.
    let _ = stream.abort();
}

/// Takes what the guest wrote; says whether there was any, and nothing when it has ended.
fn from_guest(stream: &Stream, buffer: &mut [u8], give: &mpsc::Sender<Bytes>) -> Option<bool> {
    match stream.recv(buffer) {
        Ok(LATER) => Some(false),
        Ok(count) => {
            let bytes = usize::try_from(count).ok().filter(|count| *count > 0).and_then(|count| buffer.get(..count))?;
            // A viewer that does not read holds the guest's console back, as a terminal would.
            give.blocking_send(Bytes::copy_from_slice(bytes)).ok()?;
            Some(true)
        }
        Err(_) => None,
    }
}

/// Gives the guest what it is to read; says whether there was any, and nothing when either side has ended.
fn to_guest(stream: &Stream, unsent: &mut Bytes, take: &mut mpsc::Receiver<Bytes>) -> Option<bool> {
    if unsent.is_empty() {
        match take.try_recv() {
            Ok(bytes) => *unsent = bytes,
            Err(TryRecvError::Empty) => return Some(false),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
    if unsent.is_empty() {
        return Some(false);
    }
    match stream.send(unsent) {
        Ok(LATER) => Some(false),
        Ok(count) => {
            *unsent = unsent.slice(usize::try_from(count).ok()?.min(unsent.len())..);
            Some(true)
        }
        Err(_) => None,
    }
}
