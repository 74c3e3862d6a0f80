//! Many histories, one seed after another: how tests and the soak run them, and how one of them is looked at again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::cast::Cast;
use crate::history::{Control, Plan, Report};

/// What many histories came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many histories.
    pub histories: u64,
    /// Their steps.
    pub steps: u64,
    /// Commands accepted.
    pub commands: u64,
    /// Commands that ended well.
    pub done: u64,
    /// Processes killed.
    pub kills: u64,
    /// Processes frozen.
    pub freezes: u64,
    /// Connections cut.
    pub cuts: u64,
    /// Executors started beside another.
    pub rivals: u64,
    /// Executors that left because they were overtaken.
    pub overtaken: u64,
    /// Answers of an engine that were lost after it had done what was asked.
    pub lost: u64,
}

impl Sums {
    fn add(&mut self, more: &Self) {
        let Self { histories, steps, commands, done, kills, freezes, cuts, rivals, overtaken, lost } = more;
        for (sum, more) in [
            (&mut self.histories, histories),
            (&mut self.steps, steps),
            (&mut self.commands, commands),
            (&mut self.done, done),
            (&mut self.kills, kills),
            (&mut self.freezes, freezes),
            (&mut self.cuts, cuts),
            (&mut self.rivals, rivals),
            (&mut self.overtaken, overtaken),
            (&mut self.lost, lost),
        ] {
            *sum = sum.saturating_add(*more);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Simulates histories until so many steps were made (`ORRERY_SOAK_STEPS` says another number, and uses every processor),
/// with seeds from `ORRERY_SEED` on. `ORRERY_HISTORY` names one seed, whose whole story is told instead: then there are no sums.
///
/// # Panics
/// When a promise is broken: it says which, and the seed.
pub fn sweep<C: Cast>(name: &str, cast: &C, steps: u64, usual: u64) -> Option<Sums> {
    if let Some(seed) = number("ORRERY_HISTORY") {
        let report = history(cast, seed, steps, true);
        println!("{}", report.story.join("\n"));
        assert_eq!(report.broken, None, "seed {seed}");
        return None;
    }
    let first = number("ORRERY_SEED").unwrap_or(1);
    let (wanted, threads) = match number("ORRERY_SOAK_STEPS") {
        Some(steps) => (steps, std::thread::available_parallelism().map_or(1, usize::from)),
        None => (usual, 1),
    };
    println!("{name}: seeds from {first} on; ORRERY_HISTORY=<seed> tells one of them");
    let (began, next, sums) = (Instant::now(), AtomicU64::new(first), Mutex::new(Sums::default()));
    let locked = || sums.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while locked().steps < wanted {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let report = history(cast, seed, steps, false);
                    assert_eq!(report.broken, None, "ORRERY_HISTORY={seed}: {report:?}");
                    locked().add(&report.sums);
                }
            });
        }
    });
    let sums = *locked();
    let Sums { histories, steps, commands, done, kills, freezes, cuts, rivals, overtaken, lost } = sums;
    let seconds = began.elapsed().as_secs_f64();
    println!("{name}: {steps} steps in {histories} histories, {seconds:.0} s; no promise was broken");
    println!("{name}: {commands} commands, {done} of them done");
    println!(
        "{name}: {kills} kills, {freezes} freezes, {cuts} cuts, {lost} lost answers of an engine, {rivals} rivals, {overtaken} executors that were overtaken and left"
    );
    Some(sums)
}

fn history<C: Cast>(cast: &C, seed: u64, steps: u64, tell: bool) -> Report {
    match (Plan { seed, steps, control: Control::None, tell }).run(cast) {
        Ok(report) => report,
        Err(error) => panic!("no runtime can be made: {error}"),
    }
}
