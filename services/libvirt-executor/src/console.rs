//! Serial consoles, of which a guest has one and several people look: one stream of libvirt's for each, a bounded memory of what
//! was said, and as many viewers as come. A console is attached when somebody wants it, and stays so while it is of use: who
//! comes back finds what was said meanwhile.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use orrery_contracts::MachineId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::engine::{Console, DomainRef, EngineError, Hypervisor};

/// How much of what a guest said is remembered, in bytes.
const REMEMBERED: usize = 256 * 1024;
/// How many pieces a viewer may lag behind; one that lags more loses what lies between.
const LAG: usize = 512;
/// How long a console that nobody looks at stays attached.
const UNWATCHED: Duration = Duration::from_secs(600);

/// The consoles of this host.
#[derive(Debug, Default)]
pub struct Consoles {
    all: Mutex<HashMap<DomainRef, Arc<Kept>>>,
}

/// What is kept of a console, attached or not.
#[derive(Debug, Default)]
struct Kept {
    line: tokio::sync::Mutex<Option<Line>>,
    memory: Arc<Mutex<Memory>>,
}

/// An attached console.
#[derive(Debug)]
struct Line {
    tell: broadcast::WeakSender<Bytes>,
    to_guest: mpsc::WeakSender<Bytes>,
}

/// Somebody who looks at a console.
#[derive(Debug)]
pub struct Viewer {
    /// What was said before he came, as far as it is remembered.
    pub past: Bytes,
    live: broadcast::Receiver<Bytes>,
    to_guest: mpsc::WeakSender<Bytes>,
}

impl Viewer {
    /// What the guest says next; none when it has ended, or its daemon has.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.live.recv().await {
                Ok(said) => return Some(said),
                Err(RecvError::Lagged(pieces)) => tracing::debug!(pieces, "a viewer of a console lags, and lost what lies between"),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Gives the guest something to read. What finds no room is lost, as on a real line: a guest that reads nothing must hold up
    /// nobody who looks. False when the guest has gone.
    pub fn say(&self, said: Bytes) -> bool {
        let Some(to_guest) = self.to_guest.upgrade() else { return false };
        match to_guest.try_send(said) {
            Ok(()) => true,
            Err(TrySendError::Full(lost)) => {
                tracing::debug!(bytes = lost.len(), "a guest does not read what its console is told");
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

impl Consoles {
    /// Joins who looks at a domain's console; attaches it when nobody did.
    ///
    /// # Errors
    /// When libvirt does not give it: the domain does not run, or has none.
    pub async fn join<E: Hypervisor>(&self, engine: &E, domain: DomainRef) -> Result<Viewer, EngineError> {
        let kept = self.kept(domain);
        let mut line = kept.line.lock().await;
        match line.as_ref().and_then(|line| kept.viewer(line)) {
            Some(viewer) => Ok(viewer),
            None => attach(&kept, &mut line, engine, domain).await,
        }
    }

    /// The same for a guest that was just started: what is attached still, if anything is, belongs to its life before.
    ///
    /// # Errors
    /// As [`Consoles::join`].
    pub async fn begin<E: Hypervisor>(&self, engine: &E, domain: DomainRef) -> Result<Viewer, EngineError> {
        let kept = self.kept(domain);
        let mut line = kept.line.lock().await;
        attach(&kept, &mut line, engine, domain).await
    }

    /// Forgets what a machine said, once it is gone for good.
    pub fn forget(&self, machine: MachineId) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).retain(|domain, _| domain.uuid != machine.uuid());
    }

    fn kept(&self, domain: DomainRef) -> Arc<Kept> {
        Arc::clone(self.all.lock().unwrap_or_else(PoisonError::into_inner).entry(domain).or_default())
    }
}

async fn attach<E: Hypervisor>(kept: &Kept, line: &mut Option<Line>, engine: &E, domain: DomainRef) -> Result<Viewer, EngineError> {
    let Console { from_guest, to_guest } = engine.console(domain).await?;
    let tell = broadcast::Sender::new(LAG);
    let attached = Line { tell: tell.downgrade(), to_guest: to_guest.downgrade() };
    let viewer = kept.viewer(&attached);
    tokio::spawn(carry(from_guest, to_guest, tell, Arc::clone(&kept.memory)));
    *line = Some(attached);
    viewer.ok_or_else(|| EngineError::gone("the console has ended already"))
}

impl Kept {
    fn viewer(&self, line: &Line) -> Option<Viewer> {
        let tell = line.tell.upgrade()?;
        // What is remembered and what is told are one thing under this lock: nothing is missed between them, or told twice.
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Viewer { past: memory.all(), live: tell.subscribe(), to_guest: line.to_guest.clone() })
    }
}

/// Carries what the guest says to everybody, until it ends or nobody has looked for long.
async fn carry(
    mut from_guest: mpsc::Receiver<Bytes>,
    to_guest: mpsc::Sender<Bytes>,
    tell: broadcast::Sender<Bytes>,
    memory: Arc<Mutex<Memory>>,
) {
    let mut watched = Instant::now();
    loop {
        let look = watched.checked_add(UNWATCHED).unwrap_or(watched);
        tokio::select! {
            said = from_guest.recv() => {
                let Some(said) = said else { break };
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.push(&said);
                // Nobody looks: then it is only remembered.
                let _ = tell.send(said);
            }
            () = sleep_until(look) => {
                if tell.receiver_count() == 0 {
                    break;
                }
                watched = Instant::now();
            }
        }
        if tell.receiver_count() > 0 {
            watched = Instant::now();
        }
    }
    drop(to_guest);
}

/// The last of what was said.
#[derive(Debug, Default)]
struct Memory {
    pieces: VecDeque<Bytes>,
    size: usize,
}

impl Memory {
    fn push(&mut self, said: &Bytes) {
        self.size = self.size.saturating_add(said.len());
        self.pieces.push_back(said.clone());
        while self.size > REMEMBERED {
            let Some(oldest) = self.pieces.front_mut() else { return };
            let over = self.size.saturating_sub(REMEMBERED).min(oldest.len());
            *oldest = oldest.slice(over..);
            self.size = self.size.saturating_sub(over);
            if oldest.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    fn all(&self) -> Bytes {
        let mut all = BytesMut::with_capacity(self.size);
        self.pieces.iter().for_each(|piece| all.extend_from_slice(piece));
        all.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Act, Kind, MemoryEngine};

    #[test]
    fn only_the_last_of_what_was_said_is_remembered() {
        let mut memory = Memory::default();
        for n in 0..=255_u8 {
            memory.push(&Bytes::from(vec![n; 4096]));
        }
        memory.push(&Bytes::from_static(b"the end"));
        let all = memory.all();
        assert_eq!(all.len(), REMEMBERED);
        assert!(all.ends_with(b"the end") && all.starts_with(&[192; 4089]), "{:?}", &all[..10]);
        memory.push(&Bytes::from(vec![7; 3 * REMEMBERED]));
        assert!(memory.all().len() == REMEMBERED && memory.all().iter().all(|byte| *byte == 7));
    }

    #[tokio::test]
    async fn everybody_sees_the_same_and_who_comes_later_what_was_before() {
        let engine = MemoryEngine::new();
        let domain = DomainRef { kind: Kind::Vm, uuid: uuid::Uuid::from_u128(7) };
        let xml = "<domain><name>web</name><uuid>00000000-0000-0000-0000-000000000007</uuid><memory>1024</memory></domain>".to_owned();
        engine.act(&Act::Define { kind: Kind::Vm, xml }, &|_| {}).await.unwrap();
        let consoles = Consoles::default();
        assert!(consoles.join(&engine, domain).await.is_err(), "it does not run");
        engine.act(&Act::Start { domain, paused: false }, &|_| {}).await.unwrap();
        let mut first = consoles.join(&engine, domain).await.unwrap();
        assert_eq!(first.next().await.unwrap(), "hello from web\r\n");
        let mut second = consoles.join(&engine, domain).await.unwrap();
        assert_eq!(second.past, "hello from web\r\n");
        assert!(second.say(Bytes::from_static(b"ping\n")));
        assert_eq!(first.next().await.unwrap(), "got ping\r\n");
        assert_eq!(second.next().await.unwrap(), "got ping\r\n");
        drop((first, second));
        let third = consoles.join(&engine, domain).await.unwrap();
        assert_eq!(third.past, "hello from web\r\ngot ping\r\n");
    }
}
