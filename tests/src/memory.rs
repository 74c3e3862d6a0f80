//! How much memory processes hold, as the kernel counts it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;

use crate::installation::Installation;
use crate::service::Service;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// The resident memory of a process in KiB.
///
/// # Errors
/// When there is no such process.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("read the status of process {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).with_context(|| format!("process {pid} holds no memory"))?;
    line.trim().trim_end_matches(" kB").parse().with_context(|| format!("VmRSS of process {pid}: {line}"))
}

/// The memory in KiB that a process shares with no other, as far as it is no file's: of a server that shares its pages with all
/// its children, what each of them has for itself. Nothing of one that has ended.
#[must_use]
pub fn own(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// What one process held, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// When the watch began.
    pub before: u64,
    /// The most of all looks.
    pub most: u64,
    /// The last look.
    pub after: u64,
}

/// Looks at the services and the broker of an installation again and again.
#[derive(Debug)]
pub struct Watch {
    held: Arc<Mutex<BTreeMap<&'static str, Held>>>,
    looking: JoinHandle<()>,
}

impl Watch {
    /// Begins.
    ///
    /// # Errors
    /// When one of them does not run.
    pub fn start(orrery: &Installation) -> anyhow::Result<Self> {
        let mut pids = vec![("nats-server", orrery.broker.pid())];
        pids.extend(Service::ALL.map(|service| (service.name(), orrery.pid(service))));
        let mut watched = BTreeMap::new();
        let held = Arc::new(Mutex::new(BTreeMap::new()));
        for (name, pid) in pids {
            let pid = pid.with_context(|| format!("{name} does not run"))?;
            let now = resident(pid)?;
            watched.insert(name, pid);
            held.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Held { before: now, most: now, after: now });
        }
        let told = Arc::clone(&held);
        let looking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                for (name, pid) in &watched {
                    let Ok(now) = resident(*pid) else { continue };
                    if let Some(held) = told.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name) {
                        *held = Held { most: held.most.max(now), after: now, ..*held };
                    }
                }
            }
        });
        Ok(Self { held, looking })
    }

    /// What each held so far, by name.
    #[must_use]
    pub fn held(&self) -> BTreeMap<&'static str, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}
