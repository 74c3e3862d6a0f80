//! When a container is as it should be, decided from one look at it. Pure; waiting for the next look is the engine's.

use std::time::Duration;

use orrery_contracts::Health;

use super::observed::State;

/// How often a container may fall and be started again before that is taken for its nature.
const RESTARTS_ALLOWED: i64 = 3;

/// The code of a container that ended.
pub const EXITED: &str = "exited";
/// The code of a container that its own health check gives up.
pub const UNHEALTHY: &str = "unhealthy";

/// What to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// It is fit for use: healthy where it has a health check, else up for so long without falling.
    Ready {
        /// How long it must stay up without a health check.
        stable: Duration,
        /// Ending with exit code 0 is as good.
        may_finish: bool,
    },
    /// It runs.
    Running,
    /// It has ended with exit code 0.
    Finished,
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be.
    Met,
    /// It never will be.
    Failed {
        /// A stable code: `unhealthy`, `exited`, `restarting`.
        code: &'static str,
        /// What happened, as the end of a sentence about the container.
        why: String,
    },
}

/// One look at a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// What it does.
    pub state: State,
    /// What its health check says.
    pub health: Health,
    /// The exit code, once it has ended.
    pub exit_code: i64,
    /// How often it was started again since the wait began.
    pub restarts: i64,
    /// How long it has been up.
    pub up: Duration,
}

/// What a look says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The wait is over.
    Over(Outcome),
    /// Look again when something happens, or after this time.
    Later(Option<Duration>),
}

/// Decides whether a wait is over.
#[must_use]
pub fn judge(until: &Until, now: &Glimpse) -> Verdict {
    if now.restarts >= RESTARTS_ALLOWED {
        return failed("restarting", format!("keeps falling (last exit code {})", now.exit_code));
    }
    match (until, now.state) {
        (Until::Ready { may_finish: true, .. } | Until::Finished, State::Exited) if now.exit_code == 0 => Verdict::Over(Outcome::Met),
        (_, State::Exited) => failed(EXITED, format!("ended with exit code {}", now.exit_code)),
        (_, State::Dead) => failed(EXITED, "is being removed".to_owned()),
        (_, State::Created | State::Restarting) => Verdict::Later(None),
        (Until::Running, State::Running | State::Paused) => Verdict::Over(Outcome::Met),
        (Until::Finished, State::Running | State::Paused) => Verdict::Later(None),
        (Until::Ready { stable, .. }, State::Running | State::Paused) => match now.health {
            Health::Healthy => Verdict::Over(Outcome::Met),
            Health::Unhealthy => failed(UNHEALTHY, "is unhealthy".to_owned()),
            Health::Starting => Verdict::Later(None),
            Health::None if now.up >= *stable => Verdict::Over(Outcome::Met),
            Health::None => Verdict::Later(Some(stable.saturating_sub(now.up))),
        },
    }
}

fn failed(code: &'static str, why: String) -> Verdict {
    Verdict::Over(Outcome::Failed { code, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STABLE: Duration = Duration::from_millis(500);

    fn look(state: State, health: Health) -> Glimpse {
        Glimpse { state, health, exit_code: 0, restarts: 0, up: Duration::ZERO }
    }

    #[test]
    fn with_a_health_check_only_healthy_opens_the_gate() {
        let ready = Until::Ready { stable: STABLE, may_finish: false };
        let old = Glimpse { up: Duration::from_secs(60), ..look(State::Running, Health::Starting) };
        assert_eq!(judge(&ready, &old), Verdict::Later(None));
        assert_eq!(judge(&ready, &look(State::Running, Health::Healthy)), Verdict::Over(Outcome::Met));
        assert!(matches!(
            judge(&ready, &look(State::Running, Health::Unhealthy)),
            Verdict::Over(Outcome::Failed { code: "unhealthy", .. })
        ));
    }

    #[test]
    fn without_one_it_must_stay_up_for_a_while() {
        let ready = Until::Ready { stable: STABLE, may_finish: false };
        assert_eq!(judge(&ready, &look(State::Running, Health::None)), Verdict::Later(Some(STABLE)));
        let up = Glimpse { up: STABLE, ..look(State::Running, Health::None) };
        assert_eq!(judge(&ready, &up), Verdict::Over(Outcome::Met));
        assert!(matches!(judge(&ready, &look(State::Exited, Health::None)), Verdict::Over(Outcome::Failed { code: "exited", .. })));
    }

    #[test]
    fn a_one_shot_may_end_and_must_end_well() {
        let ready = Until::Ready { stable: STABLE, may_finish: true };
        assert_eq!(judge(&ready, &look(State::Exited, Health::None)), Verdict::Over(Outcome::Met));
        assert_eq!(judge(&Until::Finished, &look(State::Running, Health::None)), Verdict::Later(None));
        let bad = Glimpse { exit_code: 3, ..look(State::Exited, Health::None) };
        assert!(matches!(judge(&Until::Finished, &bad), Verdict::Over(Outcome::Failed { .. })));
    }

    #[test]
    fn what_keeps_falling_has_failed() {
        let ready = Until::Ready { stable: STABLE, may_finish: false };
        let falling = Glimpse { restarts: 3, exit_code: 1, ..look(State::Restarting, Health::None) };
        assert!(matches!(judge(&ready, &falling), Verdict::Over(Outcome::Failed { code: "restarting", .. })));
    }
}
