//! Simulated histories: a bounded sample of them, the controls that must be found, and the proof that a seed is a history.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::time::Instant;

use orrery_simulation::{Control, Plan, Report};

/// Faults last so many steps in one history.
const STEPS: u64 = 4_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn history(seed: u64, control: Control) -> Report {
    Plan { seed, steps: STEPS, control, tell: false }.run().unwrap()
}

#[test]
fn no_promise_is_broken_in_a_million_steps() {
    if let Some(seed) = number("ORRERY_SIMULATION_SEED") {
        let report = Plan { seed, steps: STEPS, control: Control::None, tell: true }.run().unwrap();
        println!("{}", report.story.join("\n"));
        println!("{:?}", Report { story: Vec::new(), ..report.clone() });
        assert_eq!(report.broken, None);
        return;
    }
    let wanted = number("ORRERY_SIMULATION_STEPS").unwrap_or(1_000_000);
    let first = number("ORRERY_SIMULATION_FROM").unwrap_or_else(|| u64::from(std::process::id()) << 20);
    println!("seeds from {first} on; one of them again: ORRERY_SIMULATION_SEED=<seed> cargo test -p orrery-simulation");
    let (began, mut sums, mut seed) = (Instant::now(), [0_u64; 8], first);
    while sums[0] < wanted {
        let report = history(seed, Control::None);
        assert_eq!(report.broken, None, "seed {seed}: {report:?}");
        let Report { steps, commands, done, kills, freezes, cuts, rivals, overtaken, .. } = report;
        for (sum, more) in sums.iter_mut().zip([steps, commands, done, kills, freezes, cuts, rivals, overtaken]) {
            *sum += more;
        }
        seed += 1;
    }
    let [steps, commands, done, kills, freezes, cuts, rivals, overtaken] = sums;
    let (histories, seconds) = (seed - first, began.elapsed().as_secs_f64());
    println!(
        "{steps} steps in {histories} histories, {seconds:.0} s: {commands} commands, {done} of them done; {kills} kills, \
         {freezes} freezes, {cuts} cuts, {rivals} rivals, {overtaken} overtaken"
    );
    assert!(commands > 1000 && done * 3 > commands && kills > 100 && cuts > 100 && rivals > 100 && overtaken > 10, "nothing was tried");
}

#[test]
fn a_seed_is_a_history() {
    for seed in 0..20 {
        assert_eq!(history(seed, Control::None), history(seed, Control::None));
    }
    assert_ne!(history(1, Control::None).trace, history(2, Control::None).trace);
}

#[test]
fn an_executor_without_the_check_of_transitions_is_found() {
    let found = (0..200).map(|seed| history(seed, Control::Unchecked)).find_map(|report| report.broken);
    assert!(found.is_some(), "two hundred histories without compare-and-set broke no promise");
}

#[test]
fn an_executor_that_does_not_look_at_started_steps_is_found() {
    let found = (0..200).map(|seed| history(seed, Control::Blind)).find_map(|report| report.broken);
    assert!(found.is_some_and(|broken| broken.contains("is made again")), "what was begun was made again, and nobody noticed");
}
