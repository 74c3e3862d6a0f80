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

/// The commands that have not ended, in order, with where they stand.
#[derive(Clone, Debug, Default)]
pub struct Table {
    commands: BTreeMap<u64, Facts>,
    standings: BTreeMap<u64, Standing>,
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
        if seq <= self.ended || self.commands.contains_key(&seq) {
            return Ok(());
        }
        if let Some(standing) = self.standings.get(&seq) {
            same_command(seq, standing.sha256.as_ref(), &facts.sha256)?;
        }
        self.commands.insert(seq, facts);
        self.advance();
        Ok(())
    }

    /// Takes in a message on the transition subject of the command at `seq`. One that the state machine does not have,
    /// or that cannot be read (`None`), changes no state; the next transition must name it all the same.
    ///
    /// # Errors
    /// [`Contradiction`] when it is about another command than the one at this number.
    pub fn transition(&mut self, event: u64, seq: u64, message: Option<&TransitionMessage>) -> Result<(), Contradiction> {
        self.event(event);
        if seq <= self.ended {
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
        self.advance();
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
        let seen = self.commands.keys().next_back().copied().unwrap_or(self.ended).max(self.ended);
        self.standings.keys().next_back().copied().filter(|seq| *seq > seen)
    }

    /// How many commands have not ended.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.commands.keys().filter(|seq| !self.has_ended(**seq)).count()
    }

    /// Whether the command at this number has ended.
    #[must_use]
    pub fn has_ended(&self, seq: u64) -> bool {
        seq <= self.ended || self.standings.get(&seq).is_some_and(|standing| standing.state.status().has_ended())
    }

    /// What waits for the principal of the command at this number, up to and with it: what a quota is compared with. A
    /// later command does not count, so that one that was admitted stays so.
    #[must_use]
    pub fn waiting_up_to(&self, seq: u64) -> Waiting {
        let Some(principal) = self.commands.get(&seq).map(|facts| &facts.principal) else { return Waiting::default() };
        let earlier = self.commands.range(..=seq).filter(|(seq, facts)| facts.principal == *principal && !self.has_ended(**seq));
        earlier.fold(Waiting::default(), |waiting, (_, facts)| Waiting {
            commands: waiting.commands.saturating_add(1),
            bytes: waiting.bytes.saturating_add(facts.bytes),
        })
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
        let Some((&seq, facts)) = self.commands.iter().find(|(seq, _)| !self.has_ended(**seq)) else { return Decision::Nothing };
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
            // `find` passes over what has ended.
            CommandState::Done { .. } | CommandState::Cancelled { .. } => Decision::Nothing,
        }
    }

    /// Where a new table may begin: every command up to the first number has ended, and every transition of a later one
    /// lies behind the second.
    #[must_use]
    pub fn mark(&self) -> QueueMark {
        let first = self.standings.range(self.ended.saturating_add(1)..).map(|(_, standing)| standing.first).min();
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

    /// Forgets the ended commands at the front.
    fn advance(&mut self) {
        while let Some((&seq, _)) = self.commands.first_key_value() {
            if !self.has_ended(seq) {
                return;
            }
            self.commands.remove(&seq);
            self.standings.remove(&seq);
            self.ended = seq;
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
