//! What the machines that run use, told every five seconds. libvirt counts and tells no event of it, so it is looked at; a rate is
//! what two looks at one life of a machine differ by. Nothing is asked while no machine runs, and nothing is kept here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use orrery_contracts::figures::{MachineSample, MachineSamples, SAMPLE_SECONDS};
use orrery_contracts::{MachineId, subjects};
use orrery_queue::Broker;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::commands::LibvirtExecutor;
use crate::engine::{DomainRef, Figures, Hypervisor, Kind};

const EVERY: Duration = Duration::from_secs(SAMPLE_SECONDS as u64);
/// Two looks that are further apart tell nothing of now.
const APART: Duration = Duration::from_secs(4 * SAMPLE_SECONDS as u64);
/// How many machines one message tells of: far below what the broker takes.
const IN_ONE_MESSAGE: usize = 1000;

/// Looks at the machines that run, and tells what they use.
pub(crate) struct Sampler<E> {
    /// The engine, and which machines run.
    pub(crate) executor: LibvirtExecutor<E>,
    /// The broker.
    pub(crate) broker: Broker,
}

impl<E: Hypervisor> Sampler<E> {
    /// Tells until told to stop. A driver that is slow holds the other one not up.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let work = async { tokio::join!(self.follow(Kind::Vm), self.follow(Kind::Container)) };
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = work => {}
        }
    }

    async fn follow(&self, kind: Kind) {
        let mut running = self.executor.running.subscribe();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = Looks::default();
        while running.wait_for(|domains| domains.iter().any(|domain| domain.kind == kind)).await.is_ok() {
            ticks.tick().await;
            let domains: Vec<DomainRef> = running.borrow().iter().copied().filter(|domain| domain.kind == kind).collect();
            match self.executor.engine.figures(&domains).await {
                Ok(figures) => self.tell(&looks.next(Instant::now(), figures)).await,
                Err(error) => tracing::debug!("no figures of machines: {error}"),
            }
        }
    }

    async fn tell(&self, samples: &[MachineSample]) {
        for machines in samples.chunks(IN_ONE_MESSAGE) {
            let message = MachineSamples { host: self.executor.host.clone(), machines: machines.to_vec() };
            let body = serde_json::to_vec(&message).unwrap_or_default();
            self.broker.streams().tell(subjects::machine_samples(&self.executor.host), body).await;
        }
    }
}

/// The last look at each domain.
#[derive(Default)]
struct Looks(BTreeMap<DomainRef, Look>);

#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    figures: Figures,
}

impl Looks {
    /// What was used since the look before. What is not seen any more is forgotten.
    fn next(&mut self, at: Instant, figures: Vec<Figures>) -> Vec<MachineSample> {
        let before = std::mem::take(&mut self.0);
        self.0 = figures.into_iter().map(|figures| (figures.domain, Look { at, figures })).collect();
        self.0.iter().filter_map(|(domain, now)| between(before.get(domain)?, now)).collect()
    }
}

/// What two looks differ by; none where they are not of one life, or too far apart, or a count went back.
fn between(before: &Look, now: &Look) -> Option<MachineSample> {
    let elapsed = now.at.checked_duration_since(before.at).filter(|elapsed| *elapsed <= APART)?;
    let (old, new) = (&before.figures, &now.figures);
    let a_second = |old: u64, new: u64| rate(new.checked_sub(old)?, elapsed);
    if old.life != new.life {
        return None;
    }
    let disks = old.disks.zip(new.disks);
    Some(MachineSample {
        machine_id: MachineId::new(new.domain.uuid),
        cpus: new.vcpus,
        // Nanoseconds a second are thousand-millionths of a processor.
        cpu: a_second(old.cpu_time, new.cpu_time)? / 1_000_000,
        memory: new.memory,
        resident: new.resident,
        read: disks.and_then(|(old, new)| a_second(old.read, new.read)),
        written: disks.and_then(|(old, new)| a_second(old.written, new.written)),
        received: a_second(old.received, new.received)?,
        sent: a_second(old.sent, new.sent)?,
    })
}

fn rate(grown: u64, elapsed: Duration) -> Option<u64> {
    let a_second = u128::from(grown).checked_mul(1_000_000_000)?.checked_div(elapsed.as_nanos())?;
    u64::try_from(a_second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::DiskTraffic;

    fn figures(life: u32, count: u64) -> Figures {
        let domain = DomainRef::vm(uuid::Uuid::nil());
        let disks = Some(DiskTraffic { read: count, written: 2 * count });
        let (received, sent) = (3 * count, 4 * count);
        Figures { domain, life, cpu_time: count * 1_000_000, vcpus: 2, memory: 64, resident: 32, disks, received, sent }
    }

    /// What comes of looks at these seconds.
    fn told<const N: usize>(looks: [(u64, Figures); N]) -> Vec<Option<MachineSample>> {
        let (begun, mut known) = (Instant::now(), Looks::default());
        let look = |(second, figures)| known.next(begun + Duration::from_secs(second), vec![figures]).first().copied();
        looks.into_iter().map(look).collect()
    }

    #[test]
    fn a_rate_is_what_two_looks_differ_by_over_the_time_between_them() {
        let told = told([(0, figures(1, 0)), (5, figures(1, 10_000)), (15, figures(1, 30_000))]);
        assert_eq!(told[0], None, "one look tells no rate");
        let sample = told[1].unwrap();
        assert_eq!((sample.cpus, sample.cpu, sample.memory, sample.resident), (2, 2000, 64, 32), "both processors in full");
        assert_eq!((sample.read, sample.written, sample.received, sample.sent), (Some(2000), Some(4000), 6000, 8000));
        assert_eq!(told[2], Some(sample), "a look that was missed spreads over its time");
    }

    #[test]
    fn another_life_begins_from_nothing() {
        let told = told([(0, figures(1, 10)), (5, figures(2, 20_000)), (10, figures(2, 20_005))]);
        assert_eq!((told[1], told[2].unwrap().read), (None, Some(1)), "although the new one has counted further");
    }

    #[test]
    fn a_count_that_goes_back_tells_nothing_once() {
        let told = told([(0, figures(1, 10)), (5, figures(1, 5)), (10, figures(1, 10))]);
        assert_eq!((told[1], told[2].unwrap().received), (None, 3));
    }

    #[test]
    fn disks_that_nobody_counts_have_no_rates_and_spoil_none() {
        let blind = Figures { disks: None, ..figures(1, 10) };
        let told = told([(0, figures(1, 5)), (5, blind), (10, figures(1, 15)), (15, figures(1, 20))]);
        let disks: Vec<_> = told.iter().skip(1).map(|sample| sample.map(|sample| (sample.read, sample.received))).collect();
        assert_eq!(disks, [Some((None, 3)), Some((None, 3)), Some((Some(1), 3))]);
    }

    #[test]
    fn looks_at_one_instant_or_far_apart_tell_nothing() {
        let told = told([(0, figures(1, 0)), (0, figures(1, 5)), (21, figures(1, 10)), (26, figures(1, 15))]);
        assert_eq!((told[1], told[2]), (None, None));
        assert!(told[3].is_some());
    }

    #[test]
    fn who_was_gone_in_between_is_looked_at_anew() {
        let (begun, mut known) = (Instant::now(), Looks::default());
        let mut look = |second, figures| known.next(begun + Duration::from_secs(second), figures).len();
        assert_eq!(
            [look(0, vec![figures(1, 0)]), look(5, vec![]), look(10, vec![figures(1, 9)]), look(15, vec![figures(1, 9)])],
            [0, 0, 0, 1]
        );
    }
}
