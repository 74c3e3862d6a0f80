//! A container that had failed takes its log with it when it goes; so its last lines are kept in the step that removes it.

use orrery_contracts::Health;

use super::ledger::Ledger;
use super::site::{Halt, Site};
use crate::engine::{Act, Engine, Seen, State};

/// How a container has failed, as the end of a sentence about it. The exit code of one that was stopped says nothing.
pub(super) fn failure(seen: &Seen, stopped: bool) -> Option<String> {
    let code = seen.exit_code;
    let fell = match seen.state {
        State::Exited | State::Dead if stopped || code == 0 => None,
        State::Exited | State::Dead => Some(format!("had ended with exit code {code}")),
        State::Restarting if code == 0 => None,
        State::Restarting => Some(format!("kept falling (last exit code {code})")),
        // An engine calls whatever does not run unhealthy.
        State::Running | State::Paused if seen.health == Health::Unhealthy => Some("was unhealthy".to_owned()),
        State::Running | State::Paused if seen.restarts > 0 => {
            Some(format!("was started again {} times after it had ended", seen.restarts))
        }
        State::Created | State::Running | State::Paused => None,
    };
    match (fell, seen.oom_killed) {
        (Some(fell), true) => Some(format!("{fell}, killed for want of memory")),
        (None, true) => Some("had lost a process for want of memory".to_owned()),
        (fell, false) => fell,
    }
}

/// The end of a container that had failed.
pub(super) struct Farewell {
    /// How it had failed.
    pub(super) how: String,
    /// Its last lines.
    pub(super) log: Vec<u8>,
}

impl Farewell {
    /// What the step that removes it says.
    pub(super) fn words(&self) -> String {
        let kept = if self.log.is_empty() { "" } else { "; its last lines are kept" };
        format!("it {}{kept}", self.how)
    }
}

impl<E: Engine, L: Ledger> Site<'_, E, L> {
    /// What is kept of a container that goes; none of one that had not failed, or whose gate has kept it already.
    pub(super) async fn farewell(&self, seen: &Seen, failed: Option<String>) -> Option<Farewell> {
        let how = failed.filter(|_| !self.has_kept(&seen.id))?;
        let (log, _) = self.last_words(&seen.id, seen.health == Health::Unhealthy).await;
        Some(Farewell { how, log })
    }

    /// Removes a container, without its volumes.
    pub(super) async fn remove(&self, seen: &Seen, failed: Option<String>) -> Result<(), Halt> {
        let farewell = self.farewell(seen, failed).await;
        self.act_with(&seen.name, Act::Remove { id: seen.id.clone(), volumes: false }, farewell).await.map(drop)
    }

    /// Removes a container where there is no way back any more, with its anonymous volumes when told.
    pub(super) async fn remove_with(&self, seen: &Seen, failed: Option<String>, volumes: bool) -> Result<(), Halt> {
        let farewell = self.farewell(seen, failed).await;
        self.step(&seen.name, Act::Remove { id: seen.id.clone(), volumes }, true, farewell).await.map(drop)
    }

    /// Removes a container on the way back, or where there is none any more.
    pub(super) async fn remove_back(&self, seen: &Seen, failed: Option<String>) -> Result<(), Halt> {
        self.remove_with(seen, failed, false).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: State, exit_code: i64) -> Seen {
        Seen {
            id: "c1".into(),
            name: "shop-web-1".into(),
            service: "web".into(),
            number: 1,
            command: 1,
            version: 1,
            facts: crate::definition::Facts::default(),
            lacks: Vec::new(),
            state,
            health: Health::None,
            exit_code,
            restarts: 0,
            oom_killed: false,
            ports: Vec::new(),
            anonymous: Vec::new(),
            joins: Vec::new(),
            depends_on: String::new(),
        }
    }

    #[test]
    fn what_ended_by_itself_with_an_error_has_failed_and_what_was_stopped_has_not() {
        assert_eq!(failure(&seen(State::Exited, 3), false).as_deref(), Some("had ended with exit code 3"));
        assert_eq!(failure(&seen(State::Exited, 143), true), None);
        assert_eq!(failure(&seen(State::Exited, 0), false), None);
        assert_eq!(failure(&seen(State::Created, 0), false), None);
    }

    #[test]
    fn only_what_runs_can_be_unhealthy() {
        let sick = |state| Seen { health: Health::Unhealthy, ..seen(state, 0) };
        assert_eq!(failure(&sick(State::Running), false).as_deref(), Some("was unhealthy"));
        assert_eq!(failure(&sick(State::Exited), true), None);
    }

    #[test]
    fn what_the_engine_starts_again_and_again_has_failed_whenever_it_is_looked_at() {
        let again = |state, code| Seen { restarts: 4, ..seen(state, code) };
        assert_eq!(failure(&again(State::Restarting, 1), false).as_deref(), Some("kept falling (last exit code 1)"));
        assert_eq!(failure(&again(State::Running, 0), false).as_deref(), Some("was started again 4 times after it had ended"));
    }

    #[test]
    fn want_of_memory_is_named() {
        let killed = |state, code| Seen { oom_killed: true, ..seen(state, code) };
        let ended = failure(&killed(State::Exited, 137), false);
        assert_eq!(ended.as_deref(), Some("had ended with exit code 137, killed for want of memory"));
        assert_eq!(failure(&killed(State::Running, 0), false).as_deref(), Some("had lost a process for want of memory"));
    }
}
