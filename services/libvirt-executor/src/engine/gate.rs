//! When a domain is as it should be, decided from one look at it. Pure; waiting for the next look is the engine's.

use super::observed::State;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It runs.
    Running,
    /// It does not run.
    Off,
    /// Somebody knows an address of it.
    Addressed,
    /// The agent in the guest answers.
    Answering,
}

impl Until {
    /// What is the case when it was waited for in vain.
    #[must_use]
    pub const fn in_vain(self) -> &'static str {
        match self {
            Self::Running => "it does not run",
            Self::Off => "it has not ended",
            Self::Addressed => "it has no address",
            Self::Answering => "its agent does not answer",
        }
    }
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be.
    Met,
    /// The deadline came first.
    Late,
    /// It never will be.
    Failed {
        /// A stable code: `crashed`, `stopped`.
        code: &'static str,
        /// What happened, as the end of a sentence about the domain.
        why: String,
    },
}

/// One look at a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// What it does.
    pub state: State,
    /// Why, in a word.
    pub reason: &'static str,
    /// Whether an address is known.
    pub addressed: bool,
    /// Whether the agent in the guest answers.
    pub answers: bool,
}

/// What a look says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The wait is over.
    Over(Outcome),
    /// Look again.
    Later,
}

/// Decides whether a wait is over.
#[must_use]
pub fn judge(until: Until, now: &Glimpse) -> Verdict {
    match (until, now.state) {
        (Until::Off, State::Off | State::Crashed) | (Until::Running, State::Running) => Verdict::Over(Outcome::Met),
        (Until::Addressed, State::Running) if now.addressed => Verdict::Over(Outcome::Met),
        (Until::Answering, State::Running) if now.answers => Verdict::Over(Outcome::Met),
        (Until::Running | Until::Addressed | Until::Answering, State::Crashed) => failed("crashed", now),
        (Until::Running | Until::Addressed | Until::Answering, State::Off) => failed("stopped", now),
        (
            Until::Off | Until::Running | Until::Addressed | Until::Answering,
            State::Running | State::Paused | State::ShuttingDown | State::Asleep | State::Unknown,
        ) => Verdict::Later,
    }
}

fn failed(code: &'static str, now: &Glimpse) -> Verdict {
    Verdict::Over(Outcome::Failed { code, why: format!("is {} ({})", now.state.word(), now.reason) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_has_its_end() {
        let met = Verdict::Over(Outcome::Met);
        let stopped = Verdict::Over(Outcome::Failed { code: "stopped", why: "is off (shutdown)".to_owned() });
        let crashed = Verdict::Over(Outcome::Failed { code: "crashed", why: "is crashed (panicked)".to_owned() });
        for (until, state, reason, there, verdict) in [
            (Until::Running, State::Running, "booted", false, met.clone()),
            (Until::Running, State::Paused, "starting up", false, Verdict::Later),
            (Until::Running, State::Off, "shutdown", false, stopped.clone()),
            (Until::Running, State::Crashed, "panicked", false, crashed),
            (Until::Off, State::ShuttingDown, "user", true, Verdict::Later),
            (Until::Off, State::Off, "shutdown", false, met.clone()),
            (Until::Off, State::Crashed, "panicked", false, met.clone()),
            (Until::Addressed, State::Running, "booted", false, Verdict::Later),
            (Until::Addressed, State::Running, "booted", true, met),
            (Until::Addressed, State::Off, "shutdown", true, stopped.clone()),
            (Until::Answering, State::Running, "booted", false, Verdict::Later),
            (Until::Answering, State::Running, "booted", true, Verdict::Over(Outcome::Met)),
            (Until::Answering, State::Off, "shutdown", false, stopped),
        ] {
            assert_eq!(judge(until, &Glimpse { state, reason, addressed: there, answers: there }), verdict, "{until:?} {state:?}");
        }
    }
}
