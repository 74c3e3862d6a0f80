//! What the step log of a command says about the runs before: which steps they left, and where they died. Pure.

use std::collections::{BTreeMap, BTreeSet};

use orrery_contracts::{StepEntry, StepMessage};

use crate::executor::{StepRecord, StepState};

/// A run that dies in the same place for the third time is the last one.
pub const DEATHS_IN_ONE_PLACE: usize = 3;

/// The step log of one command, as it was read.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The entries that can be read, in order, of all attempts.
    pub entries: Vec<StepMessage>,
    /// The sequence of the last message on the subject; 0 for none.
    pub last: u64,
}

/// Where a run died.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Before its first step.
    Beginning,
    /// In a step: its action and subject.
    In(String, String),
    /// Between two steps, behind this one.
    Behind(String, String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Beginning => f.write_str("before its first step"),
            Self::In(action, subject) => write!(f, "in the step {action} {subject}"),
            Self::Behind(action, subject) => write!(f, "after the step {action} {subject}"),
        }
    }
}

impl History {
    /// The steps of an attempt, in the order of their numbers.
    #[must_use]
    pub fn steps(&self, attempt: u32) -> Vec<StepRecord> {
        let mut steps: BTreeMap<u32, StepRecord> = BTreeMap::new();
        for message in self.of(attempt) {
            match &message.entry {
                StepEntry::Started { action, subject, plan } => {
                    let (n, run) = (message.n, message.run);
                    let state = StepState::Open;
                    steps.insert(n, StepRecord { n, run, action: action.clone(), subject: subject.clone(), plan: *plan, state });
                }
                StepEntry::Ended { outcome, output, .. } => {
                    if let Some(step) = steps.get_mut(&message.n) {
                        step.state = StepState::Ended { outcome: *outcome, output: output.clone() };
                    }
                }
                StepEntry::Opened { .. } | StepEntry::Planned { .. } | StepEntry::Closed { .. } => {}
            }
        }
        steps.into_values().collect()
    }

    /// The newest run that wrote, with its attempt.
    #[must_use]
    pub fn newest(&self) -> Option<(u32, u32)> {
        self.entries.iter().map(|message| (message.attempt, message.run)).max()
    }

    /// The number of the next step of an attempt.
    #[must_use]
    pub fn next_step(&self, attempt: u32) -> u32 {
        self.of(attempt).map(|message| message.n).max().unwrap_or(0).saturating_add(1)
    }

    /// Whether an attempt began any step.
    #[must_use]
    pub fn has_begun(&self, attempt: u32) -> bool {
        self.of(attempt).any(|message| message.n > 0)
    }

    /// The place in which the runs of an attempt, all of them over, have died too often; and whether the way back has been
    /// tried since, and killed them as well.
    #[must_use]
    pub fn dies_in(&self, attempt: u32, runs: u32) -> Option<(Place, bool)> {
        let mut deaths: BTreeMap<Place, usize> = BTreeMap::new();
        for run in 1..=runs {
            for place in self.death(attempt, run) {
                let count = deaths.entry(place).or_default();
                *count = count.saturating_add(1);
            }
        }
        let mut deadly = deaths.into_iter().filter(|(_, count)| *count >= DEATHS_IN_ONE_PLACE);
        let (place, count) = deadly.next()?;
        let hopeless = deadly.next().is_some() || count >= DEATHS_IN_ONE_PLACE.saturating_mul(2);
        Some((place, hopeless))
    }

    /// Where one run died: in every step that it left open. Nowhere, when it was closed in good order.
    fn death(&self, attempt: u32, run: u32) -> BTreeSet<Place> {
        let mut open: BTreeMap<u32, (String, String)> = BTreeMap::new();
        let mut behind = Place::Beginning;
        for message in self.of(attempt).filter(|message| message.run == run) {
            match &message.entry {
                StepEntry::Started { action, subject, .. } => {
                    open.insert(message.n, (action.clone(), subject.clone()));
                }
                StepEntry::Ended { .. } => {
                    if let Some((action, subject)) = open.remove(&message.n) {
                        behind = Place::Behind(action, subject);
                    }
                }
                StepEntry::Closed { .. } => return BTreeSet::new(),
                StepEntry::Opened { .. } | StepEntry::Planned { .. } => {}
            }
        }
        if open.is_empty() {
            return BTreeSet::from([behind]);
        }
        open.into_values().map(|(action, subject)| Place::In(action, subject)).collect()
    }

    fn of(&self, attempt: u32) -> impl Iterator<Item = &StepMessage> {
        self.entries.iter().filter(move |message| message.attempt == attempt)
    }
}

#[cfg(test)]
mod tests {
    use orrery_contracts::{StepOutcome, Time};
    use uuid::Uuid;

    use super::*;

    fn entry(run: u32, n: u32, entry: StepEntry) -> StepMessage {
        let at = Time::parse("2026-01-01T00:00:00Z").unwrap();
        StepMessage { event_id: Uuid::nil(), seq: 1, attempt: 1, run, n, at, entry }
    }

    fn started(run: u32, n: u32, subject: &str) -> StepMessage {
        entry(run, n, StepEntry::Started { action: "build".into(), subject: subject.into(), plan: None })
    }

    fn ended(run: u32, n: u32) -> StepMessage {
        entry(run, n, StepEntry::Ended { outcome: StepOutcome::Done, detail: String::new(), output: None, log: None })
    }

    fn history(entries: Vec<StepMessage>) -> History {
        History { entries, last: 99 }
    }

    #[test]
    fn the_third_death_in_one_step_is_noticed_whatever_lies_between() {
        let two = vec![started(1, 1, "web"), started(2, 2, "web"), ended(2, 2), started(2, 3, "db"), started(3, 4, "web")];
        assert_eq!(history(two.clone()).dies_in(1, 3), None);
        let three = [two, vec![started(4, 5, "web")]].concat();
        assert_eq!(history(three).dies_in(1, 4), Some((Place::In("build".into(), "web".into()), false)));
    }

    #[test]
    fn runs_that_die_before_they_write_anything_count_too() {
        assert_eq!(history(vec![]).dies_in(1, 2), None);
        assert_eq!(history(vec![]).dies_in(1, 3), Some((Place::Beginning, false)));
        assert_eq!(history(vec![]).dies_in(1, 6), Some((Place::Beginning, true)), "nor was there a way back");
    }

    #[test]
    fn progress_between_deaths_is_no_loop_and_a_closed_run_has_not_died() {
        let moving = vec![started(1, 1, "a"), ended(1, 1), started(2, 2, "b"), ended(2, 2), started(3, 3, "c"), ended(3, 3)];
        assert_eq!(history(moving).dies_in(1, 3), None);
        let closed = |run| entry(run, 0, StepEntry::Closed { why: "shutdown".into() });
        assert_eq!(history(vec![closed(1), closed(2), closed(3)]).dies_in(1, 3), None);
    }

    #[test]
    fn a_step_ended_by_a_later_run_is_no_longer_open() {
        let steps = history(vec![started(1, 1, "a"), started(1, 2, "b"), ended(2, 1)]).steps(1);
        assert!(matches!(steps[0].state, StepState::Ended { .. }));
        assert_eq!(steps[1].state, StepState::Open);
    }
}
