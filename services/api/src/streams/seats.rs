//! How many consoles and screens may be open at once: each holds a stream of an executor, and one person looks at few.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use orrery_contracts::Code;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// How many one user may have open.
pub const OF_ONE: usize = 16;
/// How many all together may have open.
pub const IN_ALL: usize = 128;

/// Who sits where.
#[derive(Default)]
pub struct Seats {
    taken: Mutex<HashMap<Uuid, usize>>,
    all: TaskTracker,
}

impl Seats {
    /// Waits until everybody has left; nobody is expected any more.
    pub async fn left(&self) {
        self.all.close();
        self.all.wait().await;
    }
}

/// A place, given back when it is dropped.
pub(super) struct Seat {
    api: Api,
    user: Uuid,
    _open: TaskTrackerToken,
}

impl Seat {
    /// Takes one.
    ///
    /// # Errors
    /// 429 when there is none.
    pub(super) fn take(api: &Api, user: Uuid) -> Answer<Self> {
        let mut taken = api.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, all) = (taken.get(&user).copied().unwrap_or_default(), taken.values().sum::<usize>());
        if own >= OF_ONE {
            return Err(Refusal::new(Code::QuotaExceeded, format!("you have {own} consoles and screens open; close some")));
        }
        if all >= IN_ALL {
            return Err(Refusal::new(Code::QuotaExceeded, format!("{all} consoles and screens are open; come back later")));
        }
        taken.insert(user, own.saturating_add(1));
        Ok(Self { api: api.clone(), user, _open: api.seats.all.token() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.api.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get(&self.user).copied() {
            Some(own) if own > 1 => drop(taken.insert(self.user, own.saturating_sub(1))),
            Some(_) | None => drop(taken.remove(&self.user)),
        }
    }
}
