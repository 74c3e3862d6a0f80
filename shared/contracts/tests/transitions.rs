//! The state machine of a command, as a table that a person can read: every state, every change, for the right attempt
//! and run, for a stale one, and for one ahead.

use std::fmt::Write as _;

use orrery_contracts::{Change, CommandState, Digest, Failure, Time, TransitionMessage};

fn failure() -> Failure {
    Failure { code: "engine".into(), message: "it broke".into(), step: None }
}

fn states() -> Vec<CommandState> {
    vec![
        CommandState::Pending { attempt: 2 },
        CommandState::Running { attempt: 2, run: 3 },
        CommandState::Done { attempt: 2, run: 3 },
        CommandState::Failed { attempt: 2, run: 3, failure: failure() },
        CommandState::Cancelled { attempt: 2, reason: "by anna".into(), failure: None },
    ]
}

fn changes() -> Vec<Change> {
    vec![
        Change::Pending {},
        Change::Running { deadline_seconds: None },
        Change::Done { summary: "done".into() },
        Change::Failed { failure: failure() },
        Change::Cancelled { reason: "by anna".into() },
    ]
}

fn message(attempt: u32, run: u32, change: Change) -> TransitionMessage {
    let at = Time::parse("2026-01-01T00:00:00Z").unwrap_or_else(|error| panic!("{error}"));
    let event_id = uuid::Uuid::nil();
    TransitionMessage { event_id, seq: 1, command_sha256: Digest::of(b"x"), attempt, run, at, by: "somebody".into(), change }
}

fn word(state: &CommandState) -> String {
    match state {
        CommandState::Pending { attempt } => format!("PENDING {attempt}"),
        CommandState::Running { attempt, run } => format!("RUNNING {attempt}.{run}"),
        CommandState::Done { attempt, run } => format!("DONE {attempt}.{run}"),
        CommandState::Failed { attempt, run, .. } => format!("FAILED {attempt}.{run}"),
        CommandState::Cancelled { attempt, failure: Some(_), .. } => format!("CANCELLED {attempt} with its error"),
        CommandState::Cancelled { attempt, failure: None, .. } => format!("CANCELLED {attempt}"),
    }
}

#[test]
fn the_table_of_all_states_and_changes() {
    let mut table = String::new();
    for state in states() {
        for change in changes() {
            for (attempt, run) in [(1, 3), (2, 0), (2, 1), (2, 2), (2, 3), (2, 4), (3, 0), (3, 1)] {
                let message = message(attempt, run, change.clone());
                if let Ok(next) = state.clone().apply(&message) {
                    let _ = writeln!(table, "{:<14} + {:<9} of {attempt}.{run} -> {}", word(&state), change.status().as_str(), word(&next));
                }
            }
        }
        let _ = writeln!(table, "{:<14} + anything else -> refused", word(&state));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn nothing_follows_an_end() {
    for state in states().into_iter().filter(|state| state.status().has_ended()) {
        for change in changes() {
            for (attempt, run) in (0..5).flat_map(|attempt| (0..5).map(move |run| (attempt, run))) {
                assert!(state.clone().apply(&message(attempt, run, change.clone())).is_err());
            }
        }
    }
}
