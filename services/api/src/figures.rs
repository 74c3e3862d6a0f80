//! What machines use: heard on the broker, kept for a quarter of an hour, lost with the process. Whoever listens to `GET /events`
//! is told when there is more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use orrery_contracts::figures::{MachineSample, MachineSamples, SAMPLE_SECONDS, WINDOW_SECONDS};
use orrery_contracts::{MachineId, Time, subjects};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::state::Api;

const WINDOW: Duration = Duration::from_secs(WINDOW_SECONDS as u64);
/// So many samples a machine, however often they come.
const KEPT: usize = (WINDOW_SECONDS / SAMPLE_SECONDS) as usize;

/// The samples of every machine that were heard within the window.
#[derive(Default)]
pub struct Figures {
    heard: Mutex<BTreeMap<MachineId, VecDeque<Heard>>>,
    news: watch::Sender<()>,
}

struct Heard {
    when: Instant,
    at: Time,
    sample: MachineSample,
}

impl Figures {
    /// Takes down what machines use now. `at` is for people, `when` for the window: a clock that is set turns nothing back.
    fn hear(&self, samples: Vec<MachineSample>, when: Instant, at: Time) {
        let mut heard = self.lock();
        for sample in samples {
            let of_machine = heard.entry(sample.machine_id).or_default();
            of_machine.push_back(Heard { when, at, sample });
            if of_machine.len() > KEPT {
                of_machine.pop_front();
            }
        }
        heard.retain(|_, of_machine| of_machine.back().is_some_and(|last| is_within(last, when)));
        drop(heard);
        self.news.send_replace(());
    }

    /// What a machine used within the window, the oldest first.
    pub(crate) fn of(&self, id: MachineId, now: Instant) -> Vec<(Time, MachineSample)> {
        let heard = self.lock();
        let of_machine = heard.get(&id).into_iter().flatten();
        of_machine.filter(|heard| is_within(heard, now)).map(|heard| (heard.at, heard.sample)).collect()
    }

    /// Says when there is more.
    pub(crate) fn follow(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MachineId, VecDeque<Heard>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_within(heard: &Heard, now: Instant) -> bool {
    now.saturating_duration_since(heard.when) < WINDOW
}

/// Listens until the end of the process.
pub(crate) async fn listen(api: Api) {
    let heard = async {
        let Ok(mut messages) = api.broker.client().subscribe(subjects::ALL_MACHINE_SAMPLES).await else { return };
        while let Some(message) = messages.next().await {
            match serde_json::from_slice::<MachineSamples>(&message.payload) {
                Ok(told) => api.figures.hear(told.machines, Instant::now(), OffsetDateTime::now_utc().into()),
                Err(error) => tracing::warn!(subject = %message.subject, "figures of machines cannot be read: {error}"),
            }
        }
    };
    tokio::select! {
        () = api.ending.cancelled() => {}
        () = heard => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(id: u128, cpu: u64) -> MachineSample {
        let machine_id = MachineId::new(uuid::Uuid::from_u128(id));
        MachineSample { machine_id, cpus: 1, cpu, memory: 1, resident: 1, read: None, written: None, received: 0, sent: 0 }
    }

    /// What is known of a machine at this second.
    fn known(figures: &Figures, id: u128, begun: Instant, second: u64) -> Vec<u64> {
        let of_machine = figures.of(sample(id, 0).machine_id, begun + Duration::from_secs(second));
        of_machine.into_iter().map(|(_, sample)| sample.cpu).collect()
    }

    #[test]
    fn samples_are_kept_as_long_as_the_window_and_no_more_of_them_than_it_has_room_for() {
        let (figures, begun, at) = (Figures::default(), Instant::now(), OffsetDateTime::UNIX_EPOCH.into());
        let hear = |second, sample| figures.hear(vec![sample], begun + Duration::from_secs(second), at);
        hear(0, sample(1, 1));
        hear(5, sample(1, 2));
        hear(5, sample(2, 3));
        assert_eq!((known(&figures, 1, begun, 6), known(&figures, 2, begun, 6)), (vec![1, 2], vec![3]));
        assert_eq!(known(&figures, 1, begun, 902), [2], "what is older than the window is not told");
        hear(910, sample(1, 4));
        assert_eq!(figures.lock().len(), 1, "nothing is left of a machine that has been silent for as long");
        for n in 0..1000 {
            hear(911, sample(1, n));
        }
        assert_eq!(known(&figures, 1, begun, 911).len(), KEPT);
    }
}
