//! Simulated histories: a bounded sample of them, the controls that must be found, and the proof that a seed is a history.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use orrery_simulation::{Control, Plan, Report, Toys, sweep};

/// Faults last so many steps in one history.
const STEPS: u64 = 4_000;

fn history(seed: u64, control: Control) -> Report {
    Plan { seed, steps: STEPS, control, tell: false }.run(&Toys).unwrap()
}

#[test]
fn no_promise_is_broken_in_a_million_steps() {
    let Some(sums) = sweep("histories", &Toys, STEPS, 1_000_000) else { return };
    assert!(
        sums.kills > 100 && sums.cuts > 100 && sums.rivals > 100 && sums.overtaken > 10 && sums.lost > 20,
        "nothing was tried: {sums:?}"
    );
    assert!(sums.commands > 1000 && sums.done * 4 > sums.commands, "nothing was done: {sums:?}");
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

#[test]
fn an_executor_that_repeats_what_got_no_answer_is_found() {
    let found = (0..200).map(|seed| history(seed, Control::Hasty)).find_map(|report| report.broken);
    assert!(found.is_some_and(|broken| broken.contains("by the same run")), "one run made something twice, and nobody noticed");
}
