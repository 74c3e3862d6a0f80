//! The small model that everything is held against: what the queue has promised, written down once more, by hand, and
//! asked after every step. It shares no code with the gate or with the state machine.

use std::collections::{BTreeMap, BTreeSet};

use orrery_contracts::subjects::EventSubject;
use orrery_contracts::{Change, StepEntry, StepMessage, TransitionMessage, subjects};
use orrery_queue::streams::Item;

use crate::engine::{Made, There};

/// A promise that was broken, in words.
pub type Broken = String;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Pending,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl Is {
    fn over(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

#[derive(Clone, Debug)]
struct Command {
    is: Is,
    attempt: u32,
    run: u32,
    /// The writer of its last step.
    steps_by: (u32, u32),
    /// Steps that were started and have not ended.
    open: BTreeSet<u32>,
    /// When its last run opened the step log.
    opened: u64,
}

/// Holds a whole history against the promises: everything on COMMANDS, and everything on EVENTS, in their order.
///
/// # Errors
/// The first promise that was broken.
pub fn audit(commands: &[Item], events: &[Item]) -> Result<(), Broken> {
    let mut reference = Reference::default();
    // A command is always there before whatever is said of it, and what came later disturbs no earlier one.
    for (now, item) in (0..).zip(commands.iter().chain(events)) {
        reference.stored(item, now)?;
    }
    Ok(())
}

/// What must be true of the streams and of the engines.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    commands: BTreeMap<u64, Command>,
    /// Those of them that have not ended, so that a history of a hundred thousand is audited in seconds.
    unended: BTreeSet<u64>,
    /// Those of them that run.
    running: BTreeSet<u64>,
}

impl Reference {
    /// A message was stored.
    pub(crate) fn stored(&mut self, item: &Item, now: u64) -> Result<(), Broken> {
        if subjects::parse_command(&item.subject).is_some() {
            let fresh = Command { is: Is::Pending, attempt: 1, run: 0, steps_by: (0, 0), open: BTreeSet::new(), opened: 0 };
            self.commands.insert(item.seq, fresh);
            self.unended.insert(item.seq);
            return Ok(());
        }
        match subjects::parse_event(&item.subject) {
            Some(EventSubject::Transition(seq)) => self.transition(seq, item),
            Some(EventSubject::Step(seq)) => self.step(seq, item, now),
            Some(EventSubject::Cancel(_) | EventSubject::Stack(_) | EventSubject::Machine(_)) | None => Ok(()),
        }
    }

    fn transition(&mut self, seq: u64, item: &Item) -> Result<(), Broken> {
        let message: TransitionMessage = serde_json::from_slice(&item.body).map_err(|error| format!("command {seq}: {error}"))?;
        let to = match message.change {
            Change::Pending {} => Is::Pending,
            Change::Running { .. } => Is::Running,
            Change::Done { .. } => Is::Done,
            Change::Failed { .. } => Is::Failed,
            Change::Cancelled { .. } => Is::Cancelled,
        };
        if to == Is::Running {
            if let Some(before) = self.unended.range(..seq).next() {
                return Err(format!("command {seq} starts, and command {before} before it has not ended"));
            }
            if let Some(other) = self.running.iter().find(|other| **other != seq) {
                return Err(format!("command {seq} starts while command {other} runs"));
            }
        }
        let command = self.commands.get_mut(&seq).ok_or_else(|| format!("a transition of command {seq}, which was never published"))?;
        let (attempt, run) = (message.attempt, message.run);
        let allowed = match (command.is, to) {
            (Is::Pending, Is::Running) => attempt == command.attempt && run == 1,
            (Is::Running, Is::Running) => attempt == command.attempt && run > command.run,
            (Is::Running, Is::Done | Is::Failed | Is::Cancelled) => (attempt, run) == (command.attempt, command.run),
            (Is::Pending | Is::Failed, Is::Cancelled) => attempt == command.attempt,
            (Is::Failed, Is::Pending) => attempt == command.attempt.saturating_add(1),
            _ => false,
        };
        if !allowed {
            let Command { is, attempt: in_attempt, run: in_run, .. } = command;
            return Err(format!("command {seq} goes from {is:?} {in_attempt}.{in_run} to {to:?} {attempt}.{run}"));
        }
        if command.is == Is::Running && to != Is::Running && !command.open.is_empty() {
            return Err(format!("command {seq} ends as {to:?} with steps {:?} open", command.open));
        }
        if to == Is::Pending {
            command.open.clear();
        }
        *command = Command { is: to, attempt, run, ..command.clone() };
        if to.over() {
            self.unended.remove(&seq);
        }
        if to == Is::Running {
            self.running.insert(seq);
        } else {
            self.running.remove(&seq);
        }
        Ok(())
    }

    fn step(&mut self, seq: u64, item: &Item, now: u64) -> Result<(), Broken> {
        let message: StepMessage = serde_json::from_slice(&item.body).map_err(|error| format!("step of {seq}: {error}"))?;
        let command = self.commands.get_mut(&seq).ok_or_else(|| format!("a step of command {seq}, which was never published"))?;
        let by = (message.attempt, message.run);
        if by < command.steps_by {
            return Err(format!("run {by:?} of command {seq} writes a step after run {:?} did", command.steps_by));
        }
        command.steps_by = by;
        match message.entry {
            StepEntry::Started { .. } if command.is.over() => Err(format!("command {seq} has ended, and begins step {}", message.n)),
            StepEntry::Started { .. } => {
                command.open.insert(message.n);
                Ok(())
            }
            StepEntry::Ended { .. } if !command.open.remove(&message.n) => Err(format!("step {} of {seq} ends twice", message.n)),
            StepEntry::Opened { .. } => {
                command.opened = now;
                Ok(())
            }
            StepEntry::Planned { .. } | StepEntry::Ended { .. } | StepEntry::Closed { .. } => Ok(()),
        }
    }

    /// Whether a run that is not the newest one of its command, or whose command is over, has been overtaken.
    pub(crate) fn is_overtaken(&self, made: &Made) -> bool {
        let Some(command) = self.commands.get(&made.seq) else { return false };
        command.is.over() || (command.attempt, command.run) > (made.attempt, made.run)
    }

    /// An effect is made; `before` is what is there already.
    pub(crate) fn effect(&self, made: &Made, before: Option<There>) -> Result<(), Broken> {
        let Made { seq, what, attempt, run } = made;
        let command = self.commands.get(seq).ok_or_else(|| format!("{what} of command {seq}, which was never published"))?;
        if let Some(before) = self.unended.range(..seq).next() {
            return Err(format!("{what} of command {seq} is made, and command {before} before it has not ended"));
        }
        if self.is_overtaken(made) {
            // The step in hand of a run that was overtaken in the middle of it.
            return Ok(());
        }
        if command.is != Is::Running || (command.attempt, command.run) != (*attempt, *run) {
            let Command { is, attempt: in_attempt, run: in_run, .. } = command;
            return Err(format!("{what} of command {seq} is made by run {attempt}.{run}, and it is {is:?} {in_attempt}.{in_run}"));
        }
        match before {
            Some(there) if there.by == (*attempt, *run) => {
                Err(format!("{what} of command {seq} is made again by the same run {attempt}.{run}"))
            }
            Some(there) if there.since < command.opened => Err(format!("{what} of command {seq} is made again by run {attempt}.{run}")),
            Some(_) | None => Ok(()),
        }
    }

    /// The commands that have not ended.
    pub(crate) fn unfinished(&self) -> Vec<u64> {
        self.unended.iter().copied().collect()
    }

    /// The head, when it has failed: its number and attempt.
    pub(crate) fn failed_head(&self) -> Option<(u64, u32)> {
        let seq = *self.unended.first()?;
        let head = self.commands.get(&seq)?;
        (head.is == Is::Failed).then_some((seq, head.attempt))
    }

    /// How many commands there are, and how many ended well.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let done = self.commands.values().filter(|command| command.is == Is::Done).count();
        (u64::try_from(self.commands.len()).unwrap_or(u64::MAX), u64::try_from(done).unwrap_or(u64::MAX))
    }

    /// The commands that ended well.
    pub(crate) fn done(&self) -> impl Iterator<Item = u64> + '_ {
        self.commands.iter().filter(|(_, command)| command.is == Is::Done).map(|(seq, _)| *seq)
    }

    /// Where every command stands, for a person.
    pub(crate) fn story(&self) -> String {
        let words = self.commands.iter().filter(|(_, command)| !command.is.over());
        words.map(|(seq, command)| format!("{seq} {:?} {}.{}", command.is, command.attempt, command.run)).collect::<Vec<_>>().join(", ")
    }
}
