//! The gate: which command comes next, and whether this executor may touch it. A pure table over what was read of
//! COMMANDS and EVENTS; both executors keep one, and come to the same order without speaking to each other.
//!
//! The rule: a command starts only when every command before it has ended, DONE or CANCELLED. A table that lags behind
//! the broker is safe, because an end is final and every transition is a compare-and-set. It does no I/O, reads no
//! clock, and remembers no body.

use std::collections::BTreeMap;

use orrery_contracts::{CommandState, Digest, Engine, Failure, OnFailure, QueueMark, Rejection, TransitionMessage};
use thiserror::Error;

/// What the queue knows of a command from its message alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The executor that acts on it.
    pub owner: Engine,
    /// SHA-256 of its body.
    pub sha256: Digest,
    /// The length of its body.
    pub bytes: u64,
    /// Whose quota it counts against: a key of POLICY.
    pub principal: String,
    /// Why it can never start, when its message says so already; known to its owner alone.
    pub fault: Option<Rejection>,
    /// What happens when it fails; known to its owner alone.
    pub on_failure: OnFailure,
}

/// Where a command stands, from its transitions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    state: CommandState,
    /// The sequence in EVENTS of its first transition, and of its last: the one that the next must name.
    first: u64,
    last: u64,
    /// The command that the transitions are about.
    sha256: Option<Digest>,
}

/// What this executor does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Every command has ended.
    Nothing,
    /// The head is another executor's.
    WaitForOwner {
        /// The head.
        seq: u64,
        /// Whose it is.
        owner: Engine,
    },
    /// The head has failed and holds the queue until somebody retries or cancels it.
    Held {
        /// The head.
        seq: u64,
        /// What went wrong.
        failure: Failure,
    },
    /// The head can never start: cancel it, and say why.
    Reject {
        /// The head.
        head: Head,
        /// Why.
        rejection: Rejection,
    },
    /// The head's turn has come.
    Start(Head),
    /// The head was running when its executor ended: take it up in the next run.
    Resume(Head),
    /// The head has failed and does not want to hold the queue: cancel it, and keep its error.
    Release {
        /// The head.
        head: Head,
        /// What went wrong.
        failure: Failure,
    },
}

/// The command at the head of the queue, as far as a transition of it must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its sequence in COMMANDS.
    pub seq: u64,
    /// SHA-256 of its body.
    pub sha256: Digest,
    /// The present attempt.
    pub attempt: u32,
    /// The last run of that attempt; 0 before the first.
    pub run: u32,
    /// The last message on its transition subject; 0 for none.
    pub last: u64,
    /// What happens when it fails.
    pub on_failure: OnFailure,
}

/// The streams contradict each other: a number means another message than it did.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Contradiction(pub String);

/// Commands that wait for one principal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many have not ended.
    pub commands: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// The commands that have not ended, in order, with where they stand. What every message costs here does not grow with the
/// number of commands, and of one that has ended behind a head that has not, two numbers are kept.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Those that have not ended.
    commands: BTreeMap<u64, Facts>,
    /// Their bytes, by principal: what a quota is compared with.
    waiting: BTreeMap<String, BTreeMap<u64, u64>>,
    /// Where they stand, and where commands stand that have not been seen yet.
    standings: BTreeMap<u64, Standing>,
    /// Those that have ended behind the head, with the first transition of each.
    over: BTreeMap<u64, u64>,
    ended: u64,
    last_event: u64,
}

impl Table {
    /// A table that begins behind this mark.
    #[must_use]
    pub fn behind(mark: QueueMark) -> Self {
        Self { ended: mark.commands, last_event: mark.events, ..Self::default() }
    }

    /// Takes in the next command of the stream.
    ///
    /// # Errors
    /// [`Contradiction`] when transitions at its number are about another command.
    pub fn command(&mut self, seq: u64, facts: Facts) -> Result<(), Contradiction> {
        if self.is_over(seq) || self.commands.contains_key(&seq) {
            return Ok(());
        }
        if let Some(standing) = self.standings.get(&seq) {
            same_command(seq, standing.sha256.as_ref(), &facts.sha256)?;
        }
        self.waiting.entry(facts.principal.clone()).or_default().insert(seq, facts.bytes);
        self.commands.insert(seq, facts);
        self.settle(seq);
        Ok(())
    }

    /// Takes in a message on the transition subject of the command at `seq`. One that the state machine does not have,
    /// or that cannot be read (`None`), changes no state; the next transition must name it all the same.
    ///
    /// # Errors
    /// [`Contradiction`] when it is about another command than the one at this number.
    pub fn transition(&mut self, event: u64, seq: u64, message: Option<&TransitionMessage>) -> Result<(), Contradiction> {
        self.event(event);
        if self.is_over(seq) {
            return Ok(());
        }
        if let (Some(message), Some(facts)) = (message, self.commands.get(&seq)) {
            same_command(seq, Some(&message.command_sha256), &facts.sha256)?;
        }
        let fresh = || Standing { state: CommandState::new(), first: event, last: 0, sha256: None };
        let standing = self.standings.entry(seq).or_insert_with(fresh);
        if event <= standing.last {
            return Ok(());
        }
        standing.last = event;
        let Some(message) = message else { return Ok(()) };
        if let Some(known) = &standing.sha256 {
            same_command(seq, Some(&message.command_sha256), known)?;
        }
        standing.sha256 = Some(message.command_sha256.clone());
        match standing.state.clone().apply(message) {
            Ok(state) => standing.state = state,
            Err(illegal) => tracing::warn!(command = seq, event, "a transition is passed over: {illegal}"),
        }
        self.settle(seq);
        Ok(())
    }

    /// Takes note of a message of EVENTS that is no transition.
    pub fn event(&mut self, event: u64) {
        self.last_event = self.last_event.max(event);
    }

    /// The last message of EVENTS that was taken in.
    #[must_use]
    pub fn last_event(&self) -> u64 {
        self.last_event
    }

    /// The highest number with a transition whose command has not been seen.
    #[must_use]
    pub fn stray(&self) -> Option<u64> {
        let last = |seqs: Option<u64>| seqs.unwrap_or(self.ended);
        let seen = last(self.commands.keys().next_back().copied()).max(last(self.over.keys().next_back().copied())).max(self.ended);
        self.standings.keys().next_back().copied().filter(|seq| *seq > seen)
    }

    /// How many commands have not ended.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.commands.len()
    }

    /// Whether the command at this number has ended.
    #[must_use]
    pub fn has_ended(&self, seq: u64) -> bool {
        self.is_over(seq) || self.standings.get(&seq).is_some_and(|standing| standing.state.status().has_ended())
    }

    /// Whether the command at this number has been seen, and has ended.
    fn is_over(&self, seq: u64) -> bool {
        seq <= self.ended || self.over.contains_key(&seq)
    }

    /// What waits for the principal of the command at this number, up to and with it: what a quota is compared with. A
    /// later command does not count, so that one that was admitted stays so.
    #[must_use]
    pub fn waiting_up_to(&self, seq: u64) -> Waiting {
        let his = self.commands.get(&seq).and_then(|facts| self.waiting.get(&facts.principal));
        let earlier = his.into_iter().flat_map(|his| his.range(..=seq));
        earlier.fold(Waiting::default(), |waiting, (_, bytes)| Waiting {
            commands: waiting.commands.saturating_add(1),
            bytes: waiting.bytes.saturating_add(*bytes),
        })
    }

    /// Does not count a command any longer that is about to end as over its quota.
    pub fn turn_away(&mut self, seq: u64) {
        let principal = self.commands.get(&seq).map(|facts| &facts.principal);
        if let Some(his) = principal.and_then(|principal| self.waiting.get_mut(principal)) {
            his.remove(&seq);
        }
    }

    /// The first command that has not ended.
    #[must_use]
    pub fn head(&self) -> Option<u64> {
        self.commands.first_key_value().map(|(seq, _)| *seq)
    }

    /// Why the command at this number can never start, when its message says so already.
    #[must_use]
    pub fn fault(&self, seq: u64) -> Option<&Rejection> {
        self.commands.get(&seq)?.fault.as_ref()
    }

    /// Whose quota the command at this number counts against.
    #[must_use]
    pub fn principal(&self, seq: u64) -> Option<&str> {
        self.commands.get(&seq).map(|facts| facts.principal.as_str())
    }

    /// The command at this number as a transition of it must know it; none when it has ended.
    #[must_use]
    pub fn pending(&self, seq: u64) -> Option<Head> {
        let facts = self.commands.get(&seq)?;
        match self.state(seq) {
            CommandState::Pending { .. } => Some(self.head_at(seq, facts)),
            CommandState::Running { .. } | CommandState::Done { .. } | CommandState::Failed { .. } | CommandState::Cancelled { .. } => None,
        }
    }

    /// What the executor of this engine does next.
    #[must_use]
    pub fn decide(&self, engine: Engine) -> Decision {
        let Some((&seq, facts)) = self.commands.first_key_value() else { return Decision::Nothing };
        let head = self.head_at(seq, facts);
        let state = self.state(seq);
        if facts.owner != engine {
            return match state {
                CommandState::Failed { failure, .. } if facts.on_failure == OnFailure::Hold => Decision::Held { seq, failure },
                CommandState::Failed { .. }
                | CommandState::Pending { .. }
                | CommandState::Running { .. }
                | CommandState::Done { .. }
                | CommandState::Cancelled { .. } => Decision::WaitForOwner { seq, owner: facts.owner },
            };
        }
        match state {
            CommandState::Pending { .. } => match &facts.fault {
                Some(rejection) => Decision::Reject { head, rejection: rejection.clone() },
                None => Decision::Start(head),
            },
            CommandState::Running { .. } => Decision::Resume(head),
            CommandState::Failed { failure, .. } => match facts.on_failure {
                OnFailure::Release => Decision::Release { head, failure },
                OnFailure::Hold => Decision::Held { seq, failure },
            },
            // What has ended is not among the commands.
            CommandState::Done { .. } | CommandState::Cancelled { .. } => Decision::Nothing,
        }
    }

    /// Every command up to this one has ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// Where a new table may begin: every command up to the first number has ended, and every transition of a later one
    /// lies behind the second.
    #[must_use]
    pub fn mark(&self) -> QueueMark {
        let first = self.standings.values().map(|standing| standing.first).chain(self.over.values().copied()).min();
        QueueMark { commands: self.ended, events: first.map_or(self.last_event, |first| first.saturating_sub(1)) }
    }

    fn state(&self, seq: u64) -> CommandState {
        self.standings.get(&seq).map_or_else(CommandState::new, |standing| standing.state.clone())
    }

    fn head_at(&self, seq: u64, facts: &Facts) -> Head {
        let state = self.state(seq);
        Head {
            seq,
            sha256: facts.sha256.clone(),
            attempt: state.attempt(),
            run: state.run(),
            last: self.standings.get(&seq).map_or(0, |standing| standing.last),
            on_failure: facts.on_failure,
        }
    }

    /// Forgets a command that has been seen and has ended, but for its number, and that too once it is at the front.
    fn settle(&mut self, seq: u64) {
        if self.standings.get(&seq).is_none_or(|standing| !standing.state.status().has_ended()) {
            return;
        }
        let Some(facts) = self.commands.remove(&seq) else { return };
        if let Some(his) = self.waiting.get_mut(&facts.principal) {
            his.remove(&seq);
            if his.is_empty() {
                self.waiting.remove(&facts.principal);
            }
        }
        if let Some(standing) = self.standings.remove(&seq) {
            self.over.insert(seq, standing.first);
        }
        let head = self.commands.first_key_value().map_or(u64::MAX, |(head, _)| *head);
        while let Some(front) = self.over.first_entry().filter(|front| *front.key() < head) {
            self.ended = *front.key();
            front.remove();
        }
    }
}

fn same_command(seq: u64, claimed: Option<&Digest>, is: &Digest) -> Result<(), Contradiction> {
    match claimed {
        Some(claimed) if claimed != is => Err(Contradiction(format!(
            "the transitions of command {seq} are about a message with SHA-256 {claimed}, and the message at {seq} has {is}"
        ))),
        Some(_) | None => Ok(()),
    }
}
