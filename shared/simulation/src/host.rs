//! What an executor has on its host: the file of its marks, and the lock that keeps a second one away.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use orrery_contracts::Engine;
use orrery_queue::lock::Guard;
use orrery_queue::marks::{Keep, Seen};
use tokio::time::sleep;
use uuid::Uuid;

/// A host's disk: it survives every process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    marks: BTreeMap<Engine, Seen>,
    held: BTreeSet<Engine>,
}

impl Host {
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn marks(&self, engine: Engine) -> Marks {
        Marks { host: self.clone(), engine }
    }
}

/// The marks of one executor.
#[derive(Debug)]
pub(crate) struct Marks {
    host: Host,
    engine: Engine,
}

impl Keep for Marks {
    fn read(&self) -> io::Result<Seen> {
        Ok(self.host.lock().marks.get(&self.engine).cloned().unwrap_or_default())
    }

    fn write<'a>(&'a self, seen: &'a Seen) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            sleep(Duration::from_millis(1)).await;
            self.host.lock().marks.insert(self.engine, seen.clone());
            Ok(())
        })
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

/// Let go when it is dropped.
struct Held(Host, Engine);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().held.remove(&self.1);
    }
}

impl Guard for Host {
    fn take(&self, engine: Engine, _installation: Uuid) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let taken = self.lock().held.insert(engine);
        Ok(taken.then(|| Box::new(Held(self.clone(), engine)) as Box<dyn Send + Sync>))
    }

    fn place(&self, _engine: Engine, _installation: Uuid) -> String {
        "memory".to_owned()
    }
}
